//! Writes fragments: the same samples give the same bytes, and no more of them than needed.

use super::Sample;
use super::boxes::{full_box, plain_box};

/// Flags of samples: decoded without others, or not.
const SYNC: u32 = 0x0200_0000;
const NON_SYNC: u32 = 0x0101_0000;
/// The muxer numbers its only track so.
const TRACK: u32 = 1;
/// Of an `mdat`, before its bytes.
const MDAT_HEAD_BYTES: usize = 8;

/// Samples that are decoded one after another, the first without any before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) samples: Vec<Sample>,
    pub(crate) bytes: Vec<u8>,
}

/// The first bytes of every segment.
pub(crate) fn segment_head() -> Vec<u8> {
    plain_box(b"styp", &[b"msdh", &0u32.to_be_bytes(), b"msdh", b"cmfs"])
}

impl Fragment {
    pub(crate) fn duration(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }

    /// Appends the fragment to a segment. `time` is when its first sample is decoded, in ticks.
    /// Returns how many of the bytes it takes to have the first sample.
    pub(crate) fn write(&self, number: u32, time: u64, segment: &mut Vec<u8>) -> u64 {
        let mfhd = full_box(b"mfhd", 0, &number.to_be_bytes());
        let tfdt = full_box(b"tfdt", 1 << 24, &time.to_be_bytes());
        let uniform = Uniform::of(&self.samples);
        let tfhd = uniform.tfhd();
        // The place of the samples' bytes, which the length of all this decides.
        let moof = |offset: u32| {
            let trun = uniform.trun(&self.samples, offset);
            let traf = plain_box(b"traf", &[&tfhd, &tfdt, &trun]);
            plain_box(b"moof", &[&mfhd, &traf])
        };
        let length = moof(0).len() + MDAT_HEAD_BYTES;
        segment.extend(moof(u32::try_from(length).unwrap_or(u32::MAX)));
        segment.extend(plain_box(b"mdat", &[&self.bytes]));
        let first = self.samples.first().map_or(0, |sample| u64::from(sample.size));
        length as u64 + first
    }
}

/// What all samples of a fragment have in common is said once.
struct Uniform {
    duration: Option<u32>,
    /// Whether every one is a sync sample; otherwise only the first is, or each says it.
    all_sync: bool,
    first_only: bool,
    has_offsets: bool,
}

impl Uniform {
    fn of(samples: &[Sample]) -> Self {
        let first = samples.first().map(|sample| sample.duration);
        Self {
            duration: first.filter(|it| samples.iter().all(|sample| sample.duration == *it)),
            all_sync: samples.iter().all(|sample| sample.is_sync),
            first_only: samples.iter().enumerate().all(|(n, it)| it.is_sync == (n == 0)),
            has_offsets: samples.iter().any(|sample| sample.offset != 0),
        }
    }

    fn tfhd(&self) -> Vec<u8> {
        let mut body = TRACK.to_be_bytes().to_vec();
        // Offsets count from the fragment; default flags follow.
        let mut flags = 0x0002_0020;
        if let Some(duration) = self.duration {
            flags |= 8;
            body.extend(duration.to_be_bytes());
        }
        let default = if self.all_sync { SYNC } else { NON_SYNC };
        body.extend(default.to_be_bytes());
        full_box(b"tfhd", flags, &body)
    }

    fn trun(&self, samples: &[Sample], offset: u32) -> Vec<u8> {
        let says_first = self.first_only && !self.all_sync;
        let says_each = !self.first_only && !self.all_sync;
        let flags = 0x201
            | if says_first { 4 } else { 0 }
            | if self.duration.is_none() { 0x100 } else { 0 }
            | if says_each { 0x400 } else { 0 }
            | if self.has_offsets { 0x800 } else { 0 };
        let mut body = Vec::with_capacity(16 + 16 * samples.len());
        body.extend(u32::try_from(samples.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend(offset.to_be_bytes());
        if says_first {
            body.extend(SYNC.to_be_bytes());
        }
        for sample in samples {
            if self.duration.is_none() {
                body.extend(sample.duration.to_be_bytes());
            }
            body.extend(sample.size.to_be_bytes());
            if says_each {
                body.extend((if sample.is_sync { SYNC } else { NON_SYNC }).to_be_bytes());
            }
            if self.has_offsets {
                body.extend(sample.offset.to_be_bytes());
            }
        }
        // Version 1: a picture of the group before may be shown after the first of this one.
        full_box(b"trun", 1 << 24 | flags, &body)
    }
}
