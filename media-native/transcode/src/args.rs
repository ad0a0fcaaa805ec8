//! What a job asks for, as the service that submits it writes it, and what is told of it at the
//! end.

use nexus_media_protocol::Failure;
use nexus_media_protocol::wire::Object;
use serde::{Deserialize, Serialize};

/// Tracks of one job.
const TRACKS_MAX: usize = 20;
const TRACK_CHARS_MAX: usize = 20;
/// 8K, standing.
const HEIGHT_MAX: u32 = 8192;
const CHUNK_SECONDS_MAX: u32 = 600;
const CRF_USUAL: u8 = 23;
const BITS_PER_SECOND: std::ops::RangeInclusive<u64> = 8_000..=200_000_000;

/// How the tracks come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// The source's own pictures, cut into segments.
    Remux,
    /// One small size, quickly.
    Fast,
    /// Every size.
    Ladder,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Args {
    pub source: Object,
    /// Where the tracks go: a bucket and the beginning of the keys.
    pub prefix: Object,
    pub lane: Lane,
    #[serde(default)]
    pub video: Vec<Rung>,
    #[serde(default)]
    pub audio: Vec<Wish>,
    #[serde(default = "four")]
    pub segment_seconds: u32,
    #[serde(default = "two")]
    pub gop_seconds: u32,
    /// What is done again at most when a worker dies.
    #[serde(default = "sixty")]
    pub chunk_seconds: u32,
    /// By preference; those that this machine has not are passed over, and a processor's own comes
    /// last. Empty is whatever this machine has.
    #[serde(default)]
    pub encoders: Vec<String>,
}

/// One size of the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    pub track: String,
    pub height: u32,
    /// Only `h264`.
    #[serde(default = "h264")]
    pub codec: String,
    /// Constant quality: 0 to 51, smaller is better.
    #[serde(default = "usual")]
    pub crf: u8,
    pub maxrate_bps: u64,
    /// Bits over which the rate is held; default: two seconds of it.
    pub bufsize: Option<u64>,
    /// Every second or third frame where the source has more.
    pub fps_max: Option<u32>,
    pub preset: Option<String>,
}

/// One track of sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Among the source's tracks of sound, from 0.
    pub source_index: usize,
    pub track: String,
    pub bitrate_bps: u64,
    /// 1 or 2; more is brought down to 2.
    #[serde(default = "two")]
    pub channels: u32,
    #[serde(default = "undetermined")]
    pub language: String,
}

/// What has come about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub tracks: Vec<Made>,
    pub duration_ms: u64,
    /// Of the pictures; absent where none were encoded.
    pub encoder: Option<String>,
    /// Of all attempts that a checkpoint knows of.
    pub cpu_seconds: f64,
    pub content_seconds: f64,
    pub chunks: u32,
}

/// A track that is there whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub track: String,
    pub index: Object,
    pub segments: usize,
    /// Of its segments and its head.
    pub bytes: u64,
    /// Pictures, or samples of the codec.
    pub frames: u64,
}

impl Args {
    /// # Errors
    ///
    /// [`Failure::Reject`] for what nobody can do, or should.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let refuse = |words: &str| Err(Failure::reject(format!("the arguments: {words}")));
        let (segment, gop) = (self.segment_seconds, self.gop_seconds);
        if gop == 0 || segment == 0 || segment % gop != 0 || segment > 30 {
            return refuse("a segment is a whole number of groups of pictures, at most 30 s");
        }
        let chunk = self.chunk_seconds;
        if chunk == 0 || chunk % segment != 0 || chunk > CHUNK_SECONDS_MAX {
            return refuse("a chunk is a whole number of segments, at most 600 s");
        }
        let names = self.video.iter().map(|rung| &rung.track);
        let mut names: Vec<_> = names.chain(self.audio.iter().map(|wish| &wish.track)).collect();
        if names.is_empty() || names.len() > TRACKS_MAX || !names.iter().all(|it| is_name(it)) {
            return refuse("1 to 20 tracks, named by small letters and digits");
        }
        names.sort();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return refuse("a track's name stands twice");
        }
        if self.prefix.key.is_empty() || self.prefix.key.ends_with('/') {
            return refuse("a prefix is not empty and ends without a slash");
        }
        let rates = self.video.iter().map(|rung| rung.maxrate_bps);
        let mut rates = rates.chain(self.audio.iter().map(|wish| wish.bitrate_bps));
        if !rates.all(|rate| BITS_PER_SECOND.contains(&rate)) {
            return refuse("a rate is 8,000 to 200,000,000 bits a second");
        }
        let sane = |rung: &Rung| {
            (2..=HEIGHT_MAX).contains(&rung.height)
                && rung.crf <= 51
                && rung.codec == "h264"
                && rung.fps_max.is_none_or(|most| most > 0)
                && rung.preset.as_deref().is_none_or(is_name)
        };
        if !self.video.iter().all(sane) {
            return refuse("a size of the picture that cannot be made");
        }
        Ok(())
    }
}

/// It becomes a part of a key, of a path and of a command line.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=TRACK_CHARS_MAX).contains(&text.len()) && text.chars().all(plain)
}

fn four() -> u32 {
    4
}

fn two() -> u32 {
    2
}

fn sixty() -> u32 {
    60
}

fn usual() -> u8 {
    CRF_USUAL
}

fn h264() -> String {
    "h264".into()
}

fn undetermined() -> String {
    "und".into()
}
