//! Manifest builder: what a player reads first. Knows the tracks of a package by the indexes that
//! lie beside them, and writes HLS playlists (RFC 8216) and DASH manifests (ISO/IEC 23009-1) that
//! point to the same segments; refuses to know who may watch what, which a token says that
//! `streaming` makes, and to touch a segment.

mod dash;
mod hls;
mod lanes;
mod languages;
mod objects;
mod package;
mod packages;
mod playlists;
mod shelf;
mod store;
mod storyboard;
mod track;

use media_contract::asset_pipeline::{AssetDeleted, AssetPlayable, AssetReady};
use media_contract::drm::PackageProtected;
use media_contract::step::StepDone;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Everybody's packages, not one's own alone.
    View = "manifest-builder:view"
}

nexus_sdk::service! {
    http: router,
    root: protocol,
    events: {
        "media.step.done.v1" => on_done,
        "media.asset.playable.v1" => on_playable,
        "media.asset.ready.v1" => on_ready,
        "media.asset.deleted.v1" => on_deleted,
        "media.package.protected.v1" => on_protected,
    },
}

fn router() -> Router {
    packages::router()
}

fn protocol() -> Router {
    playlists::router()
}

async fn on_done(ctx: Ctx, event: StepDone) -> Result<NoContent> {
    lanes::on_done(ctx, event).await
}

async fn on_playable(ctx: Ctx, event: AssetPlayable) -> Result<NoContent> {
    let owner = Some(event.owner);
    ctx.commit(store::put_package(event.package, event.asset, owner, false, ctx.now())).await
}

async fn on_ready(ctx: Ctx, event: AssetReady) -> Result<NoContent> {
    let owner = Some(event.owner);
    ctx.commit(store::put_package(event.package, event.asset, owner, true, ctx.now())).await
}

async fn on_deleted(ctx: Ctx, event: AssetDeleted) -> Result<NoContent> {
    ctx.commit([store::forget_lanes(event.asset), store::forget_packages(event.asset)]).await
}

/// Another package of the same asset, made of one that is known.
async fn on_protected(ctx: Ctx, event: PackageProtected) -> Result<NoContent> {
    let (owner, is_complete) = (Some(event.owner), event.is_complete);
    ctx.commit(store::put_package(event.package, event.asset, owner, is_complete, ctx.now())).await
}
