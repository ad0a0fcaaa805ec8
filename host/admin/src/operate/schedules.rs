//! Schedules: when each is due, what became of its runs, and what an operator does to one. `now` is
//! the components' clock, by which schedules fire.

use super::asked::{self, Asked, accepted, json, page};
use super::instant::{self, Instant};
use super::{Stores, failure};
use crate::problems;
use nexus_runtime::{Problem, Response};
use nexus_storage::schedules::{Backfill, Overlap, RunRow, ScheduleError, ScheduleRow};
use serde::Deserialize;
use serde_json::{Value, json as object};
use std::time::SystemTime;
use uuid::Uuid;

/// Instants shown when nobody says how many.
const NEXT: u32 = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    service: Option<String>,
    /// Of an entry of the service's manifest.
    name: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(super) async fn list(stores: &Stores, asked: &Asked) -> Result<Response, Problem> {
    let query: ListQuery = asked.query()?;
    let limit = page(query.limit)?;
    let service = query.service.as_deref();
    if let Some(name) = &query.name {
        let service = service.ok_or(problems::QUERY.detail("name needs service"))?;
        let found = stores.schedules.named(service, name).await.map_err(|e| failure(&e))?;
        let schedules: Vec<Value> = found.iter().map(describe).collect();
        return Ok(json(&object!({ "schedules": schedules, "cursor": null })));
    }
    let after = asked::read_cursor(query.cursor.as_deref(), read_cursor)?;
    let found = stores.schedules.list(service, after, limit).await.map_err(|e| failure(&e))?;
    let schedules: Vec<Value> = found.iter().map(describe).collect();
    let last = || found.last().map(write_cursor).unwrap_or_default();
    let cursor = asked::cursor(found.len(), limit, last);
    Ok(json(&object!({ "schedules": schedules, "cursor": cursor })))
}

/// Of the three only a name may have slashes.
fn write_cursor(row: &ScheduleRow) -> String {
    format!("{}/{}/{}", row.service, row.id, row.name)
}

fn read_cursor(text: &str) -> Option<(&str, &str, Uuid)> {
    let (service, rest) = text.split_once('/')?;
    let (id, name) = rest.split_once('/')?;
    Some((service, name, id.parse().ok()?))
}

pub(super) async fn show(stores: &Stores, id: &str) -> Result<Response, Problem> {
    Ok(json(&describe(&find(stores, id).await?)))
}

async fn find(stores: &Stores, id: &str) -> Result<ScheduleRow, Problem> {
    let id = read_id(id)?;
    stores.schedules.show(id).await.map_err(|e| refusal(&e))
}

fn read_id(text: &str) -> Result<Uuid, Problem> {
    let detail = || format!("{text} is no id; /api/v1/schedules?service=&name= finds one");
    text.parse().map_err(|_| problems::NO_SCHEDULE.detail(detail()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NextQuery {
    count: Option<u32>,
    zone: Option<String>,
    after: Option<Instant>,
}

/// The next instants, also of a schedule that is paused.
pub(super) async fn next(
    stores: &Stores,
    id: &str,
    now: SystemTime,
    asked: &Asked,
) -> Result<Response, Problem> {
    let query: NextQuery = asked.query()?;
    let count = page(Some(query.count.unwrap_or(NEXT)))?;
    let schedule = find(stores, id).await?;
    let name = query.zone.as_deref().unwrap_or(&schedule.zone);
    let zone = instant::zone(name)?;
    let after = query.after.map_or(now, |at| at.0);
    let times = stores.schedules.preview(schedule.id, after, count as usize).await;
    let times = times.map_err(|e| refusal(&e))?;
    let times: Vec<String> = times.into_iter().map(|at| instant::in_zone(at, &zone)).collect();
    let paused = schedule.paused_at.is_some();
    Ok(json(&object!({ "zone": name, "paused": paused, "times": times })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunsQuery {
    limit: Option<u32>,
    cursor: Option<String>,
}

/// What became of the runs, the latest instant first.
pub(super) async fn runs(stores: &Stores, id: &str, asked: &Asked) -> Result<Response, Problem> {
    let query: RunsQuery = asked.query()?;
    let limit = page(query.limit)?;
    let after = asked::read_cursor(query.cursor.as_deref(), |text| {
        let (micros, id) = text.split_once('.')?;
        Some((instant::from_micros(micros)?, id.parse().ok()?))
    })?;
    let schedule = find(stores, id).await?;
    let found = stores.schedules.runs(schedule.id, after, limit).await.map_err(|e| failure(&e))?;
    let runs: Vec<Value> = found.iter().map(run_row).collect();
    let last = |run: &RunRow| {
        format!("{}.{}", instant::micros(run.scheduled_at).unwrap_or_default(), run.id)
    };
    let last = || found.last().map(last).unwrap_or_default();
    let cursor = asked::cursor(found.len(), limit, last);
    Ok(json(&object!({ "runs": runs, "cursor": cursor })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunOrder {
    overlap: Option<String>,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseOrder {
    #[serde(default)]
    reason: String,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResumeOrder {
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackfillOrder {
    from: Instant,
    to: Instant,
    overlap: Option<String>,
    #[serde(default)]
    preview: bool,
    by: Option<String>,
}

/// What is posted to a schedule.
pub(super) async fn order(
    stores: &Stores,
    id: &str,
    verb: &str,
    now: SystemTime,
    asked: &Asked,
) -> Result<Response, Problem> {
    match verb {
        "run" => run(stores, id, now, asked).await,
        "pause" => pause(stores, id, asked).await,
        "resume" => resume(stores, id, asked).await,
        "backfill" => backfill(stores, id, now, asked).await,
        "next" | "runs" => Err(problems::METHOD),
        _ => Err(problems::NOT_FOUND),
    }
}

async fn run(
    stores: &Stores,
    id: &str,
    now: SystemTime,
    asked: &Asked,
) -> Result<Response, Problem> {
    let order: RunOrder = asked.order()?;
    let overlap = overlap(order.overlap.as_deref(), Overlap::Allow)?;
    let by = asked.actor.by(order.by.as_deref())?;
    let schedule = find(stores, id).await?;
    let run = stores.schedules.run_now(schedule.id, now, overlap, &by).await;
    let run = run.map_err(|e| refusal(&e))?;
    tracing::info!(by, service = schedule.service, schedule = schedule.name, %run, "a run by hand");
    Ok(accepted(&object!({ "id": run, "schedule_id": schedule.id })))
}

async fn pause(stores: &Stores, id: &str, asked: &Asked) -> Result<Response, Problem> {
    let order: PauseOrder = asked.order()?;
    let by = asked.actor.by(order.by.as_deref())?;
    let schedule = find(stores, id).await?;
    let paused = stores.schedules.pause(schedule.id, &by, &order.reason).await;
    paused.map_err(|e| refusal(&e))?;
    tracing::info!(by, service = schedule.service, schedule = schedule.name, "paused");
    show(stores, id).await
}

async fn resume(stores: &Stores, id: &str, asked: &Asked) -> Result<Response, Problem> {
    let order: ResumeOrder = asked.order()?;
    let by = asked.actor.by(order.by.as_deref())?;
    let schedule = find(stores, id).await?;
    stores.schedules.resume(schedule.id).await.map_err(|e| refusal(&e))?;
    tracing::info!(by, service = schedule.service, schedule = schedule.name, "resumed");
    show(stores, id).await
}

async fn backfill(
    stores: &Stores,
    id: &str,
    now: SystemTime,
    asked: &Asked,
) -> Result<Response, Problem> {
    let order: BackfillOrder = asked.order()?;
    let by = asked.actor.by(order.by.as_deref())?;
    let overlap = overlap(order.overlap.as_deref(), Overlap::BufferAll)?;
    let schedule = find(stores, id).await?;
    let wanted = Backfill {
        schedule: schedule.id,
        from: order.from.0,
        to: order.to.0,
        overlap,
        by: by.clone(),
    };
    if order.preview {
        let times = stores.schedules.backfill_preview(&wanted, now).await;
        let times = times.map_err(|e| refusal(&e))?;
        let runs = times.len();
        let times: Vec<String> = times.into_iter().map(instant::text).collect();
        return Ok(json(&object!({ "preview": true, "runs": runs, "times": times })));
    }
    let runs = stores.schedules.backfill(&wanted, now).await.map_err(|e| refusal(&e))?;
    tracing::info!(by, service = schedule.service, schedule = schedule.name, runs, "a backfill");
    Ok(accepted(&object!({ "preview": false, "runs": runs })))
}

fn overlap(word: Option<&str>, otherwise: Overlap) -> Result<Overlap, Problem> {
    let detail = "overlap is skip, buffer_one, buffer_all, cancel_other or allow";
    word.map_or(Some(otherwise), Overlap::of).ok_or(problems::BODY.detail(detail))
}

/// What the storage says no to.
fn refusal(error: &ScheduleError) -> Problem {
    match error {
        ScheduleError::Storage(error) => failure(error),
        ScheduleError::Unknown(_) => problems::NO_SCHEDULE.detail(error.to_string()),
        ScheduleError::Calendar(_) => problems::NO_CALENDAR.detail(error.to_string()),
        ScheduleError::TooMany { .. } | ScheduleError::Backwards => {
            problems::STRETCH.detail(error.to_string())
        }
    }
}

fn describe(row: &ScheduleRow) -> Value {
    object!({
        "id": row.id,
        "service": row.service,
        "name": row.name,
        "tenant_id": row.tenant,
        "source": if row.of_manifest { "manifest" } else { "api" },
        "expression": row.expression,
        "zone": row.zone,
        "gap": row.gap,
        "overlap": row.overlap,
        "catchup": row.catchup,
        "jitter_ms": row.jitter_ms,
        "starts_at": instant::maybe(row.starts_at),
        "ends_at": instant::maybe(row.ends_at),
        "pause_on_failure": row.pause_on_failure,
        "paused_at": instant::maybe(row.paused_at),
        "paused_by": row.paused_by,
        "paused_reason": row.paused_reason,
        "wall_ms": row.wall_ms,
        "attempts_max": row.attempts_max,
        "queue": row.queue,
        "topic": row.topic,
        "next_fire_at": instant::maybe(row.next_fire_at),
        "refused": row.refused,
        "last_scheduled_at": instant::maybe(row.last_scheduled_at),
        "last_fired_at": instant::maybe(row.last_fired_at),
        "runs_due": row.runs_due,
        "runs_held": row.runs_held,
    })
}

fn run_row(row: &RunRow) -> Value {
    object!({
        "id": row.id,
        "scheduled_at": instant::text(row.scheduled_at),
        "fired_at": instant::text(row.fired_at),
        "trigger": row.trigger.as_str(),
        "state": row.state.as_str(),
        "reason": row.reason,
        "requested_by": row.requested_by,
        "fires": row.fires,
        "attempt": row.attempt,
        "started_at": instant::maybe(row.started_at),
        "finished_at": instant::maybe(row.finished_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_a_schedule_whatever_its_name() {
        let id = Uuid::nil();
        let text = format!("catalog/{id}/a/b c");
        assert_eq!(read_cursor(&text), Some(("catalog", "a/b c", id)));
        for wrong in ["", "catalog", "catalog/x", "catalog/x/name"] {
            assert_eq!(read_cursor(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_overlap_is_one_of_five_words() {
        assert_eq!(overlap(None, Overlap::Allow), Ok(Overlap::Allow));
        assert_eq!(overlap(Some("skip"), Overlap::Allow), Ok(Overlap::Skip));
        assert!(overlap(Some("queue"), Overlap::Allow).is_err());
    }
}
