//! Signing secrets. A key leaves the database only to sign.

use crate::secrets::SigningSecret;
use nexus_sdk::prelude::*;
use platform_contract::SigningSecretId;

pub async fn list(db: &Db, cursor: &Cursor) -> Result<Page<SigningSecret>> {
    let all = sql!(
        "select id, created_at, created_by, expires_at from scheduler.signing_secret
         where tenant_id = {tenant}"
    );
    db.page(all, cursor, descending(["id"])).await
}

/// The keys that sign now, newest first; never more than two.
pub async fn active(db: &Db, now: Time) -> Result<Vec<Vec<u8>>> {
    let keys = sql!(
        "select key from scheduler.signing_secret
         where tenant_id = {tenant} and (expires_at is null or expires_at > {now})
         order by id desc limit 2"
    );
    db.all(keys).await
}

pub fn insert(id: SigningSecretId, key: &[u8], by: &str, now: Time) -> Write {
    sql!(
        "insert into scheduler.signing_secret (tenant_id, id, key, created_at, created_by)
         values ({tenant}, {id}, {key}, {now}, {by})"
    )
}

/// Ends those that sign beside the newest.
pub fn end_expiring(now: Time) -> Write {
    sql!(
        "update scheduler.signing_secret set expires_at = {now}
         where tenant_id = {tenant} and expires_at > {now}"
    )
}

/// Lets the newest sign until then.
pub fn expire_newest(until: Time) -> Write {
    sql!(
        "update scheduler.signing_secret set expires_at = {until}
         where tenant_id = {tenant} and expires_at is null"
    )
}

/// Forgets those that have long ended.
pub fn purge(before: Time) -> Write {
    sql!("delete from scheduler.signing_secret where expires_at < {before}").across_tenants()
}
