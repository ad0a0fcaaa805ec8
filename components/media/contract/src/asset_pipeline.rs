//! The facts that `asset-pipeline` publishes, and the orders it gives to the services that do a
//! step.

use crate::facts::Facts;
use crate::step::{Lane, Step};
use crate::{AssetId, Object, PackageId, Reason, RunId, UploadId};
use nexus_sdk::uuid::Uuid;

nexus_sdk::event! {
    /// There is an asset, and it is being processed.
    "media.asset.created.v1" => AssetCreated about asset {
        asset: AssetId,
        owner: Uuid,
        upload: UploadId,
        title: String,
    }
    /// An asset can be played, though not in every size yet.
    "media.asset.playable.v1" => AssetPlayable about asset {
        asset: AssetId,
        owner: Uuid,
        package: PackageId,
        duration_ms: i64,
        /// Names of the tracks that are there.
        tracks: Vec<String>,
    }
    /// An asset is processed.
    "media.asset.ready.v1" => AssetReady about asset {
        asset: AssetId,
        owner: Uuid,
        package: PackageId,
        duration_ms: i64,
        /// Something less than the whole came about: fewer sizes, or no pictures.
        degraded: bool,
        /// Names of the tracks that are there.
        tracks: Vec<String>,
    }
    /// An asset cannot be played, and why.
    "media.asset.failed.v1" => AssetFailed about asset {
        asset: AssetId,
        owner: Uuid,
        reason: Reason,
    }
    /// An asset is gone: nobody may play it from now on, and its objects are being collected.
    "media.asset.deleted.v1" => AssetDeleted about asset {
        asset: AssetId,
        owner: Uuid,
        upload: UploadId,
        /// Every package that was ever made of it.
        packages: Vec<PackageId>,
    }
    /// Subtitles of a package came, changed or went. Each text has a name of its own
    /// (`text/<language>--<digest>.vtt`), so that what is cached of one stays true.
    "media.asset.texts_changed.v1" => TextsChanged about asset {
        asset: AssetId,
        package: PackageId,
    }
    /// A step is due; the service whose step it is takes it. May be told again: the same asset,
    /// run, step and lane are the same work.
    "media.step.requested.v1" => StepRequested about asset {
        asset: AssetId,
        /// Whose asset it is.
        owner: Uuid,
        run: RunId,
        step: Step,
        /// Of the step `transcode` only.
        lane: Option<Lane>,
        /// 1 for the first; a step that failed is tried again under the next number.
        attempt: i32,
        source: Object,
        package: PackageId,
        /// Among the work of all assets, higher first.
        priority: i16,
        /// What the step `probe` has found; absent for that step itself.
        facts: Option<Facts>,
    }
    /// A step is not wanted any more: its asset was deleted, or its run was cancelled. The service
    /// whose step it is stops what is under way and says nothing.
    "media.step.withdrawn.v1" => StepWithdrawn about asset {
        asset: AssetId,
        run: RunId,
    }
}
