//! The facts that `streaming` publishes, beside what a view has cost (`transcoder::UsageRecorded`
//! of the kind `view`).

use crate::{AssetId, PackageId, PlaybackId};
use nexus_sdk::uuid::Uuid;

nexus_sdk::event! {
    /// Somebody has pressed play.
    "media.view.started.v1" => ViewStarted about playback {
        playback: PlaybackId,
        asset: AssetId,
        package: PackageId,
        viewer: Uuid,
        /// Whose asset it is.
        owner: Uuid,
    }
    /// Somebody has seen enough of something for it to count; told once for each playback.
    "media.view.qualified.v1" => ViewQualified about playback {
        playback: PlaybackId,
        asset: AssetId,
        viewer: Uuid,
        owner: Uuid,
        watched_ms: i64,
    }
    /// A playback is over.
    "media.view.ended.v1" => ViewEnded about playback {
        playback: PlaybackId,
        asset: AssetId,
        viewer: Uuid,
        owner: Uuid,
        /// `closed`, `stale`, `replaced`, `unpublished`, `deleted`, `plan`.
        reason: String,
        /// What was played, counted once however often it was repeated in between.
        watched_ms: i64,
        position_ms: i64,
    }
}
