//! How assets play: batches of players added up by asset, hour and kind of device.

use crate::measures::Measures;
use crate::store::beacons::{BeaconId, Waiting};
use crate::store::qoe::Hour;
use crate::{View, store};
use media_contract::AssetId;
use media_contract::player_api::QoeBeacon;
use nexus_sdk::Permission;
use nexus_sdk::chrono::{DurationRound as _, TimeDelta};
use nexus_sdk::prelude::*;
use std::collections::BTreeMap;

/// Batches of 500 in one run; the next one is a minute later.
const TURNS_MAX: usize = 20;
/// Batches that are in the sums are kept for a player that sends one again.
const BEACONS_DAYS: i32 = 2;
/// Longer than anybody watches one thing.
const PLAYBACKS_DAYS: i32 = 3;
const HOURS_DAYS: i32 = 400;

pub fn router() -> Router {
    Router::new().route("/assets/{asset}/qoe", get(list))
}

/// How one's own asset plays, newest hour first.
async fn list(by: SignedIn, Path(asset): Path<AssetId>, cursor: Cursor) -> Result<Page<Hour>> {
    let owner = match by.principal().may(View::NAME) {
        true => None,
        false => Some(crate::viewer(&by)?),
    };
    store::qoe::list(by.db(), asset, owner, &cursor).await
}

/// Sums of one tenant, and what is in them.
#[derive(Debug, Default)]
struct Sums {
    hours: BTreeMap<(AssetId, Time, String), (Uuid, Measures)>,
    ids: Vec<BeaconId>,
}

fn summed(waiting: Vec<Waiting>) -> BTreeMap<TenantId, Sums> {
    let mut all: BTreeMap<TenantId, Sums> = BTreeMap::new();
    for it in waiting {
        let sums = all.entry(it.tenant_id).or_default();
        let hour = it.received_at.duration_trunc(TimeDelta::hours(1)).unwrap_or(it.received_at);
        let before = sums.hours.entry((it.asset_id, hour, it.device)).or_default();
        *before = (it.owner_id, before.1.plus(it.measures.0));
        sums.ids.push(it.id);
    }
    all
}

/// Adds what has arrived, and tells of it.
pub async fn roll_up(system: System) -> Result<NoContent> {
    for _ in 0..TURNS_MAX {
        let waiting = store::beacons::waiting(system.db()).await?;
        if waiting.is_empty() {
            break;
        }
        for (tenant, sums) in summed(waiting) {
            let ctx = system.in_tenant(tenant);
            let mut writes = vec![store::beacons::rolled(sums.ids, ctx.now())];
            for ((asset_id, hour, device), (owner_id, measures)) in sums.hours {
                let hour = Hour { asset_id, owner_id, hour, device, measures };
                writes.push(store::qoe::add(&hour));
                writes.push(emit(told(&hour)));
            }
            ctx.commit(writes).await?;
        }
    }
    Ok(NoContent)
}

fn told(it: &Hour) -> QoeBeacon {
    let m = it.measures;
    QoeBeacon {
        asset: it.asset_id,
        owner: it.owner_id,
        hour: it.hour,
        device: it.device.clone(),
        plays: m.plays,
        first_frames: m.first_frames,
        startup_ms: m.startup_ms,
        failures: m.failures,
        errors: m.errors,
        left_early: m.left_early,
        stalls: m.stalls,
        stall_ms: m.stall_ms,
        played_ms: m.played_ms,
        rung_changes: m.rung_changes,
        kilobits: m.kilobits,
        frames: m.frames,
        frames_dropped: m.frames_dropped,
    }
}

pub async fn purge(system: System) -> Result<NoContent> {
    let now = system.now();
    system
        .commit([
            store::beacons::purge(now - days(BEACONS_DAYS)),
            store::beacons::purge_playbacks(now - days(PLAYBACKS_DAYS)),
            store::qoe::purge(now - days(HOURS_DAYS)),
        ])
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(id: u128, tenant: u128, at: &str, device: &str) -> Waiting {
        Waiting {
            tenant_id: Uuid::from_u128(tenant).into(),
            id: Uuid::from_u128(id).into(),
            asset_id: Uuid::from_u128(7).into(),
            owner_id: Uuid::from_u128(8),
            device: device.into(),
            measures: Json(Measures { plays: 1, startup_ms: 100, ..Measures::default() }),
            received_at: at.parse().unwrap(),
        }
    }

    #[test]
    fn what_is_told_within_an_hour_of_an_asset_on_a_device_is_one_sum() {
        let all = summed(vec![
            waiting(1, 1, "2026-03-01T10:00:00Z", "web"),
            waiting(2, 1, "2026-03-01T10:59:59Z", "web"),
            waiting(3, 1, "2026-03-01T11:00:00Z", "web"),
            waiting(4, 1, "2026-03-01T11:00:00Z", "tv"),
            waiting(5, 2, "2026-03-01T10:00:00Z", "web"),
        ]);
        assert_eq!(all.len(), 2, "tenants are never added");
        let first = &all[&Uuid::from_u128(1).into()];
        let plays: Vec<i64> = first.hours.values().map(|(_, sum)| sum.plays).collect();
        assert_eq!(plays, [2, 1, 1]);
        assert_eq!(first.ids.len(), 4);
    }
}
