//! A track of sound in a source.

use nexus_media_probe::Stream;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// Its number in the file.
    pub stream: u32,
    pub codec: String,
    pub profile: Option<String>,
    pub channels: u32,
    /// Hertz.
    pub sample_rate: u32,
    /// How long after the film's beginning it begins.
    pub late_ms: i64,
}

impl Sound {
    /// `start_ms` is when the film begins by the file's clock. None for a codec that nobody knows.
    pub(crate) fn of(stream: &Stream, start_ms: i64) -> Option<Self> {
        Some(Self {
            stream: stream.index,
            codec: stream.codec.clone()?,
            profile: stream.profile.clone(),
            channels: stream.channels.filter(|channels| *channels > 0)?,
            sample_rate: stream.sample_rate.filter(|rate| *rate > 0)?,
            late_ms: stream.start_ms.unwrap_or(start_ms) - start_ms,
        })
    }
}
