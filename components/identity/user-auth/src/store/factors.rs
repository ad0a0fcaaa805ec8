//! Second factors: one-time codes and recovery codes.

use identity_contract::UserId;
use nexus_sdk::prelude::*;

/// What an account has to prove itself with.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Factors {
    pub password: bool,
    pub totp: bool,
    /// Of those shown last.
    pub recovery_codes_left: i64,
    pub passkeys: i64,
}

impl Factors {
    /// Whether a password or a mailed link is not enough.
    pub fn demand_second(&self) -> bool {
        self.totp || self.passkeys > 0
    }
}

pub async fn of(db: &Db, user: UserId) -> Result<Factors> {
    let factors = sql!(
        "select
           exists (select from user_auth.password
             where tenant_id = {tenant} and user_id = {user}) as password,
           exists (select from user_auth.totp
             where tenant_id = {tenant} and user_id = {user}
               and confirmed_at is not null) as totp,
           (select count(*) from user_auth.recovery_code
             where tenant_id = {tenant} and user_id = {user}
               and used_at is null) as recovery_codes_left,
           (select count(*) from user_auth.passkey
             where tenant_id = {tenant} and user_id = {user}) as passkeys"
    );
    db.one(factors).await
}

#[derive(Debug, Deserialize)]
pub struct Totp {
    /// Ciphertext of kms.
    pub secret: String,
    pub confirmed_at: Option<Time>,
    pub step_last: i64,
}

pub async fn totp(db: &Db, user: UserId) -> Result<Option<Totp>> {
    let totp = sql!(
        "select secret, confirmed_at, step_last from user_auth.totp
         where tenant_id = {tenant} and user_id = {user}"
    );
    db.optional(totp).await
}

/// Offers a secret, in place of an offer that was not taken. Touches no row where one is in use.
pub fn offer_totp(user: UserId, secret: &str, now: Time) -> Write {
    sql!(
        "insert into user_auth.totp (tenant_id, user_id, secret, created_at)
         values ({tenant}, {user}, {secret}, {now})
         on conflict (tenant_id, user_id) do update
           set secret = excluded.secret, created_at = excluded.created_at
           where totp.confirmed_at is null"
    )
    .expect_rows(1)
}

/// Takes the offer that the code was made from.
pub fn confirm_totp(user: UserId, secret: &str, step: i64, now: Time) -> Write {
    sql!(
        "update user_auth.totp set confirmed_at = {now}, step_last = {step}
         where tenant_id = {tenant} and user_id = {user} and secret = {secret}
           and confirmed_at is null"
    )
    .expect_rows(1)
}

/// Spends a time step and all before it; touches no row when it is spent already.
pub fn spend_step(user: UserId, step: i64) -> Write {
    sql!(
        "update user_auth.totp set step_last = {step}
         where tenant_id = {tenant} and user_id = {user} and step_last < {step}
           and confirmed_at is not null"
    )
    .expect_rows(1)
}

pub fn remove_totp(user: UserId) -> Write {
    sql!("delete from user_auth.totp where tenant_id = {tenant} and user_id = {user}")
        .expect_rows(1)
}

/// Forgets all codes of before.
pub fn remove_codes(user: UserId) -> Write {
    sql!("delete from user_auth.recovery_code where tenant_id = {tenant} and user_id = {user}")
}

/// `digests` in hexadecimal: there are no arrays of bytes on the way to the database.
pub fn insert_codes(user: UserId, digests: &[String]) -> Write {
    sql!(
        "insert into user_auth.recovery_code (tenant_id, user_id, digest)
         select {tenant}::uuid, {user}::uuid, decode(d, 'hex') from unnest({digests}::text[]) d"
    )
}

/// Spends a code; touches no row when there is none like it, or when it is spent already.
pub fn spend_code(user: UserId, digest: &[u8], now: Time) -> Write {
    sql!(
        "update user_auth.recovery_code set used_at = {now}
         where tenant_id = {tenant} and user_id = {user} and digest = {digest}
           and used_at is null"
    )
    .expect_rows(1)
}
