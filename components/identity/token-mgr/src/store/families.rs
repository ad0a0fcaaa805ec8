//! Families of refresh tokens.

use crate::own::Family;
use crate::refresh::Shown;
use identity_contract::TokenFamilyId;
use nexus_sdk::prelude::*;

/// A family as it is kept.
#[derive(Debug, Clone, Deserialize)]
pub struct Kept {
    pub id: TokenFamilyId,
    pub subject: String,
    pub organisation: Option<String>,
    pub client_id: String,
    pub by_auth: bool,
    pub session: Option<String>,
    pub scope: Option<String>,
    pub auth_time: Option<Time>,
    pub acr: Option<String>,
    pub created_at: Time,
    pub expires_at: Time,
    /// Thumbprint of the key that refresh tokens are bound to.
    pub jkt: Option<String>,
    pub ended: bool,
}

/// A refresh token with its family.
#[derive(Debug, Clone, Deserialize)]
pub struct Token {
    pub used_at: Option<Time>,
    pub salt: Option<Vec<u8>>,
    #[serde(flatten)]
    pub family: Kept,
}

impl Token {
    pub fn shown(&self) -> Shown {
        Shown {
            used_at: self.used_at,
            salt: self.salt.clone(),
            family_ended: self.family.ended,
            family_expires_at: self.family.expires_at,
        }
    }
}

pub async fn token(db: &Db, digest: &[u8]) -> Result<Option<Token>> {
    let one = sql!(
        "select t.used_at, t.salt, f.id, f.subject, f.organisation, f.client_id, f.by_auth,
           f.session, f.scope, f.auth_time, f.acr, f.created_at, f.expires_at, f.jkt,
           f.ended_at is not null as ended
         from token_mgr.refresh_token t
         join token_mgr.family f on f.tenant_id = t.tenant_id and f.id = t.family_id
         where t.tenant_id = {tenant} and t.digest = {digest}"
    );
    db.optional(one).await
}

pub async fn find(db: &Db, id: TokenFamilyId) -> Result<Option<Kept>> {
    let one = sql!(
        "select id, subject, organisation, client_id, by_auth, session, scope, auth_time, acr,
           created_at, expires_at, jkt, ended_at is not null as ended
         from token_mgr.family where tenant_id = {tenant} and id = {id}"
    );
    db.optional(one).await
}

/// What has not ended of a subject, or of one session of it.
pub async fn open(db: &Db, subject: &str, session: Option<&str>) -> Result<Vec<Kept>> {
    let open = sql!(
        "select id, subject, organisation, client_id, by_auth, session, scope, auth_time, acr,
           created_at, expires_at, jkt, false as ended
         from token_mgr.family
         where tenant_id = {tenant} and subject = {subject} and ended_at is null
           and ({session}::text is null or session = {session}::text)
         limit 1000"
    );
    db.all(open).await
}

pub async fn list(db: &Db, subject: &str, now: Time, cursor: &Cursor) -> Result<Page<Family>> {
    let open = sql!(
        "select id, client_id, organisation, session, scope, created_at, refreshed_at, expires_at
         from token_mgr.family
         where tenant_id = {tenant} and subject = {subject} and ended_at is null
           and expires_at > {now}"
    );
    db.page(open, cursor, descending(["id"])).await
}

/// Misses when the subject has as many as it may have.
pub fn insert(f: &Kept, families_max: i32) -> Write {
    sql!(
        "insert into token_mgr.family (tenant_id, id, subject, organisation, client_id, by_auth,
           session, scope, auth_time, acr, created_at, refreshed_at, expires_at, jkt)
         select {tenant}, {f.id}, {f.subject}, {f.organisation}, {f.client_id}, {f.by_auth},
           {f.session}, {f.scope}, {f.auth_time}, {f.acr}, {f.created_at}, {f.created_at},
           {f.expires_at}, {f.jkt}
         where (select count(*) from token_mgr.family
           where tenant_id = {tenant} and subject = {f.subject} and ended_at is null
             and expires_at > {f.created_at}) < {families_max}::int4"
    )
    .expect_rows(1)
}

pub fn insert_token(family: TokenFamilyId, digest: &[u8], now: Time) -> Write {
    sql!(
        "insert into token_mgr.refresh_token (tenant_id, digest, family_id, created_at)
         values ({tenant}, {digest}, {family}, {now})"
    )
}

/// Takes the family's turn: whatever happens in it happens one after the other.
pub fn touch(id: TokenFamilyId, now: Time) -> Write {
    sql!(
        "update token_mgr.family set refreshed_at = greatest(refreshed_at, {now}::timestamptz)
         where tenant_id = {tenant} and id = {id} and ended_at is null"
    )
    .expect_rows(1)
}

pub fn use_token(digest: &[u8], salt: &[u8], now: Time) -> Write {
    sql!(
        "update token_mgr.refresh_token set used_at = {now}, salt = {salt}
         where tenant_id = {tenant} and digest = {digest} and used_at is null"
    )
    .expect_rows(1)
}

/// The client has got the successor of every token before this one: none is given again.
pub fn forget_salts(family: TokenFamilyId, digest: &[u8]) -> Write {
    sql!(
        "update token_mgr.refresh_token set salt = null
         where tenant_id = {tenant} and family_id = {family} and salt is not null
           and digest <> {digest}"
    )
}

/// Misses when the successor was used since.
pub fn still_repeats(digest: &[u8], salt: &[u8]) -> Write {
    sql!(
        "select 1 from token_mgr.refresh_token
         where tenant_id = {tenant} and digest = {digest} and salt = {salt}"
    )
    .expect_rows(1)
}

pub fn end(id: TokenFamilyId, reason: &str, now: Time) -> Write {
    sql!(
        "update token_mgr.family set ended_at = {now}, ended_reason = {reason}
         where tenant_id = {tenant} and id = {id} and ended_at is null"
    )
    .expect_rows(1)
}

pub fn forget(subject: &str) -> Write {
    sql!("delete from token_mgr.family where tenant_id = {tenant} and subject = {subject}")
}

pub fn prune(before: Time, rows_max: i64) -> Write {
    sql!(
        "delete from token_mgr.family where ctid = any (array(
           select ctid from token_mgr.family
           where least(expires_at, ended_at) < {before} limit {rows_max}))"
    )
    .across_tenants()
}
