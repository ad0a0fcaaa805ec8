//! Thumbnailer: pictures that stand for a film. Knows which of them there are, which one its owner
//! likes, and where in the film each was taken; refuses to know pixels, which are a native worker's
//! (`media-native/thumbnail`).

mod images;
mod items;
mod links;
mod objects;
mod steps;
mod store;
mod storyboard;

use media_contract::asset_pipeline::{AssetDeleted, StepRequested, StepWithdrawn};
use media_contract::thumbnailer::ThumbnailJobSettled;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Everybody's pictures, not one's own alone.
    View = "thumbnailer:view";
    /// Choosing everybody's posters.
    Manage = "thumbnailer:manage"
}

nexus_sdk::callers! {
    /// Progress bars are the pipeline's.
    Pipeline = ["asset-pipeline"];
    /// Who shows pictures to people who own none of them.
    Catalogue = ["content-cms"]
}

nexus_sdk::service! {
    http: router,
    events: {
        "media.step.requested.v1" => on_requested,
        "media.step.withdrawn.v1" => on_withdrawn,
        "media.thumbnail_job.settled.v1" => on_settled,
        "media.asset.deleted.v1" => on_deleted,
    },
    cron: purge,
}

fn router() -> Router {
    Router::new().merge(items::router()).merge(images::router()).merge(steps::router())
}

async fn on_requested(ctx: Ctx, event: StepRequested) -> Result<NoContent> {
    steps::on_requested(ctx, event).await
}

async fn on_withdrawn(ctx: Ctx, event: StepWithdrawn) -> Result<NoContent> {
    ctx.commit(store::jobs::withdraw(event.run, ctx.now())).await
}

async fn on_settled(ctx: Ctx, event: ThumbnailJobSettled) -> Result<NoContent> {
    match event.kind.as_str() {
        "image" => images::on_settled(ctx, event).await,
        _ => steps::on_settled(ctx, event).await,
    }
}

async fn on_deleted(ctx: Ctx, event: AssetDeleted) -> Result<NoContent> {
    images::on_deleted(ctx, event.asset).await
}

async fn purge(system: System) -> Result<NoContent> {
    images::purge(system).await
}
