//! DRM: packages of films that are worth nothing without a key, and who gets one. Knows which
//! assets are to be protected, encrypts what is played of them, and gives keys to whoever shows a
//! playback token that covers them; refuses to know who may play what, which is `streaming`'s, and
//! to keep a key that `kms` has not wrapped.

pub mod cenc;
mod cpix;
mod domain;
mod flow;
mod index;
mod keys;
mod licences;
mod making;
mod objects;
mod packages;
mod policies;
mod store;
mod sweep;

use domain::Asset;
use flow::Cause;
use media_contract::AssetId;
use media_contract::asset_pipeline::{
    AssetCreated, AssetDeleted, AssetPlayable, AssetReady, TextsChanged,
};
use media_contract::drm::ProtectionOrdered;
use media_contract::step::{Outcome, Step, StepDone};
use nexus_sdk::Permission;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Everybody's policies and packages, not those of one's own assets alone.
    View = "drm:view";
    /// Deciding about everybody's assets and the default, and taking keys along.
    Manage = "drm:manage"
}

nexus_sdk::service! {
    http: router,
    events: {
        "media.asset.created.v1" => on_created,
        "media.asset.playable.v1" => on_playable,
        "media.asset.ready.v1" => on_ready,
        "media.asset.deleted.v1" => on_deleted,
        "media.asset.texts_changed.v1" => on_texts,
        "media.step.done.v1" => on_done,
        "media.protection.ordered.v1" => on_ordered,
    },
    cron: [sweep, rotate, collect],
}

fn router() -> Router {
    Router::new().merge(policies::router()).merge(packages::router()).merge(licences::router())
}

/// Whose assets somebody may see: their own, or everybody's (`None`).
pub(crate) fn seen_by(by: &Ctx) -> Result<Option<Uuid>> {
    whose(by, &[View::NAME, Manage::NAME])
}

/// Whose assets somebody may decide about.
pub(crate) fn changed_by(by: &Ctx) -> Result<Option<Uuid>> {
    whose(by, &[Manage::NAME])
}

fn whose(by: &Ctx, enough: &[&str]) -> Result<Option<Uuid>> {
    if enough.iter().any(|permission| by.principal().may(permission)) {
        return Ok(None);
    }
    Ok(Some(by.principal().subject.parse().map_err(|_| standard::Forbidden)?))
}

/// What an asset has become, and what follows from it.
async fn heard(
    ctx: &Ctx,
    id: AssetId,
    change: &(dyn Fn(&mut Asset) + Send + Sync),
) -> Result<NoContent> {
    flow::turn(ctx, id, Cause::default(), &Vec::new, change).await
}

async fn on_created(ctx: Ctx, event: AssetCreated) -> Result<NoContent> {
    let owner = event.owner;
    heard(&ctx, event.asset, &|asset| {
        if !asset.is_deleted {
            asset.owner_id = Some(owner);
        }
    })
    .await
}

async fn on_playable(ctx: Ctx, event: AssetPlayable) -> Result<NoContent> {
    let AssetPlayable { owner, package, tracks, .. } = event;
    heard(&ctx, event.asset, &|asset| asset.hear(owner, package, &tracks, false)).await
}

async fn on_ready(ctx: Ctx, event: AssetReady) -> Result<NoContent> {
    let AssetReady { owner, package, tracks, .. } = event;
    heard(&ctx, event.asset, &|asset| asset.hear(owner, package, &tracks, true)).await
}

/// Nobody plays it from now on; what there is of it is collected, and whose it was is forgotten.
async fn on_deleted(ctx: Ctx, event: AssetDeleted) -> Result<NoContent> {
    let (id, now) = (event.asset, ctx.now());
    let withdrawn = || vec![store::packages::withdraw_all(id, now)];
    let deleted = |asset: &mut Asset| {
        let version = asset.version;
        *asset = Asset { version, is_deleted: true, ..Asset::new(id) };
    };
    flow::turn(&ctx, id, Cause::default(), &withdrawn, &deleted).await
}

/// Subtitles have come or gone beside the tracks.
async fn on_texts(ctx: Ctx, event: TextsChanged) -> Result<NoContent> {
    flow::mirror(&ctx, event.asset, "text").await?;
    ctx.commit([]).await
}

/// Pictures have come about beside the tracks.
async fn on_done(ctx: Ctx, event: StepDone) -> Result<NoContent> {
    if event.step == Step::Thumbnail && event.outcome == Outcome::Succeeded {
        flow::mirror(&ctx, event.asset, "images").await?;
    }
    ctx.commit([]).await
}

async fn on_ordered(ctx: Ctx, event: ProtectionOrdered) -> Result<NoContent> {
    making::on_ordered(ctx, event).await
}

async fn sweep(system: System) -> Result<NoContent> {
    sweep::sweep(system).await
}

async fn rotate(system: System) -> Result<NoContent> {
    sweep::rotate(system).await
}

async fn collect(system: System) -> Result<NoContent> {
    sweep::collect(system).await
}
