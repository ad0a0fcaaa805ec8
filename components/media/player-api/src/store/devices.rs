//! Kinds of devices that an administrator has set.

use crate::devices::Device;
use nexus_sdk::prelude::*;

/// More than anybody sets.
pub async fn all(db: &Db) -> Result<Vec<Device>> {
    let all = sql!(
        "select name, engine, height_max, kbps_max, buffer_seconds from player_api.device
         where tenant_id = {tenant} order by name limit 200"
    );
    db.all(all).await
}

pub fn put(d: &Device, now: Time) -> Write {
    let l = &d.limits;
    sql!(
        "insert into player_api.device (tenant_id, name, engine, height_max, kbps_max,
           buffer_seconds, updated_at)
         values ({tenant}, {d.name}, {l.engine}, {l.height_max}, {l.kbps_max}, {l.buffer_seconds},
           {now})
         on conflict (tenant_id, name) do update set engine = excluded.engine,
           height_max = excluded.height_max, kbps_max = excluded.kbps_max,
           buffer_seconds = excluded.buffer_seconds, updated_at = excluded.updated_at"
    )
}

pub fn remove(name: &str) -> Write {
    sql!("delete from player_api.device where tenant_id = {tenant} and name = {name}")
}
