//! Queues: the users' definitions, and the platform's queues behind them.

use crate::queues::{Queue, Stats};
use nexus_sdk::prelude::*;
use platform_contract::{JobId, QueueId};
use serde_json::Value;

pub async fn list(db: &Db, cursor: &Cursor) -> Result<Page<Queue>> {
    let all = sql!("select * from scheduler.queue where tenant_id = {tenant}");
    db.page(all, cursor, ascending(["name"])).await
}

pub async fn find(db: &Db, id: QueueId) -> Result<Queue> {
    db.one(sql!("select * from scheduler.queue where tenant_id = {tenant} and id = {id}")).await
}

pub async fn find_if_any(db: &Db, id: QueueId) -> Result<Option<Queue>> {
    let one = sql!("select * from scheduler.queue where tenant_id = {tenant} and id = {id}");
    db.optional(one).await
}

pub fn insert(q: &Queue, queues_max: i64) -> Write {
    let (callback, retry) = (Json(&q.callback), Json(&q.retry));
    sql!(
        "insert into scheduler.queue (tenant_id, id, name, callback, retry, concurrency_max,
           rate_per_minute, ordered, dedup_window_seconds, version, created_at, updated_at,
           updated_by, used_up_at)
         select {tenant}, {q.id}, {q.name}, {callback}, {retry}, {q.concurrency_max},
           {q.rate_per_minute}, {q.ordered}, {q.dedup_window_seconds}, {q.version},
           {q.created_at}, {q.updated_at}, {q.updated_by}, {q.created_at}
         where (select count(*) from scheduler.queue where tenant_id = {tenant}) < {queues_max}"
    )
    .expect_rows(1)
}

pub fn update(q: &Queue, seen: i64) -> Write {
    let (callback, retry) = (Json(&q.callback), Json(&q.retry));
    sql!(
        "update scheduler.queue set callback = {callback}, retry = {retry},
           concurrency_max = {q.concurrency_max}, rate_per_minute = {q.rate_per_minute},
           dedup_window_seconds = {q.dedup_window_seconds}, version = {q.version},
           updated_at = {q.updated_at}, updated_by = {q.updated_by}
         where tenant_id = {tenant} and id = {q.id} and version = {seen}"
    )
    .expect_rows(1)
}

/// Touches no row while a schedule puts its jobs there.
pub fn remove(id: QueueId) -> Write {
    sql!(
        "delete from scheduler.queue
         where tenant_id = {tenant} and id = {id} and not exists (
           select from scheduler.schedule s
           where s.tenant_id = {tenant} and s.target -> 'enqueue' ->> 'queue_id' = {id}::text)"
    )
    .expect_rows(1)
}

pub fn pause(id: QueueId, by: &str, now: Time) -> Write {
    sql!(
        "update scheduler.queue set paused_at = coalesce(paused_at, {now}), paused_by = {by}
         where tenant_id = {tenant} and id = {id}"
    )
}

pub fn resume(id: QueueId) -> Write {
    sql!(
        "update scheduler.queue set paused_at = null, paused_by = null
         where tenant_id = {tenant} and id = {id}"
    )
}

pub fn put_platform_queue(name: &str, function: &str, settings: &Value) -> Write {
    sql!(
        "select scheduler.put_platform_queue(
           scheduler.platform_queue({tenant}, {name}), {function}, {settings})"
    )
}

pub fn pause_platform_queue(name: &str) -> Write {
    sql!("select platform.queue_pause(scheduler.platform_queue({tenant}, {name}))")
}

pub fn resume_platform_queue(name: &str) -> Write {
    sql!("select platform.queue_resume(scheduler.platform_queue({tenant}, {name}))")
}

pub fn discard_dead(name: &str) -> Write {
    let all = json!({ "all": true });
    sql!("select scheduler.discard(scheduler.platform_queue({tenant}, {name}), {all})")
}

/// Cancels all that waits.
pub fn withdraw(id: QueueId, name: &str, now: Time) -> Write {
    sql!("select scheduler.withdraw({tenant}, {id}, {name}, null, {now})")
}

/// Cancels one job; gives no row when it does not wait.
pub fn withdraw_one(id: QueueId, name: &str, job: JobId, now: Time) -> Write {
    sql!("select 1 where scheduler.withdraw({tenant}, {id}, {name}, {job}, {now}) = 1")
        .expect_rows(1)
}

/// Uses up a place within the rate, by GCRA: places lie evenly spread, and who comes at most a
/// second early gets one. Touches no row when there is none.
pub fn take_place(id: QueueId, per_minute: i32, now: Time) -> Write {
    let milliseconds = 60_000.0 / f64::from(per_minute);
    sql!(
        "update scheduler.queue
         set used_up_at = greatest(used_up_at, {now})
           + make_interval(secs => {milliseconds}::float8 / 1000.0)
         where tenant_id = {tenant} and id = {id}
           and used_up_at <= {now}::timestamptz + interval '1 second'"
    )
    .expect_rows(1)
}

pub async fn stats(db: &Db, name: &str) -> Result<Stats> {
    let stats = sql!(
        "select paused, ready, deferred, leased, dead, oldest_ready_seconds
         from platform.queue_stats(scheduler.platform_queue({tenant}, {name}))"
    );
    db.one(stats).await
}
