//! Runs: what became of each fire of a schedule. The platform knows when it was fired and whether
//! it came about; what came back from a callback is ours to remember.

use crate::jobs::{Attempt, Summary};
use crate::{View, store};
use nexus_sdk::prelude::*;
use platform_contract::{JobId, ScheduleId};

pub fn router() -> Router {
    Router::new()
        .route("/schedules/{id}/runs", get(list))
        .route("/runs", get(calls))
        .route("/runs/{id}", get(show))
        .route("/runs/{id}/attempts", get(attempts))
}

/// One fire. States: `held` waits for an earlier run, `queued`, `running`, `succeeded`, `dead`,
/// `cancelled`; `skipped` by the overlap rule, `missed` by the catch-up rule, `unknown` when
/// nothing is known any more.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Run {
    pub id: JobId,
    pub scheduled_at: Time,
    pub fired_at: Time,
    /// `schedule`, `catchup`, `manual` or `backfill`.
    pub trigger: String,
    pub state: String,
    pub reason: Option<String>,
    pub requested_by: Option<String>,
    /// Instants that this stands for; more than one only where they were missed.
    pub fires: i64,
    pub attempt: i32,
    pub status: Option<i32>,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
}

/// The last thousand at most, latest first.
async fn list(by: Allowed<View>, Path(id): Path<ScheduleId>, cursor: Cursor) -> Result<Page<Run>> {
    store::schedules::find(by.db(), id).await?;
    store::schedules::runs(by.db(), id, &cursor).await
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    schedule_id: Option<ScheduleId>,
    state: Option<crate::jobs::State>,
}

/// Runs of all schedules that have called a machine, newest first.
async fn calls(
    by: Allowed<View>,
    cursor: Cursor,
    Query(search): Query<Search>,
) -> Result<Page<Summary>> {
    store::jobs::list(by.db(), "run", None, search.schedule_id, search.state, &cursor).await
}

async fn show(by: Allowed<View>, Path(id): Path<JobId>) -> Result<Json<Summary>> {
    store::jobs::find(by.db(), id).await.map(|job| Json(job.summary))
}

async fn attempts(
    by: Allowed<View>,
    Path(id): Path<JobId>,
    cursor: Cursor,
) -> Result<Page<Attempt>> {
    store::jobs::find(by.db(), id).await?;
    store::jobs::attempts(by.db(), id, &cursor).await
}
