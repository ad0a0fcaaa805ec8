//! A track by its index, version 1, which the worker writes that has made it
//! (`media-native/transcode`). Pure.

use nexus_sdk::prelude::*;

/// Of the index.
const VERSION: u32 = 1;
const CODEC_CHARS_MAX: usize = 64;
const LANGUAGE_CHARS_MAX: usize = 35;

/// A track and its segments. What playlists do not need is not kept.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Track {
    version: u32,
    /// Its folder: `v720`, `f480` of what comes first, `a0`.
    #[serde(rename = "track")]
    pub name: String,
    #[serde(flatten)]
    pub kind: Kind,
    /// By RFC 6381.
    pub codec: String,
    /// Ticks a second.
    pub timescale: u32,
    pub segments: Vec<Segment>,
    /// Over any run of segments about as long as one is meant to be.
    pub peak_bits_per_second: u64,
    pub average_bits_per_second: u64,
    /// Absent where it is clear.
    #[serde(default)]
    pub protection: Option<Protection>,
}

/// How a track is encrypted, as `drm` has written it down.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Protection {
    pub scheme: Scheme,
    /// 32 hexadecimal digits.
    pub key_id: String,
}

/// ISO/IEC 23001-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    Cbcs,
}

impl Scheme {
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Cbcs => "cbcs",
        }
    }
}

impl Protection {
    /// The key's id in bytes; None when it is none.
    fn read_key_id(&self) -> Option<[u8; 16]> {
        let plain = self.key_id.len() == 32 && self.key_id.is_ascii();
        let digits = plain.then(|| u128::from_str_radix(&self.key_id, 16).ok())??;
        Some(digits.to_be_bytes())
    }

    fn is_sane(&self) -> bool {
        self.read_key_id().is_some()
    }

    pub fn key_id(&self) -> [u8; 16] {
        self.read_key_id().unwrap_or_default()
    }
}

/// What only pictures have, and what only sound has.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    Video {
        width: u32,
        height: u32,
        /// Numerator and denominator.
        frame_rate: (u32, u32),
        /// Shape of a pixel.
        sample_aspect: (u32, u32),
    },
    Audio {
        channels: u32,
        /// Hertz.
        sample_rate: u32,
        /// BCP 47 or ISO 639-2.
        language: String,
    },
}

/// Times in ticks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Segment {
    /// From the beginning of the presentation.
    pub start: u64,
    pub duration: u64,
    pub bytes: u64,
    #[serde(default)]
    pub keyframes: Vec<Keyframe>,
}

/// A picture that stands for itself: with its fragment's head, a range of the segment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Keyframe {
    pub at: u64,
    pub offset: u64,
    pub bytes: u64,
}

impl Track {
    /// The track that an index describes, if playlists can be made of it.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn read(name: &str, index: &[u8]) -> Result<Track, String> {
        let track: Track = serde_json::from_slice(index).map_err(|why| why.to_string())?;
        track.check(name).map_err(str::to_owned)?;
        Ok(track)
    }

    fn check(&self, name: &str) -> Result<(), &'static str> {
        let sane = |text: &str, most: usize, also: &[u8]| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || also.contains(&byte);
            (1..=most).contains(&text.len()) && text.bytes().all(plain)
        };
        let shape = match &self.kind {
            Kind::Video { width, height, frame_rate, sample_aspect } => {
                let parts = [*width, *height, frame_rate.0, frame_rate.1];
                let parts = parts.into_iter().chain([sample_aspect.0, sample_aspect.1]);
                lines_of(&self.name).is_some() && parts.into_iter().all(|part| part > 0)
            }
            Kind::Audio { channels, sample_rate, language } => {
                let spoken = language.is_empty() || sane(language, LANGUAGE_CHARS_MAX, b"-");
                self.name.starts_with('a') && *channels > 0 && *sample_rate > 0 && spoken
            }
        };
        let in_order = |pair: &[Segment]| pair[0].start + pair[0].duration <= pair[1].start;
        let within = |segment: &Segment| {
            let inside = |key: &Keyframe| {
                let end = key.offset.checked_add(key.bytes);
                key.bytes > 0 && end.is_some_and(|end| end <= segment.bytes)
            };
            segment.keyframes.iter().all(inside)
        };
        let rules = [
            (self.version == VERSION, "it is of another version"),
            (self.name == name && is_name(name), "it is of another track"),
            (shape, "its shape is missing"),
            (sane(&self.codec, CODEC_CHARS_MAX, b".-"), "its codec is no word of RFC 6381"),
            (self.timescale > 0, "it has no clock"),
            (!self.segments.is_empty(), "it has no segments"),
            (self.segments.iter().all(|it| it.duration > 0), "a segment lasts no time"),
            (self.segments.windows(2).all(in_order), "segments overlap"),
            (self.segments.iter().all(within), "a keyframe lies outside of its segment"),
            (self.peak_bits_per_second > 0, "its rate is missing"),
            (self.protection.as_ref().is_none_or(Protection::is_sane), "its key has no id"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, why)| Err(why))
    }

    /// Lines by which a picture is called; what a token's height is compared with.
    pub fn lines(&self) -> Option<u16> {
        lines_of(&self.name)
    }

    pub fn is_video(&self) -> bool {
        matches!(self.kind, Kind::Video { .. })
    }

    pub fn language(&self) -> &str {
        match &self.kind {
            Kind::Audio { language, .. } if !language.is_empty() => language,
            _ => "und",
        }
    }

    /// Made to be there early; better ones stand for it.
    pub fn is_first(&self) -> bool {
        self.name.starts_with('f')
    }

    /// Ticks at which the last segment ends.
    pub fn end(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.start + last.duration)
    }

    pub fn microseconds(&self, ticks: u64) -> u64 {
        let exact = u128::from(ticks) * 1_000_000;
        let scale = u128::from(self.timescale);
        u64::try_from((exact + scale / 2) / scale).unwrap_or(u64::MAX)
    }

    /// Microseconds of each segment, rounded so that all of them together are the whole.
    pub fn lengths(&self) -> impl Iterator<Item = u64> {
        self.segments.iter().map(|segment| {
            let end = self.microseconds(segment.start + segment.duration);
            end - self.microseconds(segment.start)
        })
    }

    pub fn duration_ms(&self) -> i64 {
        i64::try_from(self.microseconds(self.end()).div_ceil(1000)).unwrap_or(i64::MAX)
    }

    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Square pixels as they are shown.
    pub fn shown(&self) -> Option<(u32, u32)> {
        let Kind::Video { width, height, sample_aspect: (wide, high), .. } = self.kind else {
            return None;
        };
        let width = (u64::from(width) * u64::from(wide) + u64::from(high) / 2) / u64::from(high);
        Some((u32::try_from(width).unwrap_or(u32::MAX).max(1), height))
    }
}

/// Whether a folder of a package can be a track.
pub fn is_name(name: &str) -> bool {
    let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    lines_of(name).is_some() || name.strip_prefix('a').is_some_and(number)
}

/// As the origin reads them: no other spelling is a track.
fn lines_of(name: &str) -> Option<u16> {
    let digits = name.strip_prefix(['v', 'f'])?;
    let plain = !digits.starts_with('0') && digits.bytes().all(|it| it.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use nexus_sdk::serde_json::Value;

    /// An index as the worker writes it: segments of 4 s, the last one shorter, two keyframes each.
    pub fn index(name: &str, lines: u32, seconds: u32, peak: u64) -> Value {
        let (timescale, whole) = (90_000, u64::from(seconds) * 90_000);
        let segments: Vec<Value> = (0..whole)
            .step_by(4 * timescale)
            .map(|start| {
                let duration = (whole - start).min(4 * timescale as u64);
                let at = [start, start + 2 * timescale as u64];
                let keyframes: Vec<Value> = at
                    .iter()
                    .filter(|at| **at < start + duration)
                    .enumerate()
                    .map(|(n, at)| json!({ "at": at, "offset": 5000 * n + 100, "bytes": 900 }))
                    .collect();
                json!({ "start": start, "duration": duration, "bytes": 10_000, "sha256": "x",
                    "keyframes": keyframes })
            })
            .collect();
        json!({
            "version": 1, "track": name, "kind": "video", "codec": "avc1.64001f",
            "timescale": timescale, "width": lines * 16 / 9, "height": lines,
            "frame_rate": [30000, 1001], "sample_aspect": [1, 1], "hdr": false,
            "init": { "bytes": 700, "sha256": "x" }, "segments": segments,
            "peak_bits_per_second": peak, "average_bits_per_second": peak / 2, "frames": 1,
        })
    }

    pub fn sound(name: &str, seconds: u32, language: &str) -> Value {
        let mut sound = index(name, 16, seconds, 128_000);
        sound["kind"] = "audio".into();
        sound["codec"] = "mp4a.40.2".into();
        sound["channels"] = 2.into();
        sound["sample_rate"] = 48_000.into();
        sound["language"] = language.into();
        sound["loudness_lufs"] = (-16.0).into();
        sound
    }

    /// The index of the same track, protected by a key.
    pub fn protected(mut index: Value, key: u8) -> Value {
        let key_id = format!("{key:02x}").repeat(16);
        let (iv, pattern) = ("5a".repeat(16), [1, 9]);
        index["protection"] =
            json!({ "scheme": "cbcs", "key_id": key_id, "iv": iv, "pattern": pattern });
        index
    }

    pub fn read(index: &Value) -> Result<Track, String> {
        let name = index["track"].as_str().unwrap().to_owned();
        Track::read(&name, index.to_string().as_bytes())
    }

    #[test]
    fn an_index_that_playlists_cannot_be_made_of_is_refused_with_a_reason() {
        read(&index("v720", 720, 10, 2_000_000)).unwrap();
        read(&sound("a0", 10, "de")).unwrap();
        let broken = |change: fn(&mut Value)| {
            let mut index = index("v720", 720, 10, 2_000_000);
            change(&mut index);
            Track::read("v720", index.to_string().as_bytes()).unwrap_err()
        };
        assert_eq!(broken(|it| it["version"] = 2.into()), "it is of another version");
        assert_eq!(broken(|it| it["track"] = "v1080".into()), "it is of another track");
        assert_eq!(broken(|it| it["height"] = 0.into()), "its shape is missing");
        let quoted = broken(|it| it["codec"] = "avc1\"".into());
        assert_eq!(quoted, "its codec is no word of RFC 6381");
        assert_eq!(broken(|it| it["timescale"] = 0.into()), "it has no clock");
        assert_eq!(broken(|it| it["segments"] = json!([])), "it has no segments");
        assert_eq!(broken(|it| it["segments"][1]["start"] = 1.into()), "segments overlap");
        let far = broken(|it| it["segments"][0]["keyframes"][0]["offset"] = 9_999.into());
        assert_eq!(far, "a keyframe lies outside of its segment");
        assert!(Track::read("v720", b"{").is_err());
        let odd = broken(|it| it["protection"] = json!({ "scheme": "cbcs", "key_id": "11" }));
        assert_eq!(odd, "its key has no id");
        let unknown = json!({ "scheme": "cens", "key_id": "1".repeat(32) });
        let mut other = index("v720", 720, 10, 2_000_000);
        other["protection"] = unknown;
        assert!(read(&other).is_err());
    }

    #[test]
    fn only_what_the_origin_serves_is_a_track() {
        for (name, is) in [
            ("v720", true),
            ("f480", true),
            ("a0", true),
            ("v0720", false),
            ("v", false),
            ("v70000", false),
            ("a", false),
            ("images", false),
            ("x1", false),
        ] {
            assert_eq!(is_name(name), is, "{name}");
        }
    }

    #[test]
    fn lengths_of_segments_are_those_of_the_whole_whatever_the_clock() {
        let mut third = index("v720", 720, 10, 2_000_000);
        third["timescale"] = 48_001.into();
        let third = read(&third).unwrap();
        assert_eq!(third.lengths().sum::<u64>(), third.microseconds(third.end()));
    }

    #[test]
    fn a_picture_of_other_pixels_is_shown_in_square_ones() {
        let mut wide = index("v576", 576, 4, 2_000_000);
        wide["width"] = 720.into();
        wide["sample_aspect"] = json!([64, 45]);
        assert_eq!(read(&wide).unwrap().shown(), Some((1024, 576)));
    }
}
