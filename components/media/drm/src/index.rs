//! The index of a protected track: the clear one's (`media-native/transcode`, version 1) with the
//! sizes, digests and places of what was encrypted, and the word how it was. Pure.

use crate::cenc::Protected;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Runs of segments that last so much of the usual one count as a peak (RFC 8216, 4.4.6.2).
const RUN_SHARES: std::ops::RangeInclusive<f64> = 0.5..=1.5;

/// The index of a clear track; what is not changed is kept whatever it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Clear(Value);

/// What has become of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub bytes: u64,
    pub sha256: String,
    /// Offset and length of each keyframe.
    pub keyframes: Vec<(u64, u64)>,
}

/// How a track was encrypted, in the words of the index.
#[derive(Debug, Serialize)]
pub struct Protection {
    pub scheme: &'static str,
    pub key_id: String,
    pub iv: String,
    pub pattern: [u8; 2],
}

impl Clear {
    /// # Errors
    /// In words, what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Clear, String> {
        let index: Value = serde_json::from_slice(bytes).map_err(|why| why.to_string())?;
        let has_all = index["segments"].as_array().is_some_and(|all| !all.is_empty());
        match (index["version"] == 1 && has_all, index["protection"].is_null()) {
            (true, true) => Ok(Clear(index)),
            (true, false) => Err("it is protected already".into()),
            (false, _) => Err("it is no index of version 1".into()),
        }
    }

    fn segments(&self) -> &[Value] {
        self.0["segments"].as_array().map_or(&[], Vec::as_slice)
    }

    pub fn count(&self) -> usize {
        self.segments().len()
    }

    /// Bytes of a segment.
    pub fn bytes(&self, segment: usize) -> u64 {
        self.segments().get(segment).and_then(|it| it["bytes"].as_u64()).unwrap_or(0)
    }

    /// What is told of a segment that was encrypted.
    pub fn told(&self, segment: usize, made: &Protected) -> Segment {
        let keyframes = self.segments().get(segment).and_then(|it| it["keyframes"].as_array());
        let place = |keyframe: &Value| {
            let (offset, bytes) = (keyframe["offset"].as_u64()?, keyframe["bytes"].as_u64()?);
            let begin = made.moved(offset);
            Some((begin, made.moved(offset + bytes) - begin))
        };
        let keyframes = keyframes.map(Vec::as_slice).unwrap_or_default().iter();
        Segment {
            bytes: made.bytes.len() as u64,
            sha256: sha256(&made.bytes),
            keyframes: keyframes.filter_map(place).collect(),
        }
    }

    /// The index of the protected track; `init` is its initialization segment.
    ///
    /// # Errors
    /// In words, when not every segment was encrypted.
    pub fn protected(
        mut self,
        init: &[u8],
        made: &[Segment],
        how: &Protection,
    ) -> Result<Vec<u8>, String> {
        if made.len() != self.count() {
            return Err(format!("{} of {} segments were encrypted", made.len(), self.count()));
        }
        self.0["init"] = json!({ "bytes": init.len(), "sha256": sha256(init) });
        self.0["protection"] = json!(how);
        let timescale = self.0["timescale"].as_u64().unwrap_or(1);
        let segments = self.0["segments"].as_array_mut().map(Vec::as_mut_slice);
        let segments = segments.unwrap_or_default();
        let mut lengths = Vec::new();
        for (segment, made) in segments.iter_mut().zip(made) {
            segment["bytes"] = made.bytes.into();
            segment["sha256"] = made.sha256.as_str().into();
            // Sound has none, and gets none.
            let keyframes = segment.get_mut("keyframes").and_then(Value::as_array_mut);
            let keyframes = keyframes.into_iter().flatten();
            for (keyframe, (offset, bytes)) in keyframes.zip(&made.keyframes) {
                keyframe["offset"] = (*offset).into();
                keyframe["bytes"] = (*bytes).into();
            }
            lengths.push((segment["duration"].as_u64().unwrap_or(0), made.bytes));
        }
        let (peak, average) = rates(&lengths, timescale);
        self.0["peak_bits_per_second"] = peak.into();
        self.0["average_bits_per_second"] = average.into();
        serde_json::to_vec(&self.0).map_err(|why| why.to_string())
    }
}

/// Bits a second of the dearest run of segments that lasts about as long as the longest one, and of
/// the whole. Segments are ticks and bytes.
fn rates(segments: &[(u64, u64)], timescale: u64) -> (u64, u64) {
    let per_second = |bytes: u64, ticks: u64| {
        let bits = u128::from(bytes) * 8 * u128::from(timescale);
        u64::try_from(bits.div_ceil(u128::from(ticks.max(1)))).unwrap_or(u64::MAX)
    };
    let total = |of: fn(&(u64, u64)) -> u64| segments.iter().map(of).sum::<u64>();
    let average = per_second(total(|it| it.1), total(|it| it.0));
    let span = segments.iter().map(|it| it.0).max().unwrap_or(1).max(1);
    let mut peak = average;
    for first in 0..segments.len() {
        let (mut ticks, mut bytes) = (0, 0);
        for segment in &segments[first..] {
            (ticks, bytes) = (ticks + segment.0, bytes + segment.1);
            let share = ticks as f64 / span as f64;
            if RUN_SHARES.contains(&share) {
                peak = peak.max(per_second(bytes, ticks));
            }
            if share > *RUN_SHARES.end() {
                break;
            }
        }
    }
    (peak, average)
}

/// 64 lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clear() -> Value {
        json!({
            "version": 1, "track": "v720", "kind": "video", "codec": "avc1.64001f",
            "timescale": 1000, "width": 1280, "init": { "bytes": 700, "sha256": "x" },
            "segments": [
                { "start": 0, "duration": 4000, "bytes": 1000, "sha256": "x",
                  "keyframes": [{ "at": 0, "offset": 24, "bytes": 300 }] },
                { "start": 4000, "duration": 4000, "bytes": 3000, "sha256": "x",
                  "keyframes": [{ "at": 4000, "offset": 24, "bytes": 500 }] },
            ],
            "peak_bits_per_second": 6000, "average_bits_per_second": 4000, "frames": 200,
        })
    }

    fn made(bytes: u64, keyframe: (u64, u64)) -> Segment {
        Segment { bytes, sha256: "y".into(), keyframes: vec![keyframe] }
    }

    fn quiet(bytes: u64) -> Segment {
        Segment { bytes, sha256: "y".into(), keyframes: Vec::new() }
    }

    #[test]
    fn an_index_says_of_what_was_encrypted_what_is_true_of_it() {
        let read = Clear::read(clear().to_string().as_bytes()).unwrap();
        assert_eq!((read.count(), read.bytes(1)), (2, 3000));
        let how = Protection {
            scheme: "cbcs",
            key_id: "11".repeat(16),
            iv: "5a".repeat(16),
            pattern: [1, 9],
        };
        let segments = [made(1100, (24, 340)), made(3100, (24, 540))];
        let index = read.clone().protected(b"init", &segments, &how).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        assert_eq!(index["protection"]["scheme"], "cbcs");
        assert_eq!(index["protection"]["pattern"], json!([1, 9]));
        assert_eq!(index["init"]["bytes"], 4);
        assert_eq!(
            index["segments"][1]["keyframes"][0],
            json!({
            "at": 4000, "offset": 24, "bytes": 540 })
        );
        assert_eq!(index["segments"][0]["bytes"], 1100);
        assert_eq!((&index["frames"], &index["width"]), (&json!(200), &json!(1280)));
        assert_eq!(index["peak_bits_per_second"], 6200);
        assert_eq!(index["average_bits_per_second"], 4200);
        let mut sound = clear();
        sound["segments"].as_array_mut().unwrap().iter_mut().for_each(|segment| {
            segment.as_object_mut().unwrap().remove("keyframes");
        });
        let sound = Clear::read(sound.to_string().as_bytes()).unwrap();
        let sound = sound.protected(b"init", &[quiet(110), quiet(120)], &how).unwrap();
        assert!(!String::from_utf8(sound).unwrap().contains("keyframes"));
        let few = read.protected(b"init", &segments[..1], &how).unwrap_err();
        assert_eq!(few, "1 of 2 segments were encrypted");
        let again = Clear::read(index.to_string().as_bytes()).unwrap_err();
        assert_eq!(again, "it is protected already");
    }
}
