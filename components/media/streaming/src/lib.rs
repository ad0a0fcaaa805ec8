//! Streaming: who plays what. Knows who may play an asset, up to which size their plan goes, how
//! many of their players run, and how far each is; says so in tokens that end within minutes, and
//! takes them back at once when it must. Refuses to know playlists and segments, which
//! `manifest-builder` and the host give to whoever shows a token.

mod assets;
mod domain;
mod entitlements;
mod progress;
mod protection;
mod sessions;
mod store;
mod sweep;
mod tokens;

use identity_contract::users::UserErased;
use media_contract::asset_pipeline::{AssetDeleted, AssetPlayable, AssetReady};
use media_contract::content_cms::{ContentPublished, ContentUnpublished};
use media_contract::drm::{
    PackageProtected, PackageWithdrawn, ProtectionDecided, ProtectionDefaultDecided,
};
use media_contract::step::StepDone;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Playing everybody's assets, also such as are not published; seeing everybody's plan.
    View = "streaming:view";
    /// Publishing everybody's assets, and setting plans.
    Manage = "streaming:manage"
}

nexus_sdk::callers! {
    /// Whether a playback still runs, before keys are given to it.
    Drm = ["drm"]
}

nexus_sdk::service! {
    http: router,
    events: {
        "media.asset.playable.v1" => on_playable,
        "media.asset.ready.v1" => on_ready,
        "media.asset.deleted.v1" => on_deleted,
        "media.step.done.v1" => on_done,
        "media.content.published.v1" => on_published,
        "media.content.unpublished.v1" => on_unpublished,
        "media.protection.decided.v1" => on_protection,
        "media.protection.default_decided.v1" => on_default,
        "media.package.protected.v1" => on_protected,
        "media.package.withdrawn.v1" => on_withdrawn,
        "identity.user.erased.v1" => on_erased,
    },
    cron: sweep,
}

fn router() -> Router {
    Router::new()
        .merge(sessions::router())
        .merge(progress::router())
        .merge(entitlements::router())
        .merge(assets::router())
}

/// Who watches: a person, or a program with a person's key.
pub(crate) fn viewer(by: &Ctx) -> Result<Uuid> {
    Ok(by.principal().subject.parse().map_err(|_| standard::Forbidden)?)
}

async fn on_playable(ctx: Ctx, event: AssetPlayable) -> Result<NoContent> {
    let asset = (event.asset, event.owner, event.package);
    let lowest = domain::lowest(&event.tracks);
    ctx.commit(store::assets::put(asset, event.duration_ms, (lowest, false))).await
}

async fn on_ready(ctx: Ctx, event: AssetReady) -> Result<NoContent> {
    let asset = (event.asset, event.owner, event.package);
    let lowest = domain::lowest(&event.tracks);
    ctx.commit(store::assets::put(asset, event.duration_ms, (lowest, true))).await
}

async fn on_deleted(ctx: Ctx, event: AssetDeleted) -> Result<NoContent> {
    assets::on_deleted(ctx, event).await
}

async fn on_done(ctx: Ctx, event: StepDone) -> Result<NoContent> {
    assets::on_pictures(ctx, event).await
}

async fn on_published(ctx: Ctx, event: ContentPublished) -> Result<NoContent> {
    ctx.commit(assets::publication(event.asset, true, event.at, ctx.now())).await
}

async fn on_unpublished(ctx: Ctx, event: ContentUnpublished) -> Result<NoContent> {
    ctx.commit(assets::publication(event.asset, false, event.at, ctx.now())).await
}

async fn on_protection(ctx: Ctx, event: ProtectionDecided) -> Result<NoContent> {
    ctx.commit(protection::decided(&event, ctx.now())).await
}

async fn on_default(ctx: Ctx, event: ProtectionDefaultDecided) -> Result<NoContent> {
    ctx.commit(protection::default_decided(&event, ctx.now())).await
}

async fn on_protected(ctx: Ctx, event: PackageProtected) -> Result<NoContent> {
    ctx.commit(store::protection::put_package(&event)).await
}

async fn on_withdrawn(ctx: Ctx, event: PackageWithdrawn) -> Result<NoContent> {
    ctx.commit(protection::withdrawn(&event, ctx.now())).await
}

async fn on_erased(ctx: Ctx, event: UserErased) -> Result<NoContent> {
    let viewer: Uuid = event.id.into();
    let mut writes = Vec::from(store::sessions::erase(viewer, ctx.now()));
    writes.push(store::progress::erase(viewer));
    writes.push(store::entitlements::remove(viewer));
    ctx.commit(writes).await
}

async fn sweep(system: System) -> Result<NoContent> {
    sweep::sweep(system).await
}
