//! Asset pipeline: what a creator has uploaded, and what is done to it until it can be played.
//! Knows which step follows which and what an asset's state is; refuses to know how a step is
//! done, which is the business of the services that listen to its orders.

mod assets;
mod domain;
mod flow;
mod objects;
mod orders;
mod progress;
mod runs;
mod store;
mod subtitle;
mod subtitles;
mod sweep;

use identity_contract::users::UserErased;
use media_contract::step::{Step, StepDone, StepStarted};
use media_contract::uploader::UploadCompleted;
use nexus_sdk::Permission;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Everybody's assets, not one's own alone.
    View = "asset-pipeline:view";
    /// Changing, stopping and deleting everybody's.
    Manage = "asset-pipeline:manage"
}

nexus_sdk::service! {
    http: router,
    events: {
        "media.upload.completed.v1" => on_uploaded,
        "media.step.started.v1" => on_started,
        "media.step.done.v1" => on_done,
        "identity.user.erased.v1" => on_erased,
    },
    cron: [sweep, collect],
}

fn router() -> Router {
    Router::new()
        .merge(assets::router())
        .merge(orders::router())
        .merge(runs::router())
        .merge(progress::router())
        .merge(subtitles::router())
}

/// Whose assets somebody may see: their own, or everybody's (`None`).
pub(crate) fn seen_by(by: &Ctx) -> Result<Option<Uuid>> {
    whose(by, &[View::NAME, Manage::NAME])
}

/// Whose assets somebody may change.
pub(crate) fn changed_by(by: &Ctx) -> Result<Option<Uuid>> {
    whose(by, &[Manage::NAME])
}

fn whose(by: &Ctx, enough: &[&str]) -> Result<Option<Uuid>> {
    if enough.iter().any(|permission| by.principal().may(permission)) {
        return Ok(None);
    }
    let own = by.principal().subject.parse().map_err(|_| standard::Forbidden)?;
    Ok(Some(own))
}

async fn on_uploaded(ctx: Ctx, event: UploadCompleted) -> Result<NoContent> {
    assets::on_uploaded(ctx, event).await
}

async fn on_started(ctx: Ctx, event: StepStarted) -> Result<NoContent> {
    flow::on_started(ctx, event).await
}

async fn on_done(ctx: Ctx, event: StepDone) -> Result<NoContent> {
    let (aside, asset) = (ctx.aside(), event.asset);
    let is_new_package = event.step == Step::Transcode;
    flow::on_done(ctx, event).await?;
    if is_new_package {
        subtitles::place(&aside, asset).await?;
    }
    Ok(NoContent)
}

async fn on_erased(ctx: Ctx, event: UserErased) -> Result<NoContent> {
    assets::on_erased(ctx, event).await
}

async fn sweep(system: System) -> Result<NoContent> {
    sweep::sweep(system).await
}

async fn collect(system: System) -> Result<NoContent> {
    sweep::collect(system).await
}
