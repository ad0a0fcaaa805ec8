//! Jobs by which tracks are made.

use crate::jobs::{Job, WorkerProgress};
use crate::plan::Method;
use media_contract::asset_pipeline::StepRequested;
use media_contract::step::Lane;
use media_contract::{AssetId, Reason, RunId};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

/// A job on its way to the workers.
#[derive(Debug)]
pub struct Submission<'a> {
    pub id: Uuid,
    pub order: &'a StepRequested,
    pub lane: Lane,
    pub method: Method,
    pub profile: &'a str,
    pub profile_hash: &'a str,
    pub args: Value,
    pub options: Value,
}

pub async fn is_taken(db: &Db, run: RunId, lane: Lane, attempt: i32) -> Result<bool> {
    let taken = sql!(
        "select exists (select from transcoder.job
         where tenant_id = {tenant} and run_id = {run} and lane = {lane} and attempt = {attempt})"
    );
    db.one(taken).await
}

/// Violates `job_step` when the order was taken before.
pub fn insert(s: &Submission<'_>, now: Time) -> Write {
    let (order, request) = (s.order, Json(s.order));
    sql!(
        "insert into transcoder.job (tenant_id, id, asset_id, run_id, lane, method, attempt,
           profile, profile_hash, request, state, created_at)
         values ({tenant}, {s.id}, {order.asset}, {order.run}, {s.lane}, {s.method},
           {order.attempt}, {s.profile}, {s.profile_hash}, {request}, 'running', {now})"
    )
}

pub fn submit(s: &Submission<'_>) -> Write {
    let (id, args, options) = (s.id, &s.args, &s.options);
    sql!("select platform.job_submit('transcode', {id}, {tenant}, {args}, {trace}, {options})")
}

/// A job whose end is wanted and not told.
#[derive(Debug, Deserialize)]
pub struct Running {
    pub id: Uuid,
    pub request: StepRequested,
    pub method: Method,
    pub profile: String,
    pub profile_hash: String,
}

pub async fn running(db: &Db, id: Uuid) -> Result<Option<Running>> {
    let one = sql!(
        "select id, request, method, profile, profile_hash from transcoder.job
         where tenant_id = {tenant} and id = {id} and state = 'running'"
    );
    db.optional(one).await
}

/// What a job has made, and for how much.
#[derive(Debug)]
pub struct Made<'a> {
    pub id: Uuid,
    pub result: &'a Value,
    pub cpu_seconds: f64,
    pub content_seconds: f64,
    pub bytes: i64,
}

pub fn succeed(m: &Made<'_>, now: Time) -> Write {
    sql!(
        "update transcoder.job set state = 'succeeded', result = {m.result},
           cpu_seconds = {m.cpu_seconds}, content_seconds = {m.content_seconds},
           bytes = {m.bytes}, finished_at = {now}
         where tenant_id = {tenant} and id = {m.id} and state = 'running'"
    )
    .expect_rows(1)
}

pub fn fail(id: Uuid, reason: &Reason, now: Time) -> Write {
    let code: String = reason.code.chars().take(60).collect();
    let detail: String = reason.detail.chars().take(2000).collect();
    sql!(
        "update transcoder.job set state = 'failed', reason_code = {code},
           reason_detail = {detail}, finished_at = {now}
         where tenant_id = {tenant} and id = {id} and state = 'running'"
    )
    .expect_rows(1)
}

/// Names of the tracks that the run's fast lane has made.
pub async fn fast_tracks(db: &Db, run: RunId) -> Result<Vec<String>> {
    let names = sql!(
        "select made ->> 'track' from transcoder.job j,
           jsonb_array_elements(j.result -> 'tracks') made
         where j.tenant_id = {tenant} and j.run_id = {run} and j.lane = 'fast'
           and j.state = 'succeeded'"
    );
    db.all(names).await
}

/// Newest first; filters that are absent fit all.
pub async fn list(
    db: &Db,
    asset: Option<AssetId>,
    state: Option<&str>,
    cursor: &Cursor,
) -> Result<Page<Job>> {
    let all = sql!(
        "select * from transcoder.job
         where tenant_id = {tenant} and ({asset}::uuid is null or asset_id = {asset})
           and ({state}::text is null or state = {state})"
    );
    db.page(all, cursor, descending(["id"])).await
}

pub async fn find(db: &Db, id: Uuid) -> Result<Job> {
    db.one(sql!("select * from transcoder.job where tenant_id = {tenant} and id = {id}")).await
}

/// How far the workers of a run are.
pub async fn progress(db: &Db, run: RunId) -> Result<Vec<WorkerProgress>> {
    let told = sql!(
        "select j.lane, p.fraction::float8 as fraction, p.stage
         from transcoder.job j cross join lateral platform.job_show(j.id) p
         where j.tenant_id = {tenant} and j.run_id = {run} and j.state = 'running'"
    );
    db.all(told).await
}

/// Asks the worker to stop; its end is told as any other.
pub fn cancel(id: Uuid) -> Write {
    sql!(
        "select platform.job_cancel(id) from transcoder.job
         where tenant_id = {tenant} and id = {id} and state = 'running'"
    )
}

/// Stops what a run has under way.
pub fn withdraw(run: RunId, now: Time) -> Write {
    sql!(
        "update transcoder.job j set state = 'withdrawn', finished_at = {now}
         from (
           select o.id, platform.job_cancel(o.id) from transcoder.job o
           where o.tenant_id = {tenant} and o.run_id = {run} and o.state = 'running'
         ) c
         where j.tenant_id = {tenant} and j.id = c.id and j.state = 'running'"
    )
}

/// Stops what is under way for an asset.
pub fn withdraw_of(asset: AssetId, now: Time) -> Write {
    sql!(
        "update transcoder.job j set state = 'withdrawn', finished_at = {now}
         from (
           select o.id, platform.job_cancel(o.id) from transcoder.job o
           where o.tenant_id = {tenant} and o.asset_id = {asset} and o.state = 'running'
         ) c
         where j.tenant_id = {tenant} and j.id = c.id and j.state = 'running'"
    )
}

/// Forgets what ended before; a bounded number, so that no run takes long.
pub fn purge(before: Time) -> Write {
    sql!(
        "delete from transcoder.job j using (
           select tenant_id, id from transcoder.job where finished_at < {before} limit 5000
         ) o where j.tenant_id = o.tenant_id and j.id = o.id"
    )
    .across_tenants()
}
