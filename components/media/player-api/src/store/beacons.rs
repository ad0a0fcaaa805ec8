//! Playbacks, as `streaming` tells of them, and what their players told.

use crate::measures::Measures;
use media_contract::streaming::ViewStarted;
use media_contract::{AssetId, PlaybackId};
use nexus_sdk::prelude::*;

nexus_sdk::id! {
    /// One batch of one player.
    BeaconId
}

/// One batch of one player, added up.
#[derive(Debug)]
pub struct Beacon {
    /// Ours.
    pub id: BeaconId,
    /// The player's: unique for one viewer only.
    pub batch_id: Uuid,
    pub playback_id: PlaybackId,
    pub viewer_id: Uuid,
    pub device: String,
    pub measures: Json<Measures>,
    pub received_at: Time,
}

/// A batch of any tenant that is not in the sums yet, with whose asset it is about.
#[derive(Debug, Deserialize)]
pub struct Waiting {
    pub tenant_id: TenantId,
    pub id: BeaconId,
    pub asset_id: AssetId,
    pub owner_id: Uuid,
    pub device: String,
    pub measures: Json<Measures>,
    pub received_at: Time,
}

pub fn put_playback(view: &ViewStarted, now: Time) -> Write {
    sql!(
        "insert into player_api.playback (tenant_id, id, asset_id, owner_id, viewer_id, started_at)
         values ({tenant}, {view.playback}, {view.asset}, {view.owner}, {view.viewer}, {now})
         on conflict (tenant_id, id) do nothing"
    )
}

/// A batch that came before changes nothing.
pub fn insert(b: &Beacon) -> Write {
    sql!(
        "insert into player_api.beacon (tenant_id, id, viewer_id, batch_id, playback_id, device,
           measures, received_at)
         values ({tenant}, {b.id}, {b.viewer_id}, {b.batch_id}, {b.playback_id}, {b.device},
           {b.measures}, {b.received_at})
         on conflict (tenant_id, viewer_id, batch_id) do nothing"
    )
}

/// The oldest that wait, of all tenants: only what somebody tells of a playback of their own.
pub async fn waiting(db: &Db) -> Result<Vec<Waiting>> {
    let some = sql!(
        "select b.tenant_id, b.id, p.asset_id, p.owner_id, b.device, b.measures, b.received_at
         from player_api.beacon b
           join player_api.playback p on p.tenant_id = b.tenant_id and p.id = b.playback_id
             and p.viewer_id = b.viewer_id
         where b.rolled_at is null order by b.received_at, b.id limit 500"
    );
    db.all(some.across_tenants()).await
}

/// All of them, or the commit is undone: another host has added them in the meantime.
pub fn rolled(ids: Vec<BeaconId>, now: Time) -> Write {
    let rows = ids.len() as u64;
    sql!(
        "update player_api.beacon set rolled_at = {now}
         where tenant_id = {tenant} and id = any({ids}::text[]::uuid[]) and rolled_at is null"
    )
    .expect_rows(rows)
}

/// Forgets batches that are in the sums, and those of playbacks that nobody has told of.
pub fn purge(before: Time) -> Write {
    sql!(
        "delete from player_api.beacon b using (
           select tenant_id, id from player_api.beacon where received_at < {before} limit 20000
         ) o where b.tenant_id = o.tenant_id and b.id = o.id"
    )
    .across_tenants()
}

pub fn purge_playbacks(before: Time) -> Write {
    sql!(
        "delete from player_api.playback p using (
           select tenant_id, id from player_api.playback where started_at < {before} limit 20000
         ) o where p.tenant_id = o.tenant_id and p.id = o.id"
    )
    .across_tenants()
}

pub fn erase(viewer: Uuid) -> [Write; 2] {
    [
        sql!("delete from player_api.beacon where tenant_id = {tenant} and viewer_id = {viewer}"),
        sql!("delete from player_api.playback where tenant_id = {tenant} and viewer_id = {viewer}"),
    ]
}
