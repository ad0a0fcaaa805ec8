//! What an attempt leaves to the next one: every track as far as it is stored. One object beside
//! the tracks, so that it goes when they go.

use crate::args::Args;
use crate::track::{Track, sha256};
use nexus_media_ffmpeg::Source;
use nexus_media_protocol::wire::Object;
use nexus_media_protocol::{Context, Failure};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Of the JSON, and of how tracks are cut: another is not gone on from.
const VERSION: u32 = 1;
/// Ten hours in ten sizes are some 40 MB.
const BYTES_MAX: u64 = 256 << 20;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    version: u32,
    /// A digest of the source and of what is wanted of it.
    plan: String,
    /// Whose pictures they are.
    pub(crate) encoder: Option<String>,
    /// Whole tracks.
    pub(crate) sounds: Vec<Track>,
    /// All as long as one another.
    pub(crate) pictures: Vec<Track>,
    /// Done, of the pictures.
    pub(crate) chunks: u32,
    /// Whether there is no further chunk.
    pub(crate) is_complete: bool,
    pub(crate) cpu: Duration,
}

impl Checkpoint {
    /// Goes on from what an earlier attempt has left, if it is of the same work.
    pub(crate) fn open(args: &Args, source: &Source, cx: &Context) -> Result<Self, Failure> {
        let wanted = serde_json::to_string(args).map_err(Failure::retry)?;
        let plan = sha256(format!("{VERSION} {} {wanted}", source.sha256).as_bytes());
        let fresh = Self { version: VERSION, plan, ..Self::default() };
        let Some(object) = cx.checkpoint() else { return Ok(fresh) };
        let fetched = match cx.fetch(object, BYTES_MAX) {
            // Nobody promised that it would still be there.
            Err(Failure::Reject(_)) => return Ok(fresh),
            fetched => fetched?,
        };
        let bytes = std::fs::read(&fetched.path).map_err(Failure::retry)?;
        let left = serde_json::from_slice::<Self>(&bytes).ok();
        let same = |left: &Self| (left.version, &left.plan) == (fresh.version, &fresh.plan);
        Ok(left.filter(same).unwrap_or(fresh))
    }

    /// Has a later attempt go on from here.
    pub(crate) fn keep(&self, args: &Args, cx: &Context) -> Result<(), Failure> {
        let lane = format!("{:?}", args.lane).to_lowercase();
        let key = format!("{}/checkpoints/{lane}.json", args.prefix.key);
        let object = Object { bucket: args.prefix.bucket.clone(), key };
        let file = cx.folder().join("checkpoint.json");
        let bytes = serde_json::to_vec(self).map_err(Failure::retry)?;
        std::fs::write(&file, bytes).map_err(Failure::retry)?;
        cx.put(&file, &object, "application/json")?;
        cx.keep_checkpoint(&object)
    }

    /// Begins the pictures anew, with another encoder.
    pub(crate) fn without_pictures(&mut self) {
        self.pictures.clear();
        (self.encoder, self.chunks, self.is_complete) = (None, 0, false);
    }
}
