//! What a probe says of a file. Units are in the names; what the file does not say is absent.

use crate::ffprobe::{Found, FoundStream};
use crate::rate::Rate;
use nexus_media_protocol::{Failure, Fetched};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// More is an attack or a mistake.
const STREAMS_MAX: usize = 100;
/// Tags are text of whoever made the file: kept short and few.
const TAGS_MAX: usize = 30;
const TAG_CHARS_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// The demuxer's names, e.g. `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    pub size_bytes: u64,
    /// Of the whole object, 64 lower-case hexadecimal digits.
    pub sha256: String,
    pub duration_ms: Option<u64>,
    pub bits_per_second: Option<u64>,
    pub streams: Vec<Stream>,
    pub chapters: u32,
    pub tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    Video,
    /// A picture that stands for the file, not moving.
    Cover,
    Audio,
    Subtitle,
    Other,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    pub index: u32,
    pub kind: StreamKind,
    /// E.g. `h264`; absent where nobody knows it.
    pub codec: Option<String>,
    pub profile: Option<String>,
    pub level: Option<i32>,
    /// When it begins, by the file's own clock.
    pub start_ms: Option<i64>,
    pub duration_ms: Option<u64>,
    pub bits_per_second: Option<u64>,
    pub frames: Option<u64>,
    /// Pixels, before rotation.
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// Shape of a pixel.
    pub pixel_aspect: Option<Rate>,
    /// Degrees clockwise by which a player turns the picture: 0, 90, 180 or 270.
    pub rotation_degrees: Option<u16>,
    pub interlaced: Option<bool>,
    pub frames_per_second: Option<Rate>,
    /// What the frames' times are multiples of: the rate that was meant.
    pub nominal_rate: Option<Rate>,
    /// Whether frames come at one rate all the time, as far as the file says.
    pub constant_rate: Option<bool>,
    /// E.g. `yuv420p`.
    pub pixel_format: Option<String>,
    pub color: Option<Color>,
    /// Hertz.
    pub sample_rate: Option<u32>,
    pub channels: Option<u32>,
    pub channel_layout: Option<String>,
    /// As the file has it, usually ISO 639-2.
    pub language: Option<String>,
    pub is_default: bool,
    pub tags: BTreeMap<String, String>,
}

/// ITU-T H.273, by ffmpeg's names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Color {
    pub range: Option<String>,
    pub matrix: Option<String>,
    /// `smpte2084` and `arib-std-b67` are high dynamic range.
    pub transfer: Option<String>,
    pub primaries: Option<String>,
}

impl Output {
    pub(crate) fn new(found: Found, fetched: &Fetched) -> Result<Self, Failure> {
        if found.streams.is_empty() {
            return Err(Failure::because("no-media-streams", "the file holds no stream"));
        }
        if found.streams.len() > STREAMS_MAX {
            let words = format!("the file holds more than {STREAMS_MAX} streams");
            return Err(Failure::because("too-many-streams", words));
        }
        Ok(Self {
            container: found.format.format_name,
            size_bytes: fetched.bytes,
            sha256: fetched.sha256.clone(),
            duration_ms: milliseconds(found.format.duration.as_deref()),
            bits_per_second: number(found.format.bit_rate.as_deref()),
            streams: found.streams.into_iter().map(Stream::from).collect(),
            chapters: u32::try_from(found.chapters.len()).unwrap_or(u32::MAX),
            tags: short(found.format.tags),
        })
    }
}

impl From<FoundStream> for Stream {
    fn from(found: FoundStream) -> Self {
        let kind = kind(&found);
        let is_video = matches!(kind, StreamKind::Video | StreamKind::Cover);
        let rate = found.avg_frame_rate.as_deref().and_then(Rate::read);
        let base = found.r_frame_rate.as_deref().and_then(Rate::read);
        Self {
            index: found.index,
            kind,
            start_ms: found.start_time.as_deref().and_then(signed_milliseconds),
            duration_ms: milliseconds(found.duration.as_deref()),
            bits_per_second: number(found.bit_rate.as_deref()),
            frames: number(found.nb_frames.as_deref()),
            pixel_aspect: found.sample_aspect_ratio.as_deref().and_then(Rate::read),
            rotation_degrees: is_video.then(|| rotation(&found)),
            interlaced: found.field_order.as_deref().and_then(|order| match order {
                "progressive" => Some(false),
                "unknown" => None,
                _ => Some(true),
            }),
            frames_per_second: rate.filter(|_| kind == StreamKind::Video),
            nominal_rate: base.filter(|_| kind == StreamKind::Video),
            constant_rate: rate.and_then(|rate| Some(rate == base?)).filter(|_| is_video),
            color: is_video.then(|| color(&found)),
            sample_rate: number(found.sample_rate.as_deref()).and_then(|n| n.try_into().ok()),
            language: found.tags.get("language").filter(|it| *it != "und").cloned(),
            is_default: found.disposition.get("default") == Some(&1),
            codec: found.codec_name,
            profile: found.profile,
            level: found.level.filter(|level| *level >= 0),
            width: found.width,
            height: found.height,
            pixel_format: found.pix_fmt,
            channels: found.channels,
            channel_layout: found.channel_layout,
            tags: short(found.tags),
        }
    }
}

fn kind(found: &FoundStream) -> StreamKind {
    match found.codec_type.as_deref() {
        Some("video") if found.disposition.get("attached_pic") == Some(&1) => StreamKind::Cover,
        Some("video") => StreamKind::Video,
        Some("audio") => StreamKind::Audio,
        Some("subtitle") => StreamKind::Subtitle,
        _ => StreamKind::Other,
    }
}

/// ffprobe tells the display matrix counter-clockwise, from -180 to 180.
fn rotation(found: &FoundStream) -> u16 {
    let turned = found.side_data_list.iter().find_map(|entry| entry.get("rotation")?.as_f64());
    let clockwise = (-turned.unwrap_or(0.0)).rem_euclid(360.0);
    ((clockwise / 90.0).round() as u16 % 4) * 90
}

fn color(found: &FoundStream) -> Color {
    let known = |text: &Option<String>| text.clone().filter(|it| it != "unknown");
    Color {
        range: known(&found.color_range),
        matrix: known(&found.color_space),
        transfer: known(&found.color_transfer),
        primaries: known(&found.color_primaries),
    }
}

fn milliseconds(seconds: Option<&str>) -> Option<u64> {
    let seconds: f64 = seconds?.parse().ok()?;
    (0.0..1e12).contains(&seconds).then_some((seconds * 1000.0).round() as u64)
}

fn signed_milliseconds(seconds: &str) -> Option<i64> {
    let seconds: f64 = seconds.parse().ok()?;
    (seconds.abs() < 1e12).then_some((seconds * 1000.0).round() as i64)
}

fn number(text: Option<&str>) -> Option<u64> {
    text?.parse().ok()
}

fn short(tags: BTreeMap<String, String>) -> BTreeMap<String, String> {
    // PostgreSQL's JSON has no NUL.
    let cut = |text: String| text.chars().filter(|c| *c != '\0').take(TAG_CHARS_MAX).collect();
    tags.into_iter().take(TAGS_MAX).map(|(name, value)| (cut(name), cut(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stream(found: serde_json::Value) -> Stream {
        serde_json::from_value::<FoundStream>(found).unwrap().into()
    }

    #[test]
    fn a_phones_upright_video_is_turned_by_the_player() {
        for (told, degrees) in [(-90, 90), (90, 270), (180, 180), (-180, 180), (0, 0)] {
            let found = stream(json!({
                "index": 0, "codec_type": "video", "side_data_list": [{ "rotation": told }],
            }));
            assert_eq!(found.rotation_degrees, Some(degrees), "{told}");
        }
    }

    #[test]
    fn what_a_file_does_not_say_is_absent() {
        let found = stream(json!({
            "index": 1, "codec_type": "audio", "avg_frame_rate": "0/0", "sample_rate": "48000",
            "duration": "N/A", "tags": { "language": "und" }, "level": -99,
        }));
        assert_eq!((found.kind, found.sample_rate), (StreamKind::Audio, Some(48_000)));
        let absent = (found.frames_per_second, found.duration_ms, found.language, found.level);
        assert_eq!(absent, (None, None, None, None));
    }
}
