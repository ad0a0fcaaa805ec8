//! Providers, who was sent there, and who came back.

use crate::identities::Identity;
use crate::upstream_login::Flow;
use crate::upstreams::{Inside, Offered, Upstream};
use identity_contract::auth::UpstreamId;
use nexus_sdk::prelude::*;
use serde_json::Value;

pub async fn list(db: &Db, cursor: &Cursor) -> Result<Page<Upstream>> {
    let all = sql!(
        "select id, name, issuer, client_id, scopes, claim_email, claim_email_verified, claim_name,
           email_domains, link, registers, created_at, disabled_at, version
         from auth.upstream where tenant_id = {tenant}"
    );
    db.page(all, cursor, descending(["id"])).await
}

pub async fn find(db: &Db, id: UpstreamId) -> Result<Upstream> {
    db.one(of(id)).await
}

/// One by which people may come in.
pub async fn find_active(db: &Db, id: UpstreamId) -> Result<Option<Upstream>> {
    let found: Option<Upstream> = db.optional(of(id)).await?;
    Ok(found.filter(|upstream| upstream.disabled_at.is_none()))
}

fn of(id: UpstreamId) -> Statement {
    sql!(
        "select id, name, issuer, client_id, scopes, claim_email, claim_email_verified, claim_name,
           email_domains, link, registers, created_at, disabled_at, version
         from auth.upstream where tenant_id = {tenant} and id = {id}"
    )
}

pub async fn inside(db: &Db, id: UpstreamId) -> Result<Inside> {
    let inside = sql!(
        "select client_secret, metadata, metadata_at from auth.upstream
         where tenant_id = {tenant} and id = {id}"
    );
    db.one(inside).await
}

pub async fn offered(db: &Db) -> Result<Vec<Offered>> {
    let offered = sql!(
        "select id, name from auth.upstream
         where tenant_id = {tenant} and disabled_at is null order by name, id limit 20"
    );
    db.all(offered).await
}

/// Misses when there are as many as there may be.
pub fn insert(
    u: &Upstream,
    secret: Option<String>,
    metadata: &Value,
    by: &str,
    upstreams_max: i64,
) -> Write {
    sql!(
        "insert into auth.upstream (tenant_id, id, name, issuer, client_id, client_secret, scopes,
           claim_email, claim_email_verified, claim_name, email_domains, link, registers, metadata,
           metadata_at, created_by, created_at)
         select {tenant}, {u.id}, {u.name}, {u.issuer}, {u.client_id}, {secret}, {u.scopes},
           {u.claim_email}, {u.claim_email_verified}, {u.claim_name}, {u.email_domains}, {u.link},
           {u.registers}, {metadata}, {u.created_at}, {by}, {u.created_at}
         where (select count(*) from auth.upstream
           where tenant_id = {tenant} and disabled_at is null) < {upstreams_max}::int8"
    )
    .expect_rows(1)
}

/// Unless somebody else has changed it meanwhile; without a secret, the one that is known stays.
pub fn replace(
    u: &Upstream,
    secret: Option<String>,
    metadata: &Value,
    now: Time,
    version: i32,
) -> Write {
    sql!(
        "update auth.upstream set name = {u.name}, client_id = {u.client_id},
           client_secret = coalesce({secret}, client_secret), scopes = {u.scopes},
           claim_email = {u.claim_email}, claim_email_verified = {u.claim_email_verified},
           claim_name = {u.claim_name}, email_domains = {u.email_domains}, link = {u.link},
           registers = {u.registers}, metadata = {metadata}, metadata_at = {now},
           version = version + 1
         where tenant_id = {tenant} and id = {u.id} and version = {version}"
    )
    .expect_rows(1)
}

pub fn keep_metadata(id: UpstreamId, metadata: &Value, now: Time) -> Write {
    sql!(
        "update auth.upstream set metadata = {metadata}, metadata_at = {now}
         where tenant_id = {tenant} and id = {id}"
    )
}

pub fn disable(id: UpstreamId, now: Time) -> Write {
    sql!(
        "update auth.upstream set disabled_at = coalesce(disabled_at, {now})
         where tenant_id = {tenant} and id = {id}"
    )
    .expect_rows(1)
}

pub fn insert_flow(state_digest: &[u8], f: &Flow) -> Write {
    sql!(
        "insert into auth.upstream_flow (tenant_id, digest, upstream_id, browser_digest, subject,
           return_to, expires_at)
         values ({tenant}, {state_digest}, {f.upstream_id}, {f.browser_digest}, {f.subject},
           {f.return_to}, {f.expires_at})"
    )
}

pub async fn flow(db: &Db, state_digest: &[u8], now: Time) -> Result<Option<Flow>> {
    let flow = sql!(
        "select upstream_id, browser_digest, subject, return_to, expires_at
         from auth.upstream_flow
         where tenant_id = {tenant} and digest = {state_digest} and expires_at > {now}"
    );
    db.optional(flow).await
}

/// Ends it: once.
pub fn take_flow(state_digest: &[u8]) -> Write {
    sql!("delete from auth.upstream_flow where tenant_id = {tenant} and digest = {state_digest}")
        .expect_rows(1)
}

pub fn purge_flows(before: Time) -> Write {
    sql!("delete from auth.upstream_flow where expires_at < {before}").across_tenants()
}

/// Who somebody at a provider is here.
pub async fn subject_of(db: &Db, id: UpstreamId, sub: &str) -> Result<Option<String>> {
    let subject = sql!(
        "select subject from auth.upstream_identity
         where tenant_id = {tenant} and upstream_id = {id} and sub = {sub}"
    );
    db.optional(subject).await
}

/// Whether somebody comes in by any provider.
pub async fn is_linked(db: &Db, subject: &str) -> Result<bool> {
    let linked = sql!(
        "select exists (select from auth.upstream_identity
           where tenant_id = {tenant} and subject = {subject})"
    );
    db.one(linked).await
}

pub fn link(id: UpstreamId, sub: &str, subject: &str, now: Time) -> Write {
    sql!(
        "insert into auth.upstream_identity (tenant_id, upstream_id, sub, subject, linked_at)
         values ({tenant}, {id}, {sub}, {subject}, {now})"
    )
}

pub fn used(id: UpstreamId, sub: &str, now: Time) -> Write {
    sql!(
        "update auth.upstream_identity set used_at = {now}
         where tenant_id = {tenant} and upstream_id = {id} and sub = {sub}"
    )
}

pub async fn identities(db: &Db, subject: &str, cursor: &Cursor) -> Result<Page<Identity>> {
    let all = sql!(
        "select i.upstream_id, u.name, i.linked_at, i.used_at
         from auth.upstream_identity i
         join auth.upstream u on u.tenant_id = i.tenant_id and u.id = i.upstream_id
         where i.tenant_id = {tenant} and i.subject = {subject}"
    );
    db.page(all, cursor, descending(["linked_at", "upstream_id"])).await
}

pub fn unlink(subject: &str, id: UpstreamId) -> Write {
    sql!(
        "delete from auth.upstream_identity
         where tenant_id = {tenant} and subject = {subject} and upstream_id = {id}"
    )
    .expect_rows(1)
}

pub fn forget_person(subject: &str) -> Write {
    sql!("delete from auth.upstream_identity where tenant_id = {tenant} and subject = {subject}")
}
