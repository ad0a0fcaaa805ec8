//! As much of ISO 14496-12 as it takes to read what ffmpeg's muxer writes, sample by sample, and to
//! write CMAF segments of our own: exact times, the same bytes for the same samples.
//!
//! Knows boxes. Refuses to know why samples are put into which segment.

mod boxes;
mod reader;
mod writer;

pub(crate) use reader::{Head, Reader};
pub(crate) use writer::{Fragment, segment_head};

/// One sample as a fragment lists it. Times in the track's ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) duration: u32,
    /// Bytes.
    pub(crate) size: u32,
    pub(crate) is_sync: bool,
    /// Presentation after decoding.
    pub(crate) offset: i32,
}

/// What a file says that is no such file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Mp4Error {
    #[error("read the encoder's file: {0}")]
    File(#[from] std::io::Error),
    #[error("the encoder's file: {0}")]
    Shape(&'static str),
}
