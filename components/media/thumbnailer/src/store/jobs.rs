//! Jobs by which pictures are taken.

use crate::steps::WorkerProgress;
use media_contract::asset_pipeline::StepRequested;
use media_contract::{AssetId, RunId};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

pub async fn is_taken(db: &Db, run: RunId, attempt: i32) -> Result<bool> {
    let taken = sql!(
        "select exists (select from thumbnailer.job
         where tenant_id = {tenant} and run_id = {run} and attempt = {attempt})"
    );
    db.one(taken).await
}

/// Violates `job_step` when the order was taken before.
pub fn insert(id: Uuid, order: &StepRequested, now: Time) -> Write {
    let request = Json(order);
    sql!(
        "insert into thumbnailer.job
           (tenant_id, id, asset_id, run_id, attempt, request, state, created_at)
         values ({tenant}, {id}, {order.asset}, {order.run}, {order.attempt}, {request},
           'running', {now})"
    )
}

pub fn submit(kind: &str, id: Uuid, args: &Value, options: &Value) -> Write {
    sql!("select platform.job_submit({kind}, {id}, {tenant}, {args}, {trace}, {options})")
}

/// A job whose end is wanted and not told.
#[derive(Debug, Deserialize)]
pub struct Running {
    pub id: Uuid,
    pub request: StepRequested,
}

pub async fn running(db: &Db, id: Uuid) -> Result<Option<Running>> {
    let one = sql!(
        "select id, request from thumbnailer.job
         where tenant_id = {tenant} and id = {id} and state = 'running'"
    );
    db.optional(one).await
}

pub fn end(id: Uuid, state: &str, reason_code: Option<&str>, now: Time) -> Write {
    sql!(
        "update thumbnailer.job set state = {state}, reason_code = {reason_code},
           finished_at = {now}
         where tenant_id = {tenant} and id = {id} and state = 'running'"
    )
    .expect_rows(1)
}

/// How far the workers of a run are.
pub async fn progress(db: &Db, run: RunId) -> Result<Vec<WorkerProgress>> {
    let told = sql!(
        "select '' as lane, p.fraction::float8 as fraction, p.stage
         from thumbnailer.job j cross join lateral platform.job_show(j.id) p
         where j.tenant_id = {tenant} and j.run_id = {run} and j.state = 'running'"
    );
    db.all(told).await
}

/// Stops what a run has under way.
pub fn withdraw(run: RunId, now: Time) -> Write {
    sql!(
        "update thumbnailer.job j set state = 'withdrawn', finished_at = {now}
         from (
           select o.id, platform.job_cancel(o.id) from thumbnailer.job o
           where o.tenant_id = {tenant} and o.run_id = {run} and o.state = 'running'
         ) c
         where j.tenant_id = {tenant} and j.id = c.id and j.state = 'running'"
    )
}

/// Stops what is under way for an asset.
pub fn withdraw_of(asset: AssetId, now: Time) -> Write {
    sql!(
        "update thumbnailer.job j set state = 'withdrawn', finished_at = {now}
         from (
           select o.id, platform.job_cancel(o.id) from thumbnailer.job o
           where o.tenant_id = {tenant} and o.asset_id = {asset} and o.state = 'running'
         ) c
         where j.tenant_id = {tenant} and j.id = c.id and j.state = 'running'"
    )
}

/// Forgets what ended before; a bounded number, so that no run takes long.
pub fn purge(before: Time) -> Write {
    sql!(
        "delete from thumbnailer.job j using (
           select tenant_id, id from thumbnailer.job where finished_at < {before} limit 5000
         ) o where j.tenant_id = o.tenant_id and j.id = o.id"
    )
    .across_tenants()
}
