//! What people have agreed to.

use crate::consents::Consent;
use identity_contract::ClientId;
use nexus_sdk::prelude::*;

pub async fn scopes(db: &Db, subject: &str, client: ClientId) -> Result<Option<Vec<String>>> {
    let scopes = sql!(
        "select scopes from auth.consent
         where tenant_id = {tenant} and subject = {subject} and client_id = {client}"
    );
    db.optional(scopes).await
}

pub async fn list(db: &Db, subject: &str, cursor: &Cursor) -> Result<Page<Consent>> {
    let all = sql!(
        "select s.client_id, c.name, c.logo_uri, s.scopes, s.granted_at
         from auth.consent s
         join auth.client c on c.tenant_id = s.tenant_id and c.id = s.client_id
         where s.tenant_id = {tenant} and s.subject = {subject}"
    );
    db.page(all, cursor, descending(["granted_at", "client_id"])).await
}

/// Adds to what was agreed to before.
pub fn agree(subject: &str, client: ClientId, scopes: &[String], now: Time) -> Write {
    sql!(
        "insert into auth.consent as s (tenant_id, subject, client_id, scopes, granted_at)
         values ({tenant}, {subject}, {client}, {scopes}, {now})
         on conflict (tenant_id, subject, client_id) do update
           set granted_at = excluded.granted_at,
               scopes = array(
                 select distinct word from unnest(s.scopes || excluded.scopes) word order by word)"
    )
}

pub fn revoke(subject: &str, client: ClientId) -> Write {
    sql!(
        "delete from auth.consent
         where tenant_id = {tenant} and subject = {subject} and client_id = {client}"
    )
}

pub fn forget_person(subject: &str) -> Write {
    sql!("delete from auth.consent where tenant_id = {tenant} and subject = {subject}")
}
