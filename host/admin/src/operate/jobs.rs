//! Jobs of native workers, of every service.

use super::asked::{self, Asked, accepted, json, page};
use super::instant;
use super::{Stores, failure};
use crate::problems;
use nexus_runtime::{Problem, Response};
use nexus_storage::jobs::{JobFilter, JobRow, JobState};
use serde::Deserialize;
use serde_json::{Value, json as object};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    state: Option<String>,
    kind: Option<String>,
    service: Option<String>,
    limit: Option<u32>,
    cursor: Option<Uuid>,
}

pub(super) async fn list(stores: &Stores, asked: &Asked) -> Result<Response, Problem> {
    let query: ListQuery = asked.query()?;
    let limit = page(query.limit)?;
    let state = query.state.as_deref().map(|word| {
        let detail = "state is queued, running, succeeded, failed or cancelled";
        JobState::of(word).ok_or(problems::QUERY.detail(detail))
    });
    let filter = JobFilter { state: state.transpose()?, kind: query.kind, service: query.service };
    let found = stores.jobs.list(&filter, query.cursor, limit).await.map_err(|e| failure(&e))?;
    let jobs: Vec<Value> = found.iter().map(describe).collect();
    let last = || found.last().map(|job| job.id.to_string()).unwrap_or_default();
    let cursor = asked::cursor(found.len(), limit, last);
    Ok(json(&object!({ "jobs": jobs, "cursor": cursor })))
}

pub(super) async fn show(stores: &Stores, id: &str) -> Result<Response, Problem> {
    let id = id.parse().map_err(|_| missing(id))?;
    Ok(json(&whole(&find(stores, id).await?)))
}

async fn find(stores: &Stores, id: Uuid) -> Result<JobRow, Problem> {
    let found = stores.jobs.find(id).await.map_err(|e| failure(&e))?;
    found.ok_or_else(|| missing(&id.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    by: Option<String>,
}

/// Ends a job that waits; asks the worker of one that runs to stop.
pub(super) async fn cancel(stores: &Stores, id: &str, asked: &Asked) -> Result<Response, Problem> {
    let order: Cancel = asked.order()?;
    let by = asked.actor.by(order.by.as_deref())?;
    let job: Uuid = id.parse().map_err(|_| missing(id))?;
    let state = stores.jobs.cancel_any(job).await.map_err(|e| failure(&e))?;
    let state = state.ok_or_else(|| missing(id))?;
    if matches!(state, JobState::Succeeded | JobState::Failed) {
        return Err(problems::JOB_OVER.detail(format!("it has {} already", state.as_str())));
    }
    tracing::info!(by, %job, state = state.as_str(), "a job was cancelled");
    let described = whole(&find(stores, job).await?);
    match state {
        JobState::Running => Ok(accepted(&described)),
        _ => Ok(json(&described)),
    }
}

fn missing(id: &str) -> Problem {
    problems::NO_JOB.detail(format!("there is no job {id}; those that ended are kept 30 days"))
}

fn whole(job: &JobRow) -> Value {
    let mut described = describe(job);
    described["args"] = job.args.clone();
    described["output"] = job.output.clone();
    described["checkpoint"] = job.checkpoint.clone().unwrap_or_default();
    described
}

fn describe(job: &JobRow) -> Value {
    object!({
        "id": job.id,
        "kind": job.kind,
        "requires": job.requires,
        "service": job.service,
        "tenant_id": job.tenant,
        "state": job.state.as_str(),
        "priority": job.priority,
        "attempt": job.attempt,
        "attempts_max": job.attempts_max,
        "wall_ms": u64::try_from(job.wall.as_millis()).unwrap_or(u64::MAX),
        "fraction": job.fraction,
        "stage": job.stage,
        "worker": job.worker,
        "deadline": instant::maybe(job.deadline),
        "cancel_requested_at": instant::maybe(job.cancel_requested_at),
        "error": job.error,
        "created_at": instant::text(job.created_at),
        "started_at": instant::maybe(job.started_at),
        "finished_at": instant::maybe(job.finished_at),
    })
}
