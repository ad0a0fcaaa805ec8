//! The facts that `manifest-builder` publishes.

use crate::step::Lane;
use crate::{AssetId, PackageId, RunId};
use nexus_sdk::schemars::JsonSchema;
use nexus_sdk::serde::{Deserialize, Serialize};

/// A track that playlists name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "nexus_sdk::serde")]
#[schemars(crate = "nexus_sdk::schemars")]
pub struct ReadyTrack {
    /// Its name: `v720`, `a0`.
    pub track: String,
    /// By RFC 6381.
    pub codec: String,
    /// Lines, by which the track is called; none of sound.
    pub height: Option<i32>,
    pub segments: i64,
    pub bytes: i64,
    pub duration_ms: i64,
    pub peak_bits_per_second: i64,
}

nexus_sdk::event! {
    /// The tracks of a lane are there, their indexes were read and hold what playlists need. Told
    /// once for each lane of a package.
    "media.package.ready.v1" => PackageReady about package {
        package: PackageId,
        asset: AssetId,
        run: RunId,
        lane: Lane,
        tracks: Vec<ReadyTrack>,
        /// Of the longest track.
        duration_ms: i64,
    }
}
