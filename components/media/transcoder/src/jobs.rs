//! Jobs: looked at, stopped, and how far they are for the pipeline.

use crate::plan::Method;
use crate::{Manage, Pipeline, View, store};
use media_contract::step::Lane;
use media_contract::{AssetId, RunId};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

nexus_sdk::refusals! {
    JobOver = 409, "this job is over"
}

pub fn router() -> Router {
    Router::new()
        .route("/jobs", get(list))
        .route("/jobs/{id}", get(show))
        .route("/jobs/{id}/cancel", post(cancel))
        .route("/internal/runs/{id}", get(progress))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// With the workers, or on the way to them.
    Running,
    Succeeded,
    Failed,
    /// Nobody wants it any more.
    Withdrawn,
}

/// One lane of one asset, made once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    pub id: Uuid,
    pub asset_id: AssetId,
    pub run_id: RunId,
    pub lane: Lane,
    pub method: Method,
    pub attempt: i32,
    pub profile: String,
    /// Of all that decides what comes out.
    pub profile_hash: String,
    pub state: State,
    pub result: Option<Value>,
    pub reason_code: Option<String>,
    pub reason_detail: Option<String>,
    /// Of processors, all attempts together.
    pub cpu_seconds: Option<f64>,
    pub content_seconds: Option<f64>,
    pub bytes: Option<i64>,
    pub created_at: Time,
    pub finished_at: Option<Time>,
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    asset_id: Option<AssetId>,
    state: Option<State>,
}

/// Newest first.
async fn list(
    by: Allowed<View>,
    cursor: Cursor,
    Query(search): Query<Search>,
) -> Result<Page<Job>> {
    let state = search.state.map(|state| match state {
        State::Running => "running",
        State::Succeeded => "succeeded",
        State::Failed => "failed",
        State::Withdrawn => "withdrawn",
    });
    store::jobs::list(by.db(), search.asset_id, state, &cursor).await
}

async fn show(by: Allowed<View>, Path(id): Path<Uuid>) -> Result<Json<Job>> {
    store::jobs::find(by.db(), id).await.map(Json)
}

/// Asks the worker to stop. The pipeline hears that the step has failed.
async fn cancel(by: Allowed<Manage>, Path(id): Path<Uuid>) -> Result<NoContent> {
    let job = store::jobs::find(by.db(), id).await?;
    if job.state != State::Running {
        return Err(JobOver.into());
    }
    by.commit(store::jobs::cancel(id)).await
}

/// How far the worker of a lane is, as it last told.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkerProgress {
    lane: String,
    /// 0 to 1.
    fraction: f64,
    stage: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Workers {
    items: Vec<WorkerProgress>,
}

async fn progress(by: Called<Pipeline>, Path(id): Path<RunId>) -> Result<Json<Workers>> {
    Ok(Json(Workers { items: store::jobs::progress(by.db(), id).await? }))
}
