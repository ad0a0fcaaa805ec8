//! The track index, version 1: what is published about a track beside its segments. The only thing
//! that manifests are made of, so it says what they need, measured and not hoped for.

use serde::{Deserialize, Serialize};

/// Of the JSON.
pub const VERSION: u32 = 1;
/// The rate of short runs of segments counts as a peak when they last so much of the usual one.
const RUN_SHARES: std::ops::RangeInclusive<f64> = 0.5..=1.5;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    pub version: u32,
    pub track: String,
    #[serde(flatten)]
    pub kind: Kind,
    /// By RFC 6381, e.g. `avc1.64001f`.
    pub codec: String,
    /// Ticks a second, of all times here.
    pub timescale: u32,
    pub init: Part,
    pub segments: Vec<Segment>,
    /// Over any run of segments about as long as one is meant to be.
    pub peak_bits_per_second: u64,
    pub average_bits_per_second: u64,
    /// Pictures, or samples of the codec.
    pub frames: u64,
}

/// What only pictures have, and what only sound has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    Video {
        width: u32,
        height: u32,
        /// Numerator and denominator.
        frame_rate: (u32, u32),
        /// Shape of a pixel.
        sample_aspect: (u32, u32),
        hdr: bool,
    },
    Audio {
        channels: u32,
        /// Hertz.
        sample_rate: u32,
        /// BCP 47 or ISO 639-2, as the job said.
        language: String,
        /// EBU R128, of what is published; absent where nothing is loud, or nobody has measured.
        loudness_lufs: Option<f64>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub bytes: u64,
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// From the beginning of the presentation.
    pub start: u64,
    pub duration: u64,
    pub bytes: u64,
    pub sha256: String,
    /// Of pictures only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyframes: Vec<Keyframe>,
}

/// A picture that stands for itself. Its bytes are the head of its fragment and the picture, and
/// can be played behind the initialization segment alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyframe {
    pub at: u64,
    /// Within the segment.
    pub offset: u64,
    pub bytes: u64,
}

/// Bits a second of the whole, and of the dearest run of segments that lasts about `span` ticks:
/// RFC 8216, 4.4.6.2. A last segment that is short counts with the one before it.
pub(crate) fn rates(segments: &[Segment], span: u64, timescale: u32) -> (u64, u64) {
    let per_second = |bytes: u64, ticks: u64| {
        let bits = u128::from(bytes) * 8 * u128::from(timescale);
        u64::try_from(bits.div_ceil(u128::from(ticks.max(1)))).unwrap_or(u64::MAX)
    };
    let total = |of: fn(&Segment) -> u64| segments.iter().map(of).sum::<u64>();
    let average = per_second(total(|it| it.bytes), total(|it| it.duration));
    let mut peak = average;
    for first in 0..segments.len() {
        let (mut bytes, mut ticks) = (0, 0);
        for segment in &segments[first..] {
            bytes += segment.bytes;
            ticks += segment.duration;
            let share = ticks as f64 / span.max(1) as f64;
            if RUN_SHARES.contains(&share) {
                peak = peak.max(per_second(bytes, ticks));
            }
            if share > *RUN_SHARES.end() {
                // One that is longer than any run counts by itself.
                if ticks == segment.duration {
                    peak = peak.max(per_second(bytes, ticks));
                }
                break;
            }
        }
    }
    (peak, average)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(duration: u64, bytes: u64) -> Segment {
        Segment { start: 0, duration, bytes, sha256: String::new(), keyframes: Vec::new() }
    }

    #[test]
    fn the_peak_is_that_of_a_whole_segment_and_not_of_a_scrap() {
        // Ticks of a millisecond: 1,000 bytes in 4 s are 2,000 bits a second.
        let film = [segment(4_000, 1_000), segment(4_000, 3_000), segment(40, 500)];
        assert_eq!(rates(&film, 4_000, 1_000), (6_931, 4_478));
        assert_eq!(rates(&film[2..], 4_000, 1_000), (100_000, 100_000));
        assert_eq!(rates(&[segment(9_000, 9_000)], 4_000, 1_000), (8_000, 8_000));
    }

    #[test]
    fn the_json_is_the_contracts() {
        let index = Index {
            version: VERSION,
            track: "a0".into(),
            kind: Kind::Audio {
                channels: 2,
                sample_rate: 48_000,
                language: "und".into(),
                loudness_lufs: Some(-16.0),
            },
            codec: "mp4a.40.2".into(),
            timescale: 48_000,
            init: Part { bytes: 1, sha256: "x".into() },
            segments: vec![segment(1, 1)],
            peak_bits_per_second: 1,
            average_bits_per_second: 1,
            frames: 1,
        };
        let json = serde_json::to_value(&index).unwrap();
        assert_eq!((&json["kind"], &json["loudness_lufs"]), (&"audio".into(), &(-16.0).into()));
        assert_eq!(serde_json::from_value::<Index>(json).unwrap(), index);
    }
}
