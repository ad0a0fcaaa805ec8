//! The JSON of `ffprobe -show_format -show_streams -show_chapters`, as it stands: numbers are
//! texts, and anything may be missing. Refuses to know what it means.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    pub(crate) format: Format,
    #[serde(default)]
    pub(crate) streams: Vec<FoundStream>,
    #[serde(default)]
    pub(crate) chapters: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Format {
    pub(crate) format_name: String,
    pub(crate) duration: Option<String>,
    pub(crate) bit_rate: Option<String>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct FoundStream {
    pub(crate) index: u32,
    pub(crate) codec_type: Option<String>,
    pub(crate) codec_name: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) level: Option<i32>,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) sample_aspect_ratio: Option<String>,
    pub(crate) pix_fmt: Option<String>,
    pub(crate) field_order: Option<String>,
    pub(crate) color_range: Option<String>,
    pub(crate) color_space: Option<String>,
    pub(crate) color_transfer: Option<String>,
    pub(crate) color_primaries: Option<String>,
    pub(crate) avg_frame_rate: Option<String>,
    pub(crate) r_frame_rate: Option<String>,
    pub(crate) sample_rate: Option<String>,
    pub(crate) channels: Option<u32>,
    pub(crate) channel_layout: Option<String>,
    pub(crate) start_time: Option<String>,
    pub(crate) duration: Option<String>,
    pub(crate) bit_rate: Option<String>,
    pub(crate) nb_frames: Option<String>,
    #[serde(default)]
    pub(crate) disposition: BTreeMap<String, i32>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) side_data_list: Vec<BTreeMap<String, Value>>,
}

pub(crate) fn read(stdout: &[u8]) -> Result<Found, String> {
    let text = String::from_utf8_lossy(stdout);
    serde_json::from_str(&text).map_err(|error| format!("nothing is known of the file: {error}"))
}
