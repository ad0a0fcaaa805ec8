//! Where frames, groups of pictures, segments and chunks of a film begin: whole numbers of frames,
//! the same in every size, so that a player may go from one to another at any segment.

use crate::args::{Args, Rung};
use nexus_media_ffmpeg::Rate;
use std::time::Duration;

/// Ticks a second that most rates divide.
const TICKS_USUAL: u32 = 90_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) rate: Rate,
    /// Ticks a second.
    pub(crate) timescale: u32,
    /// Ticks.
    pub(crate) frame: u32,
    pub(crate) gop_frames: u32,
    pub(crate) segment_frames: u32,
    pub(crate) chunk_frames: u32,
}

impl Grid {
    pub(crate) fn new(rate: Rate, args: &Args) -> Self {
        let Rate { numerator, denominator } = rate;
        let (timescale, frame) = ticks(rate);
        // A size with every second frame has its keyframes at the same frames of the film.
        let dividers = args.video.iter().map(|rung| divider(rate, rung));
        let step = dividers.fold(1, least_common_multiple);
        let frames = f64::from(numerator) / f64::from(denominator) * f64::from(args.gop_seconds);
        let gop_frames = ((frames / f64::from(step)).round() as u32).max(1) * step;
        let segment_frames = gop_frames * (args.segment_seconds / args.gop_seconds);
        let chunk_frames = segment_frames * (args.chunk_seconds / args.segment_seconds);
        Self { rate, timescale, frame, gop_frames, segment_frames, chunk_frames }
    }

    /// When a frame is shown.
    pub(crate) fn time(&self, frame: u64) -> Duration {
        let nanoseconds = u128::from(frame) * u128::from(self.rate.denominator) * 1_000_000_000;
        let nanoseconds = nanoseconds / u128::from(self.rate.numerator);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    pub(crate) fn segment(&self) -> Span {
        let ticks = u64::from(self.segment_frames) * u64::from(self.frame);
        Span { ticks, timescale: self.timescale }
    }
}

/// A length of time as a ratio: segments are counted for hours, and must not drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) ticks: u64,
    /// Ticks a second.
    pub(crate) timescale: u32,
}

impl Span {
    pub(crate) fn seconds(seconds: u32) -> Self {
        Self { ticks: seconds.into(), timescale: 1 }
    }

    /// The end of so many of them, in another track's ticks, to the nearest.
    pub(crate) fn end_of(&self, count: usize, timescale: u32) -> u64 {
        let ticks = count as u128 * u128::from(self.ticks) * u128::from(timescale);
        let per = u128::from(self.timescale.max(1));
        u64::try_from((ticks + per / 2) / per).unwrap_or(u64::MAX)
    }
}

/// Every how many frames one is taken for a size.
pub(crate) fn divider(rate: Rate, rung: &Rung) -> u32 {
    let frames = f64::from(rate.numerator) / f64::from(rate.denominator);
    let most = f64::from(rung.fps_max.unwrap_or(u32::MAX));
    // 59.94 is 60 for whoever wants 30 at most.
    (frames / most - 0.002).ceil().max(1.0) as u32
}

/// Ticks a second, and ticks of a frame: whole numbers both.
fn ticks(rate: Rate) -> (u32, u32) {
    let Rate { numerator, denominator } = rate;
    let usual = u64::from(TICKS_USUAL) * u64::from(denominator);
    if usual.is_multiple_of(u64::from(numerator)) {
        return (TICKS_USUAL, u32::try_from(usual / u64::from(numerator)).unwrap_or(u32::MAX));
    }
    let finer = if numerator >= 10_000 { 1 } else { 1_000 };
    (numerator.saturating_mul(finer), denominator.saturating_mul(finer))
}

fn least_common_multiple(a: u32, b: u32) -> u32 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x.max(1) * b
}

#[cfg(test)]
#[path = "grid_tests.rs"]
mod tests;
