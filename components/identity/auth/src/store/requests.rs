//! Requests that wait.

use crate::oauth::Parameters;
use crate::requests::Waiting;
use identity_contract::{ClientId, GrantRequestId};
use nexus_sdk::prelude::*;

#[derive(Deserialize)]
struct Kept {
    id: GrantRequestId,
    client_id: ClientId,
    parameters: Json<Parameters>,
    subject: Option<String>,
    created_at: Time,
    expires_at: Time,
}

impl From<Kept> for Waiting {
    fn from(kept: Kept) -> Self {
        Self {
            id: kept.id,
            digest: None,
            client_id: kept.client_id,
            parameters: kept.parameters.0,
            subject: kept.subject,
            created_at: kept.created_at,
            expires_at: kept.expires_at,
        }
    }
}

pub async fn by_digest(db: &Db, digest: &[u8], now: Time) -> Result<Option<Waiting>> {
    let request = sql!(
        "select id, client_id, parameters, subject, created_at, expires_at from auth.request
         where tenant_id = {tenant} and digest = {digest} and expires_at > {now}
           and answered_at is null"
    );
    let kept: Option<Kept> = db.optional(request).await?;
    Ok(kept.map(Waiting::from))
}

/// One that was shown to this person.
pub async fn of_subject(db: &Db, id: GrantRequestId, subject: &str, now: Time) -> Result<Waiting> {
    let request = sql!(
        "select id, client_id, parameters, subject, created_at, expires_at from auth.request
         where tenant_id = {tenant} and id = {id} and subject = {subject}
           and expires_at > {now} and answered_at is null"
    );
    let kept: Kept = db.one(request).await?;
    Ok(kept.into())
}

pub fn insert(w: &Waiting) -> Write {
    let parameters = Json(&w.parameters);
    sql!(
        "insert into auth.request (tenant_id, id, digest, client_id, parameters, subject,
           created_at, expires_at)
         values ({tenant}, {w.id}, {w.digest}, {w.client_id}, {parameters}, {w.subject},
           {w.created_at}, {w.expires_at})"
    )
}

/// Makes or renews one that the person comes back to by a new value.
pub fn put(w: &Waiting) -> Write {
    let parameters = Json(&w.parameters);
    sql!(
        "insert into auth.request (tenant_id, id, digest, client_id, parameters, subject,
           created_at, expires_at)
         values ({tenant}, {w.id}, {w.digest}, {w.client_id}, {parameters}, {w.subject},
           {w.created_at}, {w.expires_at})
         on conflict (tenant_id, id) do update
           set digest = excluded.digest, expires_at = excluded.expires_at"
    )
}

pub fn extend(w: &Waiting) -> Write {
    sql!(
        "update auth.request set subject = {w.subject}, expires_at = {w.expires_at}
         where tenant_id = {tenant} and id = {w.id} and answered_at is null"
    )
    .expect_rows(1)
}

pub fn answer(id: GrantRequestId, now: Time) -> Write {
    sql!(
        "update auth.request set answered_at = {now}
         where tenant_id = {tenant} and id = {id} and answered_at is null"
    )
    .expect_rows(1)
}

pub fn purge(before: Time) -> Write {
    sql!("delete from auth.request where expires_at < {before}").across_tenants()
}
