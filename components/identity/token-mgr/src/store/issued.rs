//! Signed tokens that have not expired yet.

use identity_contract::TokenFamilyId;
use identity_contract::token_mgr::TokenId;
use nexus_sdk::prelude::*;

/// A token as it is made.
pub struct Made<'a> {
    pub jti: TokenId,
    pub digest: Vec<u8>,
    pub family: Option<TokenFamilyId>,
    pub subject: &'a str,
    pub session: Option<&'a str>,
    pub client_id: Option<&'a str>,
    pub expires_at: Time,
}

pub fn insert(made: &Made<'_>) -> Write {
    sql!(
        "insert into token_mgr.issued
           (tenant_id, jti, digest, family_id, subject, session, client_id, expires_at)
         values ({tenant}, {made.jti}, {made.digest}, {made.family}, {made.subject},
           {made.session}, {made.client_id}, {made.expires_at})"
    )
}

/// One that is worth something, as far as this service knows.
#[derive(Deserialize)]
pub struct Issued {
    pub jti: TokenId,
    pub subject: String,
    pub session: Option<String>,
    pub client_id: Option<String>,
    pub expires_at: Time,
}

pub async fn find(db: &Db, digest: &[u8], now: Time) -> Result<Option<Issued>> {
    let one = sql!(
        "select jti, subject, session, client_id, expires_at from token_mgr.issued
         where tenant_id = {tenant} and digest = {digest} and revoked_at is null
           and expires_at > {now}"
    );
    db.optional(one).await
}

pub fn revoke(jti: TokenId, now: Time) -> Write {
    sql!(
        "update token_mgr.issued set revoked_at = {now}
         where tenant_id = {tenant} and jti = {jti} and revoked_at is null"
    )
}

/// Tells the hosts, until it would have expired anyway.
pub fn revoke_everywhere(jti: TokenId, expires_at: Time) -> Write {
    let key = jti.to_string();
    sql!("select platform.identity_revoke({tenant}, 'token', {key}, null, {expires_at})")
}

/// All of a family that have not expired, for the hosts and for us.
pub fn revoke_family_everywhere(family: TokenFamilyId, now: Time) -> Write {
    sql!(
        "select platform.identity_revoke({tenant}, 'token', jti::text, null, expires_at)
         from token_mgr.issued
         where tenant_id = {tenant} and family_id = {family} and revoked_at is null
           and expires_at > {now}"
    )
}

pub fn revoke_family(family: TokenFamilyId, now: Time) -> Write {
    sql!(
        "update token_mgr.issued set revoked_at = {now}
         where tenant_id = {tenant} and family_id = {family} and revoked_at is null"
    )
}

/// What no family has brought forth: of a subject, or of one session of it.
pub fn revoke_loose(subject: &str, session: Option<&str>, now: Time) -> Write {
    sql!(
        "update token_mgr.issued set revoked_at = {now}
         where tenant_id = {tenant} and subject = {subject} and family_id is null
           and revoked_at is null and ({session}::text is null or session = {session}::text)"
    )
}

pub fn forget(subject: &str) -> Write {
    sql!("delete from token_mgr.issued where tenant_id = {tenant} and subject = {subject}")
}

pub fn prune(now: Time, rows_max: i64) -> Write {
    sql!(
        "delete from token_mgr.issued where ctid = any (array(
           select ctid from token_mgr.issued where expires_at < {now} limit {rows_max}))"
    )
    .across_tenants()
}
