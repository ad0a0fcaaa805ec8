//! Tenants' keys, wrapped.

use nexus_sdk::prelude::*;

#[derive(Deserialize)]
pub struct TenantKeyRow {
    pub tenant_id: Uuid,
    pub wrapped: Vec<u8>,
    pub root: Vec<u8>,
}

pub async fn find(db: &Db, whose: Uuid) -> Result<Option<TenantKeyRow>> {
    let one = sql!("select tenant_id, wrapped, root from kms.tenant_key where tenant_id = {whose}");
    db.optional(one.across_tenants()).await
}

pub fn insert(whose: Uuid, wrapped: &[u8], root: &[u8], now: Time) -> Write {
    sql!(
        "insert into kms.tenant_key (tenant_id, wrapped, root, created_at, wrapped_at)
         values ({whose}, {wrapped}, {root}, {now}, {now})
         on conflict (tenant_id) do nothing"
    )
    .across_tenants()
}

/// Some that another root key wraps.
pub async fn wrapped_by_another(db: &Db, root: &[u8], limit: i64) -> Result<Vec<TenantKeyRow>> {
    let some = sql!(
        "select tenant_id, wrapped, root from kms.tenant_key where root <> {root}
         order by tenant_id limit {limit}"
    );
    db.all(some.across_tenants()).await
}

/// Wraps anew what nobody else has wrapped meanwhile.
pub fn rewrap(seen: &TenantKeyRow, wrapped: &[u8], root: &[u8], now: Time) -> Write {
    sql!(
        "update kms.tenant_key set wrapped = {wrapped}, root = {root}, wrapped_at = {now}
         where tenant_id = {seen.tenant_id} and root = {seen.root}"
    )
    .across_tenants()
}
