//! How assets play, by the hour.

use crate::measures::Measures;
use media_contract::AssetId;
use nexus_sdk::prelude::*;

/// How an asset played on a kind of device within one hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hour {
    pub asset_id: AssetId,
    pub owner_id: Uuid,
    /// When it began.
    pub hour: Time,
    /// The name of a device profile; empty where the player did not say.
    pub device: String,
    #[serde(flatten)]
    pub measures: Measures,
}

/// Of an asset of `owner`; of anybody, where there is none.
pub async fn list(
    db: &Db,
    asset: AssetId,
    owner: Option<Uuid>,
    cursor: &Cursor,
) -> Result<Page<Hour>> {
    let all = sql!(
        "select * from player_api.qoe_hour
         where tenant_id = {tenant} and asset_id = {asset}
           and ({owner}::uuid is null or owner_id = {owner})"
    );
    db.page(all, cursor, descending(["hour", "device"])).await
}

/// Adds to what is there.
pub fn add(h: &Hour) -> Write {
    let m = &h.measures;
    sql!(
        "insert into player_api.qoe_hour as q (tenant_id, asset_id, owner_id, hour, device,
           plays, first_frames, startup_ms, within_500_ms, within_1000_ms, within_2000_ms,
           within_4000_ms, failures, errors, left_early, stalls, stall_ms, played_ms, rung_changes,
           kilobits, frames, frames_dropped, throughput_kbps, throughputs, starved)
         values ({tenant}, {h.asset_id}, {h.owner_id}, {h.hour}, {h.device},
           {m.plays}, {m.first_frames}, {m.startup_ms}, {m.within_500_ms}, {m.within_1000_ms},
           {m.within_2000_ms}, {m.within_4000_ms}, {m.failures}, {m.errors}, {m.left_early},
           {m.stalls}, {m.stall_ms}, {m.played_ms}, {m.rung_changes}, {m.kilobits}, {m.frames},
           {m.frames_dropped}, {m.throughput_kbps}, {m.throughputs}, {m.starved})
         on conflict (tenant_id, asset_id, hour, device) do update set
           plays = q.plays + excluded.plays,
           first_frames = q.first_frames + excluded.first_frames,
           startup_ms = q.startup_ms + excluded.startup_ms,
           within_500_ms = q.within_500_ms + excluded.within_500_ms,
           within_1000_ms = q.within_1000_ms + excluded.within_1000_ms,
           within_2000_ms = q.within_2000_ms + excluded.within_2000_ms,
           within_4000_ms = q.within_4000_ms + excluded.within_4000_ms,
           failures = q.failures + excluded.failures,
           errors = q.errors + excluded.errors,
           left_early = q.left_early + excluded.left_early,
           stalls = q.stalls + excluded.stalls,
           stall_ms = q.stall_ms + excluded.stall_ms,
           played_ms = q.played_ms + excluded.played_ms,
           rung_changes = q.rung_changes + excluded.rung_changes,
           kilobits = q.kilobits + excluded.kilobits,
           frames = q.frames + excluded.frames,
           frames_dropped = q.frames_dropped + excluded.frames_dropped,
           throughput_kbps = q.throughput_kbps + excluded.throughput_kbps,
           throughputs = q.throughputs + excluded.throughputs,
           starved = q.starved + excluded.starved"
    )
}

pub fn forget_of(asset: AssetId) -> Write {
    sql!("delete from player_api.qoe_hour where tenant_id = {tenant} and asset_id = {asset}")
}

pub fn purge(before: Time) -> Write {
    sql!("delete from player_api.qoe_hour where hour < {before}").across_tenants()
}
