//! Schedules: the users' definitions, and what the platform does with them.

use crate::runs::Run;
use crate::schedules::{Schedule, Target};
use crate::timing::Overlap;
use nexus_sdk::prelude::*;
use platform_contract::{BackfillId, JobId, ScheduleId};
use serde_json::Value;

pub async fn list(db: &Db, cursor: &Cursor) -> Result<Page<Schedule>> {
    // A tenant has fewer than a thousand.
    let all = sql!(
        "select s.id, s.name, s.timing, s.retry, s.target, s.version, s.created_at, s.updated_at,
           s.updated_by, p.paused_at, p.paused_by, p.paused_reason, p.next_fire_at as next_at,
           p.last_scheduled_at as last_at
         from scheduler.schedule s
         left join platform.schedule_list({tenant}, null, 1000) p on p.id = s.id
         where s.tenant_id = {tenant}"
    );
    db.page(all, cursor, ascending(["name"])).await
}

pub async fn find(db: &Db, id: ScheduleId) -> Result<Schedule> {
    let one = sql!(
        "select s.id, s.name, s.timing, s.retry, s.target, s.version, s.created_at, s.updated_at,
           s.updated_by, p.paused_at, p.paused_by, p.paused_reason, p.next_fire_at as next_at,
           p.last_scheduled_at as last_at
         from scheduler.schedule s
         left join platform.schedule_list({tenant}, null, 1000) p on p.id = s.id
         where s.tenant_id = {tenant} and s.id = {id}"
    );
    db.one(one).await
}

/// What a run needs to know of its schedule.
#[derive(Deserialize)]
pub struct Orders {
    pub name: String,
    pub retry: crate::retries::Retry,
    pub target: Target,
}

pub async fn orders(db: &Db, id: ScheduleId) -> Result<Option<Orders>> {
    let one = sql!(
        "select name, retry, target from scheduler.schedule
         where tenant_id = {tenant} and id = {id}"
    );
    db.optional(one).await
}

pub fn insert(s: &Schedule, schedules_max: i64) -> Write {
    let (timing, retry, target) = (Json(&s.timing), Json(&s.retry), Json(&s.target));
    sql!(
        "insert into scheduler.schedule (tenant_id, id, name, timing, retry, target, version,
           created_at, updated_at, updated_by, told_at)
         select {tenant}, {s.id}, {s.name}, {timing}, {retry}, {target}, {s.version},
           {s.created_at}, {s.updated_at}, {s.updated_by}, {s.created_at}
         where (select count(*) from scheduler.schedule where tenant_id = {tenant})
           < {schedules_max}"
    )
    .expect_rows(1)
}

pub fn update(s: &Schedule, seen: i64) -> Write {
    let (timing, retry, target) = (Json(&s.timing), Json(&s.retry), Json(&s.target));
    sql!(
        "update scheduler.schedule set name = {s.name}, timing = {timing}, retry = {retry},
           target = {target}, version = {s.version}, updated_at = {s.updated_at},
           updated_by = {s.updated_by}
         where tenant_id = {tenant} and id = {s.id} and version = {seen}"
    )
    .expect_rows(1)
}

pub fn remove(id: ScheduleId) -> Write {
    sql!("delete from scheduler.schedule where tenant_id = {tenant} and id = {id}").expect_rows(1)
}

/// The platform's queue for the runs of this tenant.
pub fn put_run_queue(function: &str, settings: &Value) -> Write {
    sql!(
        "select scheduler.put_platform_queue(
           scheduler.run_queue({tenant}), {function}, {settings})"
    )
}

/// Tells the platform when, and where its messages go.
pub fn put(s: &Schedule, topic: &str) -> Write {
    let definition = s.timing.definition(s.created_at);
    sql!(
        "select platform.schedule_put({s.id}, {tenant}, {s.name}, {definition},
           jsonb_build_object('queue', scheduler.run_queue({tenant}), 'topic', {topic}::text))"
    )
}

// The platform knows the service and not its tenants: that a schedule is this tenant's is asked in
// the statement itself.

pub fn forget(id: ScheduleId) -> Write {
    // Its row is gone within the same transaction, which only its tenant could do.
    sql!("select platform.schedule_remove({id})").across_tenants()
}

pub fn pause(id: ScheduleId, by: &str, reason: &str) -> Write {
    sql!(
        "select platform.schedule_pause(s.id, {by}, {reason}) from scheduler.schedule s
         where s.tenant_id = {tenant} and s.id = {id}"
    )
}

pub fn resume(id: ScheduleId) -> Write {
    sql!(
        "select platform.schedule_resume(s.id) from scheduler.schedule s
         where s.tenant_id = {tenant} and s.id = {id}"
    )
}

pub fn run_now(id: ScheduleId, run: JobId, by: &str) -> Write {
    sql!(
        "select platform.schedule_run_now(s.id, {run}, null, {by}) from scheduler.schedule s
         where s.tenant_id = {tenant} and s.id = {id}"
    )
}

pub fn backfill(
    id: ScheduleId,
    order: BackfillId,
    from: Time,
    to: Time,
    overlap: Overlap,
    by: &str,
) -> Write {
    sql!(
        "select platform.schedule_backfill(s.id, {order}, {from}, {to}, {overlap}, {by})
         from scheduler.schedule s where s.tenant_id = {tenant} and s.id = {id}"
    )
}

/// The platform's words for a run's state become ours where we know nothing better.
pub async fn runs(db: &Db, id: ScheduleId, cursor: &Cursor) -> Result<Page<Run>> {
    let last = sql!(
        "select r.run_id as id, r.scheduled_at, r.fired_at, r.trigger,
           coalesce(j.state, case when r.state in ('due', 'ready', 'deferred') then 'queued'
             when r.state = 'leased' then 'running' when r.state = 'done' then 'succeeded'
             else r.state end) as state,
           coalesce(j.reason, r.reason) as reason, r.requested_by, r.fires,
           coalesce(j.attempt, r.attempt) as attempt, j.status,
           coalesce(j.started_at, r.started_at) as started_at,
           coalesce(j.finished_at, r.finished_at) as finished_at
         from platform.schedule_runs({id}, null, 1000) r
         left join scheduler.job j on j.tenant_id = {tenant} and j.id = r.run_id"
    );
    db.page(last, cursor, descending(["scheduled_at", "id"])).await
}

/// A schedule that has fired since its missed runs were last told.
#[derive(Deserialize)]
pub struct Untold {
    pub tenant_id: TenantId,
    pub id: ScheduleId,
    pub told_at: Time,
    pub last_at: Time,
}

pub async fn untold(db: &Db) -> Result<Vec<Untold>> {
    let fired = sql!(
        "select s.tenant_id, s.id, s.told_at, p.last_scheduled_at as last_at
         from (select distinct tenant_id from scheduler.schedule) t
         cross join lateral platform.schedule_list(t.tenant_id, null, 1000) p
         join scheduler.schedule s on s.tenant_id = t.tenant_id and s.id = p.id
         where p.last_scheduled_at > s.told_at
         limit 200"
    );
    db.all(fired.across_tenants()).await
}

#[derive(Deserialize)]
pub struct Missed {
    pub scheduled_at: Time,
    pub fires: i64,
    pub reason: Option<String>,
}

/// Missed instants after `told_at`, up to `last_at`; of very many, the latest.
pub async fn missed(db: &Db, id: ScheduleId, told_at: Time, last_at: Time) -> Result<Vec<Missed>> {
    let missed = sql!(
        "select r.scheduled_at, r.fires, r.reason from platform.schedule_runs({id}, null, 1000) r
         join scheduler.schedule s on s.tenant_id = {tenant} and s.id = {id}
         where r.state = 'missed' and r.scheduled_at > {told_at} and r.scheduled_at <= {last_at}
         order by r.scheduled_at"
    );
    db.all(missed).await
}

/// Touches no row when another host has told them meanwhile.
pub fn told(id: ScheduleId, told_at: Time, last_at: Time) -> Write {
    sql!(
        "update scheduler.schedule set told_at = {last_at}
         where tenant_id = {tenant} and id = {id} and told_at = {told_at}"
    )
    .expect_rows(1)
}
