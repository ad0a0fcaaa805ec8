//! Who holds how much.

use crate::domain::QuotaReached;
use crate::quota::Bounds;
use nexus_sdk::prelude::*;

/// Bytes, all of them.
#[derive(Debug, Default, Deserialize)]
pub struct Account {
    pub bytes_max: Option<i64>,
    pub used: i64,
    pub reserved: i64,
}

pub async fn find(db: &Db, owner: Uuid) -> Result<Account> {
    let found = db
        .optional(sql!(
            "select bytes_max, used, reserved from uploader.account
             where tenant_id = {tenant} and owner_id = {owner}"
        ))
        .await?;
    Ok(found.unwrap_or_default())
}

/// Promises bytes to an owner.
pub fn reserve(owner: Uuid, bytes: i64, bounds: &Bounds) -> Write {
    let b = bounds;
    sql!("select uploader.reserve({tenant}, {owner}, {bytes}, {b.owner}, {b.tenant})")
        .on_conflict_refuse("quota_owner", QuotaReached)
        .on_conflict_refuse(
            "quota_tenant",
            QuotaReached.because("there is no room left in this installation for so many bytes"),
        )
}

/// Says what one owner may hold; null is what everybody may.
pub fn bound(owner: Uuid, bytes_max: Option<i64>) -> Write {
    sql!(
        "insert into uploader.account (tenant_id, owner_id, bytes_max)
         values ({tenant}, {owner}, {bytes_max})
         on conflict (tenant_id, owner_id) do update set bytes_max = excluded.bytes_max"
    )
}
