//! Which families of tokens a client got for whom, so that taking a consent back can end them.

use identity_contract::{ClientId, TokenFamilyId};
use nexus_sdk::prelude::*;

pub fn note(family: TokenFamilyId, client: ClientId, subject: &str, now: Time) -> Write {
    sql!(
        "insert into auth.grant_family (tenant_id, family, client_id, subject, issued_at)
         values ({tenant}, {family}, {client}, {subject}, {now})"
    )
}

/// Those that a client may still hold for a person.
pub async fn of(db: &Db, subject: &str, client: ClientId) -> Result<Vec<TokenFamilyId>> {
    let families = sql!(
        "select family from auth.grant_family
         where tenant_id = {tenant} and subject = {subject} and client_id = {client}
         order by issued_at desc limit 1000"
    );
    db.all(families).await
}

pub fn forget(subject: &str, client: ClientId) -> Write {
    sql!(
        "delete from auth.grant_family
         where tenant_id = {tenant} and subject = {subject} and client_id = {client}"
    )
}

pub fn purge(before: Time) -> Write {
    sql!("delete from auth.grant_family where issued_at < {before}").across_tenants()
}
