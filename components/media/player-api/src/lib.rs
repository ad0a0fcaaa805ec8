//! Player API: what a player is told before it begins (which engine, which limits, what may be
//! skipped, what comes next), the player itself as files that any page may load, and what players
//! tell of how it went, added up per asset and hour. Refuses to know who may play (`streaming`) and
//! what a title is (`content-cms`), and never hears what somebody watches but from `streaming`.

mod beacons;
mod config;
mod devices;
mod measures;
mod qoe;
mod sdk;
mod store;
mod titles;

use identity_contract::users::UserErased;
use media_contract::asset_pipeline::AssetDeleted;
use media_contract::streaming::ViewStarted;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Seeing how everybody's assets play.
    View = "player-api:view";
    /// Setting what devices are asked to play.
    Manage = "player-api:manage"
}

nexus_sdk::service! {
    http: router,
    events: {
        "media.view.started.v1" => on_started,
        "media.asset.deleted.v1" => on_deleted,
        "identity.user.erased.v1" => on_erased,
    },
    cron: [roll_up, purge],
}

fn router() -> Router {
    Router::new()
        .merge(config::router())
        .merge(devices::router())
        .merge(beacons::router())
        .merge(qoe::router())
        .merge(sdk::router())
}

/// Who watches: a person, or a program with a person's key.
pub(crate) fn viewer(by: &Ctx) -> Result<Uuid> {
    Ok(by.principal().subject.parse().map_err(|_| standard::Forbidden)?)
}

async fn on_started(ctx: Ctx, event: ViewStarted) -> Result<NoContent> {
    ctx.commit(store::beacons::put_playback(&event, ctx.now())).await
}

async fn on_deleted(ctx: Ctx, event: AssetDeleted) -> Result<NoContent> {
    ctx.commit(store::qoe::forget_of(event.asset)).await
}

async fn on_erased(ctx: Ctx, event: UserErased) -> Result<NoContent> {
    ctx.commit(store::beacons::erase(event.id.into())).await
}

async fn roll_up(system: System) -> Result<NoContent> {
    qoe::roll_up(system).await
}

async fn purge(system: System) -> Result<NoContent> {
    qoe::purge(system).await
}
