//! Clients. A digest leaves the database only to be compared.

use crate::clients::{Client, Proof};
use identity_contract::ClientId;
use nexus_sdk::prelude::*;

pub async fn list(db: &Db, cursor: &Cursor) -> Result<Page<Client>> {
    let all = sql!(
        "select id, name, kind, redirect_uris, post_logout_redirect_uris, grant_types, scopes,
           permissions, trusted, require_pushed, logo_uri, policy_uri, terms_uri, logout_uri,
           auth_method, jwks, jwks_uri, id_token_alg, dpop_bound, created_at, disabled_at, version
         from auth.client where tenant_id = {tenant}"
    );
    db.page(all, cursor, descending(["id"])).await
}

pub async fn find(db: &Db, id: ClientId) -> Result<Client> {
    db.one(of(id)).await
}

/// One that may still do something.
pub async fn find_active(db: &Db, id: ClientId) -> Result<Option<Client>> {
    let found: Option<Client> = db.optional(of(id)).await?;
    Ok(found.filter(|client| client.disabled_at.is_none()))
}

fn of(id: ClientId) -> Statement {
    sql!(
        "select id, name, kind, redirect_uris, post_logout_redirect_uris, grant_types, scopes,
           permissions, trusted, require_pushed, logo_uri, policy_uri, terms_uri, logout_uri,
           auth_method, jwks, jwks_uri, id_token_alg, dpop_bound, created_at, disabled_at, version
         from auth.client where tenant_id = {tenant} and id = {id}"
    )
}

pub async fn proof(db: &Db, id: ClientId) -> Result<Proof> {
    let proof = sql!(
        "select secret_digest, old_secret_digest, old_secret_until, registration_digest
         from auth.client where tenant_id = {tenant} and id = {id}"
    );
    db.one(proof).await
}

pub fn insert(
    c: &Client,
    digest: Option<Vec<u8>>,
    registration: Option<Vec<u8>>,
    by: &str,
) -> Write {
    sql!(
        "insert into auth.client (tenant_id, id, name, kind, secret_digest, registration_digest,
           auth_method, jwks, jwks_uri, id_token_alg, dpop_bound, redirect_uris,
           post_logout_redirect_uris, grant_types, scopes, permissions, trusted, require_pushed,
           logo_uri, policy_uri, terms_uri, logout_uri, created_by, created_at)
         values ({tenant}, {c.id}, {c.name}, {c.kind}, {digest}, {registration},
           {c.auth_method}, {c.jwks}, {c.jwks_uri}, {c.id_token_alg}, {c.dpop_bound},
           {c.redirect_uris},
           {c.post_logout_redirect_uris}, {c.grant_types}, {c.scopes}, {c.permissions},
           {c.trusted}, {c.require_pushed}, {c.logo_uri}, {c.policy_uri}, {c.terms_uri},
           {c.logout_uri}, {by}, {c.created_at})"
    )
}

/// Changes all but the secret, unless somebody else has changed it meanwhile.
pub fn replace(c: &Client, version: i32) -> Write {
    sql!(
        "update auth.client set name = {c.name}, redirect_uris = {c.redirect_uris},
           post_logout_redirect_uris = {c.post_logout_redirect_uris},
           grant_types = {c.grant_types}, scopes = {c.scopes}, permissions = {c.permissions},
           trusted = {c.trusted}, require_pushed = {c.require_pushed}, logo_uri = {c.logo_uri},
           policy_uri = {c.policy_uri}, terms_uri = {c.terms_uri}, logout_uri = {c.logout_uri},
           auth_method = {c.auth_method}, jwks = {c.jwks}, jwks_uri = {c.jwks_uri},
           id_token_alg = {c.id_token_alg}, dpop_bound = {c.dpop_bound},
           version = version + 1
         where tenant_id = {tenant} and id = {c.id} and version = {version}"
    )
    .expect_rows(1)
}

/// A client is kept, since consents and journals name it; it can do nothing any more.
pub fn disable(id: ClientId, now: Time) -> Write {
    sql!(
        "update auth.client set disabled_at = coalesce(disabled_at, {now})
         where tenant_id = {tenant} and id = {id}"
    )
    .expect_rows(1)
}

pub fn exchange_secret(id: ClientId, digest: &[u8], old_until: Time) -> Write {
    sql!(
        "update auth.client set old_secret_digest = secret_digest, old_secret_until = {old_until},
           secret_digest = {digest}, version = version + 1
         where tenant_id = {tenant} and id = {id} and kind = 'confidential'"
    )
    .expect_rows(1)
}
