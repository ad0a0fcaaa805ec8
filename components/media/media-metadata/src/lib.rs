//! Media metadata: what is inside a file, in the words of this suite. Has a native worker look,
//! judges what it found, and tells the pipeline. Refuses to know what is made of a source, and to
//! keep where or by whom something was recorded.

mod domain;
mod items;
mod report;
mod steps;
mod store;

use media_contract::asset_pipeline::{AssetDeleted, StepRequested, StepWithdrawn};
use media_contract::media_metadata::ProbeJobSettled;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Everybody's files, not one's own alone.
    View = "media-metadata:view"
}

nexus_sdk::service! {
    http: router,
    events: {
        "media.step.requested.v1" => on_requested,
        "media.step.withdrawn.v1" => on_withdrawn,
        "media.probe_job.settled.v1" => on_settled,
        "media.asset.deleted.v1" => on_deleted,
    },
    cron: purge,
}

/// Jobs that are over; as long as the platform keeps its own.
const KEPT_DAYS: i32 = 30;

fn router() -> Router {
    items::router()
}

async fn on_requested(ctx: Ctx, event: StepRequested) -> Result<NoContent> {
    steps::on_requested(ctx, event).await
}

async fn on_withdrawn(ctx: Ctx, event: StepWithdrawn) -> Result<NoContent> {
    ctx.commit(store::withdraw(event.run, ctx.now())).await
}

async fn on_settled(ctx: Ctx, event: ProbeJobSettled) -> Result<NoContent> {
    steps::on_settled(ctx, event).await
}

async fn on_deleted(ctx: Ctx, event: AssetDeleted) -> Result<NoContent> {
    let jobs = store::withdraw_of(event.asset, ctx.now());
    ctx.commit([jobs, store::forget(event.asset)]).await
}

async fn purge(system: System) -> Result<NoContent> {
    system.commit(store::purge(system.now() - days(KEPT_DAYS))).await
}
