//! Scheduler: what users want done later, again and again, or one after another, and the signed
//! calls to their machines by which it is done. Knows whom to call, how often to try and what came
//! back; refuses to know calendars, leases and clocks, which are the platform's, and what a call
//! is about, which is the user's.

mod calendar;
mod callback;
mod calls;
mod dead_letters;
mod jobs;
mod queues;
mod retries;
mod runs;
mod schedules;
mod secrets;
mod settle;
mod signature;
mod store;
mod timing;

use nexus_sdk::Delivery;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    View = "scheduler:view";
    /// Schedules and queues.
    Manage = "scheduler:manage";
    /// Putting jobs into queues, and taking them out again.
    Enqueue = "scheduler:enqueue";
    /// Dead letters, pauses and signing secrets.
    Operate = "scheduler:operate"
}

nexus_sdk::service! {
    http: router,
    events: { "platform.job.due.v1" => on_job, "platform.run.due.v1" => on_run },
    cron: [settle, purge],
}

fn router() -> Router {
    Router::new()
        .merge(schedules::router())
        .merge(runs::router())
        .merge(queues::router())
        .merge(jobs::router())
        .merge(dead_letters::router())
        .merge(secrets::router())
}

async fn on_job(ctx: Ctx, delivery: Delivery) -> Result<NoContent> {
    calls::on_job(ctx, &delivery).await
}

async fn on_run(ctx: Ctx, delivery: Delivery) -> Result<NoContent> {
    calls::on_run(ctx, &delivery).await
}

async fn settle(system: System) -> Result<NoContent> {
    settle::settle(system).await
}

async fn purge(system: System) -> Result<NoContent> {
    settle::purge(system).await
}
