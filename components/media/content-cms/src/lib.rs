//! Content CMS: titles, and when, where and to whom they are shown. Knows what a title says, the
//! way from a draft to the public and back, windows of rights, and in which rows viewers find it;
//! tells those who play something which assets may be played because of it. Refuses to know how an
//! asset is made or played, and who a viewer is beyond the age that something is made for.

mod assets;
mod browse;
mod card;
mod change;
mod collections;
mod content;
mod episodes;
mod history;
mod pages;
mod rights;
mod seasons;
mod settings;
mod slug;
mod steps;
mod store;
mod sweep;
mod titles;
mod turn;
mod viewer;
mod workflow;

use identity_contract::users::UserErased;
use media_contract::asset_pipeline::{AssetCreated, AssetDeleted, AssetPlayable, AssetReady};
use media_contract::step::StepDone;
use nexus_sdk::Permission;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Making and publishing titles of one's own.
    Create = "content-cms:create";
    /// Everybody's titles, not one's own alone.
    View = "content-cms:view";
    /// Changing everybody's titles, and what holds for the tenant.
    Manage = "content-cms:manage";
    /// Saying yes or no to what others want to publish.
    Review = "content-cms:review";
    /// Rows and pages that viewers see.
    Curate = "content-cms:curate"
}

nexus_sdk::service! {
    http: router,
    events: {
        "media.asset.created.v1" => on_created,
        "media.asset.playable.v1" => on_playable,
        "media.asset.ready.v1" => on_ready,
        "media.asset.deleted.v1" => on_deleted,
        "media.step.done.v1" => on_done,
        "identity.user.erased.v1" => on_erased,
    },
    cron: look,
}

fn router() -> Router {
    Router::new()
        .merge(titles::router())
        .merge(steps::router())
        .merge(history::router())
        .merge(seasons::router())
        .merge(episodes::router())
        .merge(collections::router())
        .merge(pages::router())
        .merge(settings::router())
        .merge(browse::router())
}

/// Whose titles somebody may see: their own, or everybody's (`None`).
pub(crate) fn seen_by(by: &Ctx) -> Result<Option<Uuid>> {
    whose(by, &[View::NAME, Manage::NAME, Review::NAME])
}

/// Whose titles somebody may change.
pub(crate) fn changed_by(by: &Ctx) -> Result<Option<Uuid>> {
    whose(by, &[Manage::NAME])
}

fn whose(by: &Ctx, enough: &[&str]) -> Result<Option<Uuid>> {
    if enough.iter().any(|permission| by.principal().may(permission)) {
        return Ok(None);
    }
    person(by).map(Some)
}

/// Who asks, as the owner of titles.
pub(crate) fn person(by: &Ctx) -> Result<Uuid> {
    Ok(by.principal().subject.parse().map_err(|_| standard::Forbidden)?)
}

async fn on_created(ctx: Ctx, event: AssetCreated) -> Result<NoContent> {
    ctx.commit(store::assets::know(event.asset, event.owner)).await
}

async fn on_playable(ctx: Ctx, event: AssetPlayable) -> Result<NoContent> {
    let asset = (event.asset, event.owner, event.package);
    assets::on_playable(ctx, asset, event.duration_ms).await
}

async fn on_ready(ctx: Ctx, event: AssetReady) -> Result<NoContent> {
    let asset = (event.asset, event.owner, event.package);
    assets::on_playable(ctx, asset, event.duration_ms).await
}

async fn on_deleted(ctx: Ctx, event: AssetDeleted) -> Result<NoContent> {
    assets::on_deleted(ctx, event).await
}

async fn on_done(ctx: Ctx, event: StepDone) -> Result<NoContent> {
    assets::on_pictures(ctx, event).await
}

async fn on_erased(ctx: Ctx, event: UserErased) -> Result<NoContent> {
    titles::on_erased(ctx, event).await
}

async fn look(system: System) -> Result<NoContent> {
    sweep::look(system).await
}
