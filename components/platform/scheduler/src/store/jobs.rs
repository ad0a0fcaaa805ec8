//! Jobs and runs, their attempts, and the dead among them.

use crate::dead_letters::{Filter, Found};
use crate::jobs::{Attempt, Job, Placement, State, Summary};
use nexus_sdk::prelude::*;
use platform_contract::{JobId, QueueId, ScheduleId};

/// Newest first; filters that are absent fit all.
pub async fn list(
    db: &Db,
    kind: &str,
    queue: Option<QueueId>,
    schedule: Option<ScheduleId>,
    state: Option<State>,
    cursor: &Cursor,
) -> Result<Page<Summary>> {
    let all = sql!(
        "select id, queue_id, schedule_id, scheduled_at, state, attempt, priority, group_key,
           dedup_key, run_at, status, reason, created_at, started_at, finished_at
         from scheduler.job
         where tenant_id = {tenant} and kind = {kind}
           and ({queue}::uuid is null or queue_id = {queue})
           and ({schedule}::uuid is null or schedule_id = {schedule})
           and ({state}::text is null or state = {state})"
    );
    db.page(all, cursor, descending(["id"])).await
}

pub async fn find(db: &Db, id: JobId) -> Result<Job> {
    db.one(sql!("select * from scheduler.job where tenant_id = {tenant} and id = {id}")).await
}

pub async fn find_if_any(db: &Db, id: JobId) -> Result<Option<Job>> {
    let one = sql!("select * from scheduler.job where tenant_id = {tenant} and id = {id}");
    db.optional(one).await
}

/// The job that came first with a key.
pub async fn of_key(db: &Db, queue: QueueId, key: &str) -> Result<Option<JobId>> {
    let first = sql!(
        "select job_id from scheduler.job_key
         where tenant_id = {tenant} and queue_id = {queue} and key = {key}"
    );
    db.optional(first).await
}

/// Puts a job into its queue; see the function for what it violates.
pub fn put(p: &Placement<'_>) -> Write {
    let delay_ms = (p.run_at - p.now).num_milliseconds();
    sql!(
        "select scheduler.put_job({tenant}, {p.queue}, {p.id}, {p.schedule}, {p.payload},
           {p.priority}, {p.group}, {p.dedup_key}, {delay_ms}, {p.run_at}, {p.now})"
    )
}

/// A try begins. Touches no row when the job is over or cancelled.
pub fn begin(id: JobId, attempt: i32, now: Time) -> Write {
    sql!(
        "update scheduler.job set state = 'running', attempt = {attempt}, started_at = {now},
           finished_at = null
         where tenant_id = {tenant} and id = {id} and state in ('queued', 'running', 'dead')"
    )
    .expect_rows(1)
}

/// As `begin`, for a run, of which the first try is the first we hear.
pub fn begin_run(
    id: JobId,
    schedule: ScheduleId,
    scheduled_at: Time,
    attempt: i32,
    now: Time,
) -> Write {
    sql!(
        "insert into scheduler.job as j (tenant_id, id, kind, schedule_id, scheduled_at, run_at,
           state, attempt, created_at, started_at)
         values ({tenant}, {id}, 'run', {schedule}, {scheduled_at}, {scheduled_at}, 'running',
           {attempt}, {now}, {now})
         on conflict (tenant_id, id) do update set state = 'running', attempt = excluded.attempt,
           started_at = excluded.started_at, finished_at = null
         where j.state in ('queued', 'running', 'dead')"
    )
    .expect_rows(1)
}

/// What a try has come to; `finished_at` where there is no other.
pub struct Ended<'a> {
    pub id: JobId,
    pub state: State,
    pub status: Option<i32>,
    pub reason: Option<&'a str>,
    pub finished_at: Option<Time>,
}

pub fn end(e: &Ended<'_>) -> Write {
    sql!(
        "update scheduler.job set state = {e.state}, status = {e.status}, reason = {e.reason},
           finished_at = {e.finished_at}
         where tenant_id = {tenant} and id = {e.id} and state <> 'cancelled'"
    )
}

pub fn record(job: JobId, a: &Attempt) -> Write {
    sql!(
        "insert into scheduler.attempt (tenant_id, id, job_id, number, started_at, duration_ms,
           status, reason, body)
         values ({tenant}, {a.id}, {job}, {a.number}, {a.started_at}, {a.duration_ms}, {a.status},
           {a.reason}, {a.body})"
    )
}

pub async fn attempts(db: &Db, job: JobId, cursor: &Cursor) -> Result<Page<Attempt>> {
    let all = sql!(
        "select id, number, started_at, duration_ms, status, reason, body from scheduler.attempt
         where tenant_id = {tenant} and job_id = {job}"
    );
    db.page(all, cursor, descending(["id"])).await
}

pub async fn last_attempts(db: &Db, job: JobId) -> Result<Vec<Attempt>> {
    let last = sql!(
        "select id, number, started_at, duration_ms, status, reason, body from scheduler.attempt
         where tenant_id = {tenant} and job_id = {job} order by id desc limit 50"
    );
    db.all(last).await
}

pub async fn dead_page(db: &Db, filter: &Filter, cursor: &Cursor) -> Result<Page<Summary>> {
    let (queue, schedule) = (filter.queue_id, filter.schedule_id);
    let dead = sql!(
        "select id, queue_id, schedule_id, scheduled_at, state, attempt, priority, group_key,
           dedup_key, run_at, status, reason, created_at, started_at, finished_at
         from scheduler.job
         where tenant_id = {tenant} and state = 'dead'
           and ({queue}::uuid is null or queue_id = {queue})
           and ({schedule}::uuid is null or schedule_id = {schedule})"
    );
    db.page(dead, cursor, descending(["id"])).await
}

/// The dead that pass a filter, oldest first.
pub async fn dead(db: &Db, filter: &Filter, letters_max: usize) -> Result<Vec<Found>> {
    let (ids, reason) = (&filter.ids, &filter.reason);
    let (queue, schedule) = (filter.queue_id, filter.schedule_id);
    let (before, after) = (filter.before, filter.after);
    let most = letters_max as i64;
    let dead = sql!(
        "select j.id, scheduler.platform_queue_of(j) as platform_queue from scheduler.job j
         where j.tenant_id = {tenant} and j.state = 'dead'
           and ({ids}::text[] is null or j.id = any ({ids}::text[]::uuid[]))
           and ({queue}::uuid is null or j.queue_id = {queue})
           and ({schedule}::uuid is null or j.schedule_id = {schedule})
           and ({reason}::text is null or strpos(coalesce(j.reason, ''), {reason}) > 0)
           and ({before}::timestamptz is null or j.finished_at < {before})
           and ({after}::timestamptz is null or j.finished_at >= {after})
         order by j.id limit {most}"
    );
    db.all(dead).await
}

pub fn redrive(platform_queue: &str, ids: &[JobId], per_second: Option<f64>) -> Write {
    let ids = ids.to_vec();
    sql!(
        "select scheduler.redrive({tenant}, {platform_queue}, {ids}::text[]::uuid[],
           {per_second}::float8)"
    )
}

/// How many of these are dead.
pub async fn count_dead(db: &Db, ids: &[JobId]) -> Result<i64> {
    let ids = ids.to_vec();
    let dead = sql!(
        "select count(*) from scheduler.job
         where tenant_id = {tenant} and id = any ({ids}::text[]::uuid[]) and state = 'dead'"
    );
    db.one(dead).await
}

pub fn forget_dead(ids: &[JobId]) -> Write {
    let ids = ids.to_vec();
    sql!(
        "delete from scheduler.job
         where tenant_id = {tenant} and id = any ({ids}::text[]::uuid[]) and state = 'dead'"
    )
}

/// Throws the platform's letters away, too.
pub fn discard(platform_queue: &str, ids: &[JobId]) -> Write {
    let filter = json!({ "ids": ids });
    sql!("select scheduler.discard({platform_queue}, {filter})").across_tenants()
}

/// A job whose last attempt never came to an answer.
#[derive(Deserialize)]
pub struct Lost {
    pub tenant_id: TenantId,
    pub id: JobId,
    pub queue_id: Option<QueueId>,
    pub schedule_id: Option<ScheduleId>,
    pub attempt: i32,
}

/// Jobs that began before `before` and that the platform has given up.
pub async fn lost(db: &Db, before: Time) -> Result<Vec<Lost>> {
    let lost = sql!(
        "select j.tenant_id, j.id, j.queue_id, j.schedule_id, j.attempt
         from (
           select * from scheduler.job
           where state = 'running' and started_at < {before} order by started_at limit 200
         ) r join scheduler.job j on j.tenant_id = r.tenant_id and j.id = r.id
         where scheduler.platform_queue_of(j) is not null and platform.queue_redrive(
           scheduler.platform_queue_of(j),
           jsonb_build_object('ids', jsonb_build_array(j.id)), true, null) = 1"
    );
    db.all(lost.across_tenants()).await
}

/// Touches no row when it has come to an end by itself meanwhile.
pub fn bury(id: JobId, reason: &str, now: Time) -> Write {
    sql!(
        "update scheduler.job set state = 'dead', reason = {reason}, finished_at = {now}
         where tenant_id = {tenant} and id = {id} and state = 'running'"
    )
    .expect_rows(1)
}

/// Forgets what ended before, with its attempts; a bounded number, so that no run takes long.
pub fn purge(before: Time) -> Write {
    sql!(
        "delete from scheduler.job j using (
           select tenant_id, id from scheduler.job where finished_at < {before} limit 5000
         ) o where j.tenant_id = o.tenant_id and j.id = o.id"
    )
    .across_tenants()
}

pub fn purge_keys(now: Time) -> Write {
    sql!("delete from scheduler.job_key where expires_at < {now}").across_tenants()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_waits_is_delayed_by_the_difference_of_the_components_clock() {
        let now: Time = "2026-03-01T10:00:00Z".parse().unwrap();
        let payload = json!({});
        let id: JobId = Uuid::from_u128(1).into();
        let queue: QueueId = Uuid::from_u128(2).into();
        let write = put(&Placement {
            id,
            queue,
            schedule: None,
            payload: &payload,
            priority: 0,
            group: None,
            dedup_key: None,
            run_at: now + seconds(90),
            now,
        });
        assert!(write.params().contains(&"Int64(90000)".to_owned()), "{:?}", write.params());
    }
}
