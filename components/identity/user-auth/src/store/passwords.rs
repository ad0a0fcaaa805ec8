//! Passwords, and what a login must know before it asks for a hash.

use identity_contract::UserId;
use nexus_sdk::prelude::*;

/// What there is to compare with, in one row whoever is meant.
#[derive(Debug, Deserialize)]
pub struct Known {
    /// Of the account, if it has a password.
    pub phc: Option<String>,
    /// Of the newest registration for the address that is not verified.
    pub pending: Option<String>,
    /// Whether the account has been used from there before.
    pub familiar: bool,
}

pub async fn known(db: &Db, user: UserId, email: &str, network: &str, now: Time) -> Result<Known> {
    let known = sql!(
        "select
           (select phc from user_auth.password
            where tenant_id = {tenant} and user_id = {user}) as phc,
           (select phc from user_auth.registration
            where tenant_id = {tenant} and email = {email} and setup_digest is null
              and expires_at > {now}
            order by created_at desc limit 1) as pending,
           exists (select from user_auth.device
            where tenant_id = {tenant} and user_id = {user} and network = {network}) as familiar"
    );
    db.one(known).await
}

pub fn put(user: UserId, phc: &str, now: Time) -> Write {
    sql!(
        "insert into user_auth.password (tenant_id, user_id, phc, changed_at)
         values ({tenant}, {user}, {phc}, {now})
         on conflict (tenant_id, user_id) do update
           set phc = excluded.phc, changed_at = excluded.changed_at"
    )
}

/// The same password at another cost: unless it was changed in between.
pub fn rehash(user: UserId, before: &str, phc: &str) -> Write {
    sql!(
        "update user_auth.password set phc = {phc}
         where tenant_id = {tenant} and user_id = {user} and phc = {before}"
    )
}
