//! Registrations, and the links that are mailed to be brought back once.

use identity_contract::{FlowId, UserId};
use nexus_sdk::prelude::*;

/// Somebody who would like an account.
#[derive(Debug, Clone, Deserialize)]
pub struct Registration {
    pub id: FlowId,
    pub email: String,
    pub phc: String,
    pub display_name: Option<String>,
    pub locale: Option<String>,
    pub expires_at: Time,
}

pub fn insert(r: &Registration, setup_digest: Option<&[u8]>, now: Time) -> Write {
    sql!(
        "insert into user_auth.registration
           (tenant_id, id, email, phc, display_name, locale, setup_digest, created_at, expires_at)
         values ({tenant}, {r.id}, {r.email}, {r.phc}, {r.display_name}, {r.locale},
           {setup_digest}, {now}, {r.expires_at})"
    )
}

pub async fn find(db: &Db, id: FlowId, now: Time) -> Result<Option<Registration>> {
    let find = sql!(
        "select id, email, phc, display_name, locale, expires_at from user_auth.registration
         where tenant_id = {tenant} and id = {id} and expires_at > {now}"
    );
    db.optional(find).await
}

/// The newest for an address.
pub async fn newest(db: &Db, email: &str, now: Time) -> Result<Option<Registration>> {
    let newest = sql!(
        "select id, email, phc, display_name, locale, expires_at from user_auth.registration
         where tenant_id = {tenant} and email = {email} and setup_digest is null
           and expires_at > {now}
         order by created_at desc limit 1"
    );
    db.optional(newest).await
}

/// That of a set-up link which was taken, while its account is not there yet.
pub async fn of_setup(db: &Db, digest: &[u8], now: Time) -> Result<Option<Registration>> {
    let find = sql!(
        "select id, email, phc, display_name, locale, expires_at from user_auth.registration
         where tenant_id = {tenant} and setup_digest = {digest} and expires_at > {now}"
    );
    db.optional(find).await
}

/// All for an address: one of them has become an account.
pub fn remove_of_address(email: &str) -> Write {
    sql!("delete from user_auth.registration where tenant_id = {tenant} and email = {email}")
}

/// The account of a set-up link is there.
pub fn remove_setup(digest: &[u8]) -> Write {
    sql!(
        "delete from user_auth.registration
         where tenant_id = {tenant} and setup_digest = {digest}"
    )
    .expect_rows(1)
}

/// Whether a set-up link would be taken.
pub async fn setup_is_open(db: &Db, digest: &[u8]) -> Result<bool> {
    db.one(sql!("select platform.identity_setup_open({tenant}, {digest})")).await
}

/// Takes a set-up link; touches no row when there is none to take.
pub fn redeem_setup(digest: &[u8]) -> Write {
    sql!("select 1 where platform.identity_setup_redeem({tenant}, {digest})").expect_rows(1)
}

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkPurpose {
    /// Proves the address of a registration.
    Verify,
    /// Sets a new password.
    Recover,
    /// Signs in.
    Magic,
}

impl ToParam for LinkPurpose {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// A link that is out.
#[derive(Debug, Deserialize)]
pub struct Link {
    pub email: String,
    pub user_id: Option<UserId>,
    pub registration_id: Option<FlowId>,
    pub persistent: bool,
}

/// A link to be.
pub struct LinkDraft<'a> {
    pub digest: &'a [u8],
    pub purpose: LinkPurpose,
    pub link: &'a Link,
    pub expires_at: Time,
}

pub fn insert_link(draft: &LinkDraft<'_>, now: Time) -> Write {
    let link = draft.link;
    sql!(
        "insert into user_auth.link
           (tenant_id, digest, purpose, email, user_id, registration_id, persistent, created_at,
            expires_at)
         values ({tenant}, {draft.digest}, {draft.purpose}, {link.email}, {link.user_id},
           {link.registration_id}, {link.persistent}, {now}, {draft.expires_at})"
    )
}

pub async fn find_link(
    db: &Db,
    purpose: LinkPurpose,
    digest: &[u8],
    now: Time,
) -> Result<Option<Link>> {
    let find = sql!(
        "select email, user_id, registration_id, persistent from user_auth.link
         where tenant_id = {tenant} and digest = {digest} and purpose = {purpose}
           and expires_at > {now}"
    );
    db.optional(find).await
}

/// Uses a link up: once, whoever else brings it at the same moment.
pub fn take_link(digest: &[u8]) -> Write {
    sql!("delete from user_auth.link where tenant_id = {tenant} and digest = {digest}")
        .expect_rows(1)
}

/// All others for an address: what was asked for earlier must not open anything later.
pub fn remove_links(email: &str) -> Write {
    sql!("delete from user_auth.link where tenant_id = {tenant} and email = {email}")
}

pub fn purge_registrations(now: Time) -> Write {
    sql!("delete from user_auth.registration where expires_at < {now}").across_tenants()
}

pub fn purge_links(now: Time) -> Write {
    sql!("delete from user_auth.link where expires_at < {now}").across_tenants()
}
