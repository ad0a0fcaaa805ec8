//! All SQL, on this service's own schema: one statement per function.

use crate::steps::Item;
use media_contract::facts::Facts;
use media_contract::{AssetId, RunId};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;
use std::collections::BTreeMap;

/// A look into a file that a worker was asked for.
#[derive(Debug, Deserialize)]
pub struct Job {
    pub id: Uuid,
    pub asset_id: AssetId,
    pub owner_id: Uuid,
    pub run_id: RunId,
    pub attempt: i32,
}

/// What the platform is asked to have done.
#[derive(Debug)]
pub struct Submission {
    pub job: Uuid,
    pub args: Value,
    pub options: Value,
}

pub async fn list(db: &Db, owner: Option<Uuid>, cursor: &Cursor) -> Result<Page<Item>> {
    let all = sql!(
        "select asset_id, facts, tags, updated_at from media_metadata.item
         where tenant_id = {tenant} and ({owner}::uuid is null or owner_id = {owner})"
    );
    db.page(all, cursor, descending(["asset_id"])).await
}

pub async fn find(db: &Db, asset: AssetId, owner: Option<Uuid>) -> Result<Item> {
    let one = sql!(
        "select asset_id, facts, tags, updated_at from media_metadata.item
         where tenant_id = {tenant} and asset_id = {asset}
           and ({owner}::uuid is null or owner_id = {owner})"
    );
    db.one(one).await
}

pub async fn find_if_any(db: &Db, asset: AssetId) -> Result<Option<Item>> {
    let one = sql!(
        "select asset_id, facts, tags, updated_at from media_metadata.item
         where tenant_id = {tenant} and asset_id = {asset}"
    );
    db.optional(one).await
}

/// A later run finds the same in the same file, or more.
pub fn keep(job: &Job, facts: &Facts, tags: &BTreeMap<String, String>, now: Time) -> Write {
    let (facts, tags) = (Json(facts), Json(tags));
    sql!(
        "insert into media_metadata.item
           (tenant_id, asset_id, owner_id, run_id, facts, tags, updated_at)
         values ({tenant}, {job.asset_id}, {job.owner_id}, {job.run_id}, {facts}, {tags}, {now})
         on conflict (tenant_id, asset_id) do update set run_id = excluded.run_id,
           facts = excluded.facts, tags = excluded.tags, updated_at = excluded.updated_at"
    )
}

pub fn forget(asset: AssetId) -> Write {
    sql!("delete from media_metadata.item where tenant_id = {tenant} and asset_id = {asset}")
}

pub async fn is_taken(db: &Db, run: RunId, attempt: i32) -> Result<bool> {
    let taken = sql!(
        "select exists (select from media_metadata.job
         where tenant_id = {tenant} and run_id = {run} and attempt = {attempt})"
    );
    db.one(taken).await
}

/// Violates `job_step` when the order was taken before.
pub fn insert(j: &Job, now: Time) -> Write {
    sql!(
        "insert into media_metadata.job
           (tenant_id, id, asset_id, owner_id, run_id, attempt, state, created_at)
         values ({tenant}, {j.id}, {j.asset_id}, {j.owner_id}, {j.run_id}, {j.attempt}, 'running',
           {now})"
    )
}

pub fn submit(s: &Submission) -> Write {
    sql!("select platform.job_submit('probe', {s.job}, {tenant}, {s.args}, {trace}, {s.options})")
}

/// The job, as long as its end is wanted and not told.
pub async fn running(db: &Db, id: Uuid) -> Result<Option<Job>> {
    let one = sql!(
        "select id, asset_id, owner_id, run_id, attempt from media_metadata.job
         where tenant_id = {tenant} and id = {id} and state = 'running'"
    );
    db.optional(one).await
}

pub fn end(id: Uuid, state: &str, now: Time) -> Write {
    sql!(
        "update media_metadata.job set state = {state}, finished_at = {now}
         where tenant_id = {tenant} and id = {id} and state = 'running'"
    )
    .expect_rows(1)
}

/// Stops what a run has under way.
pub fn withdraw(run: RunId, now: Time) -> Write {
    sql!(
        "update media_metadata.job j set state = 'withdrawn', finished_at = {now}
         from (
           select o.id, platform.job_cancel(o.id) from media_metadata.job o
           where o.tenant_id = {tenant} and o.run_id = {run} and o.state = 'running'
         ) c
         where j.tenant_id = {tenant} and j.id = c.id and j.state = 'running'"
    )
}

/// Stops what is under way for an asset.
pub fn withdraw_of(asset: AssetId, now: Time) -> Write {
    sql!(
        "update media_metadata.job j set state = 'withdrawn', finished_at = {now}
         from (
           select o.id, platform.job_cancel(o.id) from media_metadata.job o
           where o.tenant_id = {tenant} and o.asset_id = {asset} and o.state = 'running'
         ) c
         where j.tenant_id = {tenant} and j.id = c.id and j.state = 'running'"
    )
}

/// Forgets what ended before; a bounded number, so that no run takes long.
pub fn purge(before: Time) -> Write {
    sql!(
        "delete from media_metadata.job j using (
           select tenant_id, id from media_metadata.job where finished_at < {before} limit 5000
         ) o where j.tenant_id = o.tenant_id and j.id = o.id"
    )
    .across_tenants()
}
