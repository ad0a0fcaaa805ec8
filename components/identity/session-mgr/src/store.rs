//! All SQL of session-mgr, one statement per function. What hosts must know goes through the
//! platform's functions, in the same commit as the row here.

use crate::internal::Standing;
use crate::own::Session;
use crate::policy::Policy;
use identity_contract::SessionId;
use nexus_sdk::prelude::*;

/// A session as it begins.
pub struct Beginning {
    pub id: SessionId,
    pub subject: String,
    pub digest: Vec<u8>,
    pub amr: Vec<String>,
    pub acr: String,
    pub auth_time: Time,
    pub address: Option<String>,
    pub user_agent: Option<String>,
    pub persistent: bool,
    pub idle_seconds: i32,
    pub created_at: Time,
    pub expires_at: Time,
    /// Null unless it is worth something from one address only.
    pub networks: Option<Vec<String>>,
}

/// Waits for everybody else who changes this subject's sessions.
pub fn take_turn(subject: &str, now: Time) -> Write {
    sql!(
        "insert into session_mgr.owner as o (tenant_id, subject, changed_at)
         values ({tenant}, {subject}, {now})
         on conflict (tenant_id, subject) do update set changed_at = excluded.changed_at"
    )
}

pub fn insert(s: &Beginning) -> Write {
    sql!(
        "insert into session_mgr.session (tenant_id, id, subject, digest, amr, acr, auth_time,
           address, user_agent, persistent, idle_seconds, created_at, expires_at, seen_at, check_at)
         values ({tenant}, {s.id}, {s.subject}, {s.digest}, {s.amr}, {s.acr}, {s.auth_time},
           {s.address}, {s.user_agent}, {s.persistent}, {s.idle_seconds}, {s.created_at},
           {s.expires_at}, {s.created_at},
           least({s.expires_at}::timestamptz,
             {s.created_at}::timestamptz + make_interval(secs => {s.idle_seconds}::int4)))"
    )
}

/// Lets the hosts take the cookie, in place of any earlier one of the same session.
pub fn put_credential(s: &Beginning) -> Write {
    sql!(
        "select platform.identity_credential_put({tenant}, {s.id}, 'session', {s.digest},
           {s.subject}, null, null, {s.networks}, {s.auth_time}, {s.acr}, {s.expires_at},
           {s.idle_seconds})"
    )
}

/// Misses when the subject has more sessions than that.
pub fn within(subject: &str, sessions_max: i32) -> Write {
    sql!(
        "select 1 where (select count(*) from session_mgr.session
           where tenant_id = {tenant} and subject = {subject} and ended_at is null)
           <= {sessions_max}::int4"
    )
    .expect_rows(1)
}

/// What a step-up changes; the secret is another one from then on.
pub fn raise(s: &Standing, digest: &[u8]) -> Write {
    sql!(
        "update session_mgr.session set digest = {digest}, amr = {s.amr}, acr = {s.acr},
           auth_time = {s.auth_time}
         where tenant_id = {tenant} and id = {s.id} and ended_at is null
           and digest = {s.digest}"
    )
    .expect_rows(1)
}

/// The new digest, strength and instant of proof for the hosts; all else as it was.
pub fn raise_credential(s: &Standing, digest: &[u8]) -> Write {
    sql!(
        "select platform.identity_credential_put({tenant}, {s.id}, 'session', {digest},
           {s.subject}, null, null,
           case when {s.bound_to_address} then array[{s.address}::text] end, {s.auth_time},
           {s.acr}, {s.expires_at}, {s.idle_seconds})"
    )
}

pub fn end(id: SessionId, reason: &str, now: Time) -> Write {
    sql!(
        "update session_mgr.session set ended_at = {now}, ended_reason = {reason}
         where tenant_id = {tenant} and id = {id} and ended_at is null"
    )
    .expect_rows(1)
}

pub fn revoke_credential(id: SessionId) -> Write {
    sql!("select platform.identity_credential_revoke({tenant}, {id})")
}

/// Tokens that name the session are worth nothing, until the last of them has expired by itself.
pub fn revoke_tokens(id: SessionId, until: Time) -> Write {
    let sid = id.to_string();
    sql!("select platform.identity_revoke({tenant}, 'session', {sid}, null, {until})")
}

/// Everything known of the sessions of somebody who is gone.
pub fn forget(subject: &str) -> Write {
    sql!("delete from session_mgr.session where tenant_id = {tenant} and subject = {subject}")
}

pub fn forget_owner(subject: &str) -> Write {
    sql!("delete from session_mgr.owner where tenant_id = {tenant} and subject = {subject}")
}

/// A session that nobody has ended.
#[derive(Debug, Clone, Deserialize)]
pub struct Open {
    pub id: SessionId,
    pub created_at: Time,
}

/// All that a subject has, oldest first; a policy's bound keeps them few.
pub async fn open(db: &Db, subject: &str) -> Result<Vec<Open>> {
    let open = sql!(
        "select id, created_at from session_mgr.session
         where tenant_id = {tenant} and subject = {subject} and ended_at is null
         order by id limit 200"
    );
    db.all(open).await
}

/// Those of a subject that stand now; `current` is the one that asks.
pub async fn list(
    db: &Db,
    subject: &str,
    current: Option<SessionId>,
    now: Time,
    cursor: &Cursor,
) -> Result<Page<Session>> {
    let standing = sql!(
        "select s.id, s.user_agent, s.address, s.persistent, s.amr, s.acr, s.auth_time,
           s.created_at, s.expires_at, coalesce(s.id = {current}, false) as current,
           greatest(s.seen_at, c.seen_at) as seen_at
         from session_mgr.session s
         join platform.identity_credentials_seen({tenant}, {subject}) c on c.id = s.id
         where s.tenant_id = {tenant} and s.subject = {subject} and s.ended_at is null
           and s.expires_at > {now}
           and greatest(s.seen_at, c.seen_at) + make_interval(secs => s.idle_seconds) > {now}"
    );
    db.page(standing, cursor, descending(["id"])).await
}

/// One session that stands now, whoever asks.
pub async fn standing(db: &Db, id: SessionId, now: Time) -> Result<Option<Standing>> {
    let one = sql!(
        "select s.id, s.subject, s.digest, s.amr, s.acr, s.auth_time, s.address,
           coalesce((p.policy ->> 'bound_to_address')::boolean, false) and s.address is not null
             as bound_to_address,
           s.persistent, s.idle_seconds, s.created_at, s.expires_at
         from session_mgr.session s
         left join session_mgr.policy p on p.tenant_id = s.tenant_id
         join lateral platform.identity_credentials_seen(s.tenant_id, s.subject) c on c.id = s.id
         where s.tenant_id = {tenant} and s.id = {id} and s.ended_at is null
           and s.expires_at > {now}
           and greatest(s.seen_at, c.seen_at) + make_interval(secs => s.idle_seconds) > {now}"
    );
    db.optional(one).await
}

pub async fn id_of(db: &Db, digest: &[u8]) -> Result<Option<SessionId>> {
    let one =
        sql!("select id from session_mgr.session where tenant_id = {tenant} and digest = {digest}");
    db.optional(one).await
}

/// A session that may have run out.
#[derive(Debug, Deserialize)]
pub struct Due {
    pub tenant_id: TenantId,
    pub id: SessionId,
    pub subject: String,
    pub expires_at: Time,
    pub idle_seconds: i32,
    /// Absent when the platform knows the credential no more.
    pub seen_at: Option<Time>,
}

/// The next that may have run out by now, a subject's together.
pub async fn due(db: &Db, now: Time, sessions_max: i64) -> Result<Vec<Due>> {
    let due = sql!(
        "select s.tenant_id, s.id, s.subject, s.expires_at, s.idle_seconds,
           case when c.seen_at is not null then greatest(s.seen_at, c.seen_at) end as seen_at
         from (
           select * from session_mgr.session where ended_at is null and check_at <= {now}
           order by check_at limit {sessions_max}
         ) s
         left join lateral platform.identity_credentials_seen(s.tenant_id, s.subject) c
           on c.id = s.id
         order by s.tenant_id, s.subject, s.id"
    );
    db.all(due.across_tenants()).await
}

/// It was used meanwhile: look again when it can have run out.
pub fn look_again(id: SessionId, seen_at: Time, check_at: Time) -> Write {
    sql!(
        "update session_mgr.session set seen_at = {seen_at}, check_at = {check_at}
         where tenant_id = {tenant} and id = {id} and ended_at is null"
    )
}

pub fn purge(before: Time, rows_max: i64) -> Write {
    sql!(
        "delete from session_mgr.session where ctid = any (array(
           select ctid from session_mgr.session where ended_at < {before} limit {rows_max}))"
    )
    .across_tenants()
}

#[derive(Deserialize)]
pub struct KeptPolicy {
    pub policy: Json<Policy>,
    pub version: i64,
}

pub async fn policy(db: &Db) -> Result<Option<KeptPolicy>> {
    db.optional(sql!("select policy, version from session_mgr.policy where tenant_id = {tenant}"))
        .await
}

/// Misses when the policy is no longer the version that was seen; 0 is that of the defaults.
pub fn put_policy(policy: &Policy, seen: i64, by: &str, now: Time) -> Write {
    let policy = Json(policy);
    sql!(
        "insert into session_mgr.policy as p (tenant_id, policy, version, updated_at, updated_by)
         select {tenant}, {policy}, {seen}::int8 + 1, {now}, {by}
         where {seen} = 0
           or exists (select from session_mgr.policy where tenant_id = {tenant})
         on conflict (tenant_id) do update set policy = excluded.policy,
           version = excluded.version, updated_at = excluded.updated_at,
           updated_by = excluded.updated_by
         where p.version = {seen}"
    )
    .expect_rows(1)
}
