//! Authorization codes, by their digest.

use crate::codes::Code;
use nexus_sdk::prelude::*;

pub async fn find(db: &Db, digest: &[u8]) -> Result<Option<Code>> {
    let code = sql!(
        "select client_id, family, subject, session, organisation, redirect_uri, scopes, nonce,
           challenge, jkt, auth_time, acr, expires_at, used_at
         from auth.code where tenant_id = {tenant} and digest = {digest}"
    );
    db.optional(code).await
}

pub fn insert(digest: &[u8], c: &Code) -> Write {
    sql!(
        "insert into auth.code (tenant_id, digest, client_id, family, subject, session,
           organisation, redirect_uri, scopes, nonce, challenge, jkt, auth_time, acr, expires_at)
         values ({tenant}, {digest}, {c.client_id}, {c.family}, {c.subject}, {c.session},
           {c.organisation}, {c.redirect_uri}, {c.scopes}, {c.nonce}, {c.challenge}, {c.jkt},
           {c.auth_time}, {c.acr}, {c.expires_at})"
    )
}

/// Uses a code up; of two that come at once one finds no row.
pub fn take(digest: &[u8], now: Time) -> Write {
    sql!(
        "update auth.code set used_at = {now}
         where tenant_id = {tenant} and digest = {digest} and used_at is null"
    )
    .expect_rows(1)
}

/// Used codes stay a day, so that a second use is known for what it is.
pub fn purge(before: Time) -> Write {
    sql!("delete from auth.code where expires_at < {before}").across_tenants()
}
