//! What was tried, and where an account has been used before.

use identity_contract::UserId;
use identity_contract::user_auth::LoginAttemptId;
use nexus_sdk::prelude::*;

/// One try to come in.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    pub id: LoginAttemptId,
    /// `signed-in`, `stepped-up`, `wrong-credentials`, `wrong-factor`, `not-verified`, `suspended`.
    pub outcome: String,
    /// `password`, `link`, `passkey`, `totp`, `recovery-code`.
    pub method: String,
    pub address: Option<String>,
    /// Browser and system, as far as they can be told.
    pub device: Option<String>,
    pub at: Time,
}

pub fn insert(a: &Attempt, user: Option<UserId>) -> Write {
    sql!(
        "insert into user_auth.attempt
           (tenant_id, id, user_id, outcome, method, address, device, at)
         values ({tenant}, {a.id}, {user}, {a.outcome}, {a.method}, {a.address}, {a.device},
           {a.at})"
    )
}

/// Newest first.
pub async fn list(db: &Db, user: UserId, cursor: &Cursor) -> Result<Page<Attempt>> {
    let all = sql!(
        "select id, outcome, method, address, device, at from user_auth.attempt
         where tenant_id = {tenant} and user_id = {user}"
    );
    db.page(all, cursor, descending(["id"])).await
}

/// How well a place is known.
#[derive(Debug, Deserialize)]
pub struct Acquaintance {
    /// Whether the account has been used anywhere.
    pub anywhere: bool,
    /// Whether by this browser from this network.
    pub here: bool,
}

pub async fn acquaintance(
    db: &Db,
    user: UserId,
    network: &str,
    agent_digest: &[u8],
) -> Result<Acquaintance> {
    let known = sql!(
        "select
           exists (select from user_auth.device
             where tenant_id = {tenant} and user_id = {user}) as anywhere,
           exists (select from user_auth.device
             where tenant_id = {tenant} and user_id = {user} and network = {network}
               and agent_digest = {agent_digest}) as here"
    );
    db.one(known).await
}

pub fn seen(user: UserId, network: &str, agent_digest: &[u8], now: Time) -> Write {
    sql!(
        "insert into user_auth.device
           (tenant_id, user_id, network, agent_digest, first_at, last_at)
         values ({tenant}, {user}, {network}, {agent_digest}, {now}, {now})
         on conflict (tenant_id, user_id, network, agent_digest) do update
           set last_at = excluded.last_at"
    )
}

pub fn purge(before: Time) -> Write {
    sql!("delete from user_auth.attempt where at < {before}").across_tenants()
}

pub fn purge_devices(before: Time) -> Write {
    sql!("delete from user_auth.device where last_at < {before}").across_tenants()
}
