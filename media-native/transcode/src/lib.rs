//! The kind `transcode`: from a film to tracks that every browser plays, as CMAF segments with an
//! index each. Decodes once for all sizes, works in chunks and goes on behind the last one, takes
//! the next encoder where one fails.
//!
//! | lane | pictures | sound |
//! |---|---|---|
//! | `remux` | the source's own H.264, cut at its keyframes | its own AAC where it is fit |
//! | `fast`, `ladder` | H.264 in every size of the job, at one constant rate | AAC, stereo |
//!
//! What comes about depends on the source and the arguments alone: another attempt, here or
//! elsewhere, writes the same bytes under the same names (with the processor's encoder, whose
//! number of threads is fixed). Objects, below the prefix of the job:
//!
//! - `<track>/init.mp4`, `<track>/<n>.m4s` from 0, `<track>/index.json` last ([`Index`]);
//! - `checkpoints/<lane>.json`: what a later attempt goes on from.
//!
//! Refused with `<code>: words`: `empty`, `unreadable`, `no-media-streams`, `too-long`,
//! `too-large`, `too-many-streams`, `unsupported-codec`, `truncated` (nothing can be decoded), and
//! `not-remuxable` (that lane only).
//!
//! Refuses to know which sizes a film should have, and what is done with tracks.

mod args;
mod attempt;
mod checkpoint;
mod encoder;
mod grid;
mod index;
mod mp4;
mod pictures;
mod remux;
mod sounds;
mod soundtracks;
mod track;

pub use args::{Args, Lane, Made, Output, Rung, Wish};
pub use index::{Index, Keyframe, Kind, Part, Segment, VERSION};

use crate::attempt::Attempt;
use crate::checkpoint::Checkpoint;
use crate::encoder::Encoder;
use nexus_media_ffmpeg::Source;
use nexus_media_protocol::{Context, Failure, Job, Worker};
use std::path::Path;

/// The worker.
#[derive(Debug, Clone, Default)]
pub struct Transcode {
    encoders: Vec<Encoder>,
}

impl Transcode {
    /// With the encoders that work on this machine: each is tried, in `folder`.
    pub async fn detect(folder: &Path) -> Self {
        Self { encoders: encoder::detect(folder).await }
    }

    /// With these encoders of ffmpeg's names, untried; those that are not known here are left out.
    pub fn with(names: &[&str]) -> Self {
        Self { encoders: names.iter().filter_map(|name| encoder::named(name)).collect() }
    }

    /// What this machine has, by ffmpeg's names; the first is taken first.
    pub fn encoders(&self) -> impl Iterator<Item = &'static str> {
        self.encoders.iter().map(|encoder| encoder.name)
    }
}

impl Worker for Transcode {
    const KIND: &'static str = "transcode";
    type Args = Args;
    type Output = Output;

    fn work(&self, job: &Job<Args>, cx: &Context) -> Result<Output, Failure> {
        let args = &job.args;
        args.check()?;
        cx.progress(0.0, "fetching");
        let source = Source::open(&args.source, cx)?;
        let known = Checkpoint::open(args, &source, cx)?;
        let encoders = encoder::order(&self.encoders, &args.encoders);
        Attempt { args, source: &source, cx, known }.make(&encoders)
    }
}
