//! API keys. The hosts know each as a credential of the same id.

use crate::api_keys::{ApiKey, Key};
use identity_contract::ApiKeyId;
use nexus_sdk::prelude::*;

/// Those of a subject that are worth something; it has few.
pub async fn good(db: &Db, subject: &str, now: Time) -> Result<Vec<Key>> {
    let good = sql!(
        "select id, subject, organisation, name, digest, beginning,
           permission_limit as permissions, networks, created_at, expires_at
         from token_mgr.api_key
         where tenant_id = {tenant} and subject = {subject} and revoked_at is null
           and expires_at > {now} limit 1000"
    );
    db.all(good).await
}

/// One that is worth something.
pub async fn find(db: &Db, id: ApiKeyId, now: Time) -> Result<Option<Key>> {
    let one = sql!(
        "select id, subject, organisation, name, digest, beginning,
           permission_limit as permissions, networks, created_at, expires_at
         from token_mgr.api_key
         where tenant_id = {tenant} and id = {id} and revoked_at is null and expires_at > {now}"
    );
    db.optional(one).await
}

pub async fn of_digest(db: &Db, digest: &[u8], now: Time) -> Result<Option<Key>> {
    let one = sql!(
        "select id, subject, organisation, name, digest, beginning,
           permission_limit as permissions, networks, created_at, expires_at
         from token_mgr.api_key
         where tenant_id = {tenant} and digest = {digest} and revoked_at is null
           and expires_at > {now}"
    );
    db.optional(one).await
}

/// A subject's keys with when they were last used, the ended ones as long as they are kept.
pub async fn list(db: &Db, subject: &str, cursor: &Cursor) -> Result<Page<ApiKey>> {
    // A key is seen when it is made; what is later is a use.
    let all = sql!(
        "select k.id, k.subject, k.organisation, k.name, k.beginning,
           k.permission_limit as permissions, k.networks, k.created_at, k.expires_at,
           k.replaced_by, k.revoked_at,
           case when c.seen_at > k.created_at + interval '1 second' then c.seen_at end as seen_at
         from token_mgr.api_key k
         left join platform.identity_credentials_seen({tenant}, {subject}) c on c.id = k.id
         where k.tenant_id = {tenant} and k.subject = {subject}"
    );
    db.page(all, cursor, descending(["id"])).await
}

pub async fn of_organisation(db: &Db, organisation: &str, cursor: &Cursor) -> Result<Page<ApiKey>> {
    let all = sql!(
        "select k.id, k.subject, k.organisation, k.name, k.beginning,
           k.permission_limit as permissions, k.networks, k.created_at, k.expires_at,
           k.replaced_by, k.revoked_at,
           case when c.seen_at > k.created_at + interval '1 second' then c.seen_at end as seen_at
         from token_mgr.api_key k
         left join lateral platform.identity_credentials_seen(k.tenant_id, k.subject) c
           on c.id = k.id
         where k.tenant_id = {tenant} and k.organisation = {organisation}"
    );
    db.page(all, cursor, descending(["id"])).await
}

/// Misses when the subject has as many as it may have.
pub fn insert(k: &Key, by: &str, keys_max: i32) -> Write {
    sql!(
        "insert into token_mgr.api_key (tenant_id, id, subject, organisation, name, digest,
           beginning, permission_limit, networks, created_at, created_by, expires_at)
         select {tenant}, {k.id}, {k.subject}, {k.organisation}, {k.name}, {k.digest},
           {k.beginning}, {k.permissions}, {k.networks}, {k.created_at}, {by}, {k.expires_at}
         where (select count(*) from token_mgr.api_key
           where tenant_id = {tenant} and subject = {k.subject} and revoked_at is null
             and expires_at > {k.created_at}) < {keys_max}::int4"
    )
    .expect_rows(1)
}

/// Lets the hosts take it, until its end.
pub fn put_credential(k: &Key) -> Write {
    sql!(
        "select platform.identity_credential_put({tenant}, {k.id}, 'api_key', {k.digest},
           {k.subject}, {k.organisation}, {k.permissions}, {k.networks}, null, null,
           {k.expires_at}, null)"
    )
}

pub fn rename(id: ApiKeyId, name: &str) -> Write {
    sql!(
        "update token_mgr.api_key set name = {name}
         where tenant_id = {tenant} and id = {id} and revoked_at is null"
    )
    .expect_rows(1)
}

/// Another takes over; this one is worth something for a while yet, never longer than before.
pub fn hand_over(id: ApiKeyId, to: ApiKeyId, expires_at: Time) -> Write {
    sql!(
        "update token_mgr.api_key set replaced_by = {to}, expires_at = {expires_at}
         where tenant_id = {tenant} and id = {id} and revoked_at is null and replaced_by is null"
    )
    .expect_rows(1)
}

pub fn revoke(id: ApiKeyId, now: Time) -> Write {
    sql!(
        "update token_mgr.api_key set revoked_at = {now}
         where tenant_id = {tenant} and id = {id} and revoked_at is null"
    )
    .expect_rows(1)
}

pub fn revoke_credential(id: ApiKeyId) -> Write {
    sql!("select platform.identity_credential_revoke({tenant}, {id})")
}

pub fn forget(subject: &str) -> Write {
    sql!("delete from token_mgr.api_key where tenant_id = {tenant} and subject = {subject}")
}

pub fn prune(before: Time, rows_max: i64) -> Write {
    sql!(
        "delete from token_mgr.api_key where ctid = any (array(
           select ctid from token_mgr.api_key
           where least(expires_at, revoked_at) < {before} limit {rows_max}))"
    )
    .across_tenants()
}
