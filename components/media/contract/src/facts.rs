//! What is known of a source once it was probed. Units are in the names; what the file does not
//! say is absent. Nothing here says where or by whom something was recorded.

use nexus_sdk::schemars::JsonSchema;
use nexus_sdk::serde::{Deserialize, Serialize};

/// A source, as `media-metadata` understands the probe's report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "nexus_sdk::serde", default)]
#[schemars(crate = "nexus_sdk::schemars")]
pub struct Facts {
    /// The demuxer's names, e.g. `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    pub bytes: i64,
    /// The longest of what moves or sounds.
    pub duration_ms: i64,
    pub bits_per_second: Option<i64>,
    /// The moving picture that is shown; none of an audio file.
    pub video: Option<VideoFacts>,
    /// In the file's order, the default first.
    pub audio: Vec<AudioFacts>,
    /// Languages of the text tracks, by the file's order.
    pub subtitles: Vec<String>,
    pub chapters: i32,
    /// Whether the source's own tracks can be published as they are, for all that the file says of
    /// itself. Whoever copies them still looks at the distances of keyframes.
    pub may_remux: bool,
}

/// A moving picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "nexus_sdk::serde")]
#[schemars(crate = "nexus_sdk::schemars")]
pub struct VideoFacts {
    /// Its number in the file.
    pub stream: i32,
    /// By ffmpeg's name, e.g. `h264`.
    pub codec: String,
    pub profile: Option<String>,
    pub pixel_format: Option<String>,
    /// Pixels as they are stored.
    pub width: i32,
    pub height: i32,
    /// Shape of a pixel: width and height.
    pub pixel_aspect: (i32, i32),
    /// By which a player turns the picture, clockwise: 0, 90, 180 or 270.
    pub rotation_degrees: i32,
    /// Square pixels as they are shown: after shape and rotation.
    pub shown_width: i32,
    pub shown_height: i32,
    /// Numerator and denominator.
    pub frames_per_second: Option<(i32, i32)>,
    /// Whether frames come at one rate all the time, as far as the file says.
    pub is_constant_rate: bool,
    pub is_interlaced: bool,
    /// High dynamic range: PQ or HLG.
    pub is_hdr: bool,
    pub bits_per_second: Option<i64>,
    pub frames: Option<i64>,
    pub duration_ms: Option<i64>,
}

/// A track of sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "nexus_sdk::serde")]
#[schemars(crate = "nexus_sdk::schemars")]
pub struct AudioFacts {
    /// Its number in the file.
    pub stream: i32,
    /// Its number among the file's tracks of sound, from 0.
    pub index: i32,
    pub codec: String,
    pub profile: Option<String>,
    pub channels: i32,
    pub sample_rate: Option<i32>,
    /// BCP 47; `und` where nobody has said it.
    pub language: String,
    pub is_default: bool,
    pub bits_per_second: Option<i64>,
    pub duration_ms: Option<i64>,
}
