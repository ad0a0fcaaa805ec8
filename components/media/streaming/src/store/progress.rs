//! How far viewers are.

use media_contract::AssetId;
use nexus_sdk::prelude::*;

/// How far somebody is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    pub asset_id: AssetId,
    pub position_ms: i64,
    pub duration_ms: i64,
    /// Seen to its end, but for what everybody leaves out.
    pub is_finished: bool,
    pub updated_at: Time,
}

pub async fn find(db: &Db, viewer: Uuid, asset: AssetId) -> Result<Option<Progress>> {
    let one = sql!(
        "select asset_id, position_ms, duration_ms, is_finished, updated_at
         from streaming.progress
         where tenant_id = {tenant} and viewer_id = {viewer} and asset_id = {asset}"
    );
    db.optional(one).await
}

/// What can still be played, and is worth going on with.
pub async fn list(db: &Db, viewer: Uuid, cursor: &Cursor) -> Result<Page<Progress>> {
    let all = sql!(
        "select p.asset_id, p.position_ms, p.duration_ms, p.is_finished, p.updated_at
         from streaming.progress p
           join streaming.asset a on a.tenant_id = p.tenant_id and a.id = p.asset_id
         where p.tenant_id = {tenant} and p.viewer_id = {viewer} and not p.is_finished
           and not a.is_deleted and (a.is_published or a.owner_id = {viewer})"
    );
    db.page(all, cursor, descending(["updated_at", "asset_id"])).await
}

pub fn put(viewer: Uuid, p: &Progress) -> Write {
    sql!(
        "insert into streaming.progress as p (tenant_id, viewer_id, asset_id, position_ms,
           duration_ms, is_finished, updated_at)
         values ({tenant}, {viewer}, {p.asset_id}, {p.position_ms}, {p.duration_ms},
           {p.is_finished}, {p.updated_at})
         on conflict (tenant_id, viewer_id, asset_id) do update
           set position_ms = excluded.position_ms, duration_ms = excluded.duration_ms,
             is_finished = excluded.is_finished, updated_at = excluded.updated_at
         where p.updated_at <= excluded.updated_at"
    )
}

pub fn forget(viewer: Uuid, asset: AssetId) -> Write {
    sql!(
        "delete from streaming.progress
         where tenant_id = {tenant} and viewer_id = {viewer} and asset_id = {asset}"
    )
}

pub fn forget_of(asset: AssetId) -> Write {
    sql!("delete from streaming.progress where tenant_id = {tenant} and asset_id = {asset}")
}

pub fn erase(viewer: Uuid) -> Write {
    sql!("delete from streaming.progress where tenant_id = {tenant} and viewer_id = {viewer}")
}
