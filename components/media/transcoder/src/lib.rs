//! Transcoder: which tracks are made of a source. Knows profiles and their sizes, which source can
//! be published as it is, and what the work has cost; refuses to know how pictures are encoded,
//! which is a native worker's (`media-native/transcode`), and when work is due, which is the
//! pipeline's.

mod jobs;
mod ladder;
mod plan;
mod profiles;
mod steps;
mod store;

use media_contract::asset_pipeline::{AssetDeleted, StepRequested, StepWithdrawn};
use media_contract::transcoder::TranscodeJobSettled;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    View = "transcoder:view";
    /// Profiles, and stopping jobs.
    Manage = "transcoder:manage"
}

nexus_sdk::callers! {
    /// Progress bars are the pipeline's.
    Pipeline = ["asset-pipeline"]
}

nexus_sdk::service! {
    http: router,
    events: {
        "media.step.requested.v1" => on_requested,
        "media.step.withdrawn.v1" => on_withdrawn,
        "media.transcode_job.settled.v1" => on_settled,
        "media.asset.deleted.v1" => on_deleted,
    },
    cron: purge,
}

/// Jobs that are over: longer than the platform keeps its own, for what they have cost.
const KEPT_DAYS: i32 = 90;

fn router() -> Router {
    Router::new().merge(profiles::router()).merge(jobs::router())
}

async fn on_requested(ctx: Ctx, event: StepRequested) -> Result<NoContent> {
    steps::on_requested(ctx, event).await
}

async fn on_withdrawn(ctx: Ctx, event: StepWithdrawn) -> Result<NoContent> {
    ctx.commit(store::jobs::withdraw(event.run, ctx.now())).await
}

async fn on_settled(ctx: Ctx, event: TranscodeJobSettled) -> Result<NoContent> {
    steps::on_settled(ctx, event).await
}

async fn on_deleted(ctx: Ctx, event: AssetDeleted) -> Result<NoContent> {
    ctx.commit(store::jobs::withdraw_of(event.asset, ctx.now())).await
}

async fn purge(system: System) -> Result<NoContent> {
    system.commit(store::jobs::purge(system.now() - days(KEPT_DAYS))).await
}
