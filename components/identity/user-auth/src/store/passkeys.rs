//! Passkeys.

use identity_contract::{CredentialId, UserId};
use nexus_sdk::prelude::*;

/// A passkey as its owner sees it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Passkey {
    pub id: CredentialId,
    pub name: String,
    /// The make of the authenticator (AAGUID), all zeros where it does not say.
    pub aaguid: Uuid,
    pub transports: Vec<String>,
    /// Whether it may be kept by a cloud, and whether it is.
    pub backup_eligible: bool,
    pub backed_up: bool,
    pub created_at: Time,
    pub used_at: Option<Time>,
    /// Since when its counter says that there may be a copy.
    pub suspect_at: Option<Time>,
}

/// What a login needs of it.
#[derive(Debug, Deserialize)]
pub struct Held {
    pub id: CredentialId,
    pub user_id: UserId,
    pub public_key: Vec<u8>,
    pub sign_count: i64,
    pub backup_eligible: bool,
}

/// What a browser must know to find it.
#[derive(Debug, Deserialize)]
pub struct Named {
    pub credential_id: Vec<u8>,
    pub transports: Vec<String>,
}

/// One to be kept.
pub struct Made<'a> {
    pub id: CredentialId,
    pub user: UserId,
    pub credential_id: &'a [u8],
    pub public_key: &'a [u8],
    pub sign_count: i64,
    pub name: &'a str,
    pub aaguid: Uuid,
    pub transports: &'a [String],
    pub backup_eligible: bool,
    pub backed_up: bool,
}

/// Touches no row when the user has `most` already.
pub fn insert(m: &Made<'_>, most: i64, now: Time) -> Write {
    sql!(
        "insert into user_auth.passkey
           (tenant_id, id, user_id, credential_id, public_key, sign_count, name, aaguid,
            transports, backup_eligible, backed_up, created_at)
         select {tenant}::uuid, {m.id}::uuid, {m.user}::uuid, {m.credential_id}::bytea,
           {m.public_key}::bytea, {m.sign_count}::bigint, {m.name}::text, {m.aaguid}::uuid,
           {m.transports}::text[], {m.backup_eligible}::boolean, {m.backed_up}::boolean,
           {now}::timestamptz
         where (select count(*) from user_auth.passkey
           where tenant_id = {tenant} and user_id = {m.user}) < {most}"
    )
    .expect_rows(1)
}

pub async fn list(db: &Db, user: UserId, cursor: &Cursor) -> Result<Page<Passkey>> {
    let all = sql!(
        "select id, name, aaguid, transports, backup_eligible, backed_up, created_at, used_at,
           suspect_at
         from user_auth.passkey where tenant_id = {tenant} and user_id = {user}"
    );
    db.page(all, cursor, descending(["id"])).await
}

/// Those of a user, for `allowCredentials` and `excludeCredentials`.
pub async fn named(db: &Db, user: UserId) -> Result<Vec<Named>> {
    let named = sql!(
        "select credential_id, transports from user_auth.passkey
         where tenant_id = {tenant} and user_id = {user} order by id limit 100"
    );
    db.all(named).await
}

pub async fn held(db: &Db, credential_id: &[u8]) -> Result<Option<Held>> {
    let held = sql!(
        "select id, user_id, public_key, sign_count, backup_eligible from user_auth.passkey
         where tenant_id = {tenant} and credential_id = {credential_id}"
    );
    db.optional(held).await
}

/// What a use leaves behind.
pub fn used(id: CredentialId, sign_count: i64, backed_up: bool, suspect: bool, now: Time) -> Write {
    sql!(
        "update user_auth.passkey
         set used_at = {now}, backed_up = {backed_up},
           sign_count = greatest(sign_count, {sign_count}),
           suspect_at = case when {suspect} then coalesce(suspect_at, {now}) else suspect_at end
         where tenant_id = {tenant} and id = {id}"
    )
    .expect_rows(1)
}

pub fn rename(user: UserId, id: CredentialId, name: &str) -> Write {
    sql!(
        "update user_auth.passkey set name = {name}
         where tenant_id = {tenant} and user_id = {user} and id = {id}"
    )
    .expect_rows(1)
}

pub fn remove(user: UserId, id: CredentialId) -> Write {
    sql!(
        "delete from user_auth.passkey
         where tenant_id = {tenant} and user_id = {user} and id = {id}"
    )
    .expect_rows(1)
}

/// Recovery codes stand for a second factor; without one there is nothing to recover.
pub fn remove_codes_without_factor(user: UserId) -> Write {
    sql!(
        "delete from user_auth.recovery_code
         where tenant_id = {tenant} and user_id = {user}
           and not exists (select from user_auth.passkey
             where tenant_id = {tenant} and user_id = {user})
           and not exists (select from user_auth.totp
             where tenant_id = {tenant} and user_id = {user} and confirmed_at is not null)"
    )
}
