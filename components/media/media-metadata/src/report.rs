//! What the worker of the kind `probe` says; `media-native/probe` writes it. Fields that nobody
//! here reads are left out.

use nexus_sdk::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Deserialize)]
pub struct Report {
    pub container: String,
    pub size_bytes: i64,
    pub duration_ms: Option<i64>,
    pub bits_per_second: Option<i64>,
    pub streams: Vec<Stream>,
    #[serde(default)]
    pub chapters: i32,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Video,
    Cover,
    Audio,
    Subtitle,
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Stream {
    pub index: i32,
    pub kind: Kind,
    pub codec: Option<String>,
    pub profile: Option<String>,
    pub duration_ms: Option<i64>,
    pub bits_per_second: Option<i64>,
    pub frames: Option<i64>,
    pub width: Option<i32>,
    pub height: Option<i32>,
    pub pixel_aspect: Option<Ratio>,
    pub rotation_degrees: Option<i32>,
    pub interlaced: Option<bool>,
    pub frames_per_second: Option<Ratio>,
    pub constant_rate: Option<bool>,
    pub pixel_format: Option<String>,
    pub color: Option<Color>,
    pub sample_rate: Option<i32>,
    pub channels: Option<i32>,
    pub language: Option<String>,
    #[serde(default)]
    pub is_default: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Ratio {
    pub numerator: u32,
    pub denominator: u32,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct Color {
    pub transfer: Option<String>,
}

impl Ratio {
    /// Both as they are bound and told; none where one of them is out of all proportion.
    pub fn pair(self) -> Option<(i32, i32)> {
        let numerator = i32::try_from(self.numerator).ok()?;
        Some((numerator, i32::try_from(self.denominator).ok()?))
    }
}
