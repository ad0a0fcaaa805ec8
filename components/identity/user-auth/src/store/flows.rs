//! Flows that wait for a second factor, and ceremonies that wait for an authenticator.

use identity_contract::{FlowId, UserId};
use nexus_sdk::prelude::*;

/// Somebody who has proven something and not yet enough.
#[derive(Debug, Deserialize)]
pub struct Flow {
    pub id: FlowId,
    pub digest: Vec<u8>,
    pub user_id: UserId,
    pub amr: Vec<String>,
    pub persistent: bool,
    /// Whether it ends with a second factor being set up, rather than shown.
    pub enrols: bool,
    pub expires_at: Time,
}

/// What a flow still asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    SecondFactor,
    Enrolment,
}

impl Flow {
    pub fn is_for(&self, errand: Errand) -> bool {
        self.enrols == (errand == Errand::Enrolment)
    }
}

pub fn insert(f: &Flow, now: Time) -> Write {
    sql!(
        "insert into user_auth.flow
           (tenant_id, id, digest, user_id, amr, persistent, enrols, created_at, expires_at)
         values ({tenant}, {f.id}, {f.digest}, {f.user_id}, {f.amr}, {f.persistent}, {f.enrols},
           {now}, {f.expires_at})"
    )
}

pub async fn find(db: &Db, id: FlowId, now: Time) -> Result<Option<Flow>> {
    let find = sql!(
        "select id, digest, user_id, amr, persistent, enrols, expires_at from user_auth.flow
         where tenant_id = {tenant} and id = {id} and expires_at > {now}"
    );
    db.optional(find).await
}

/// Counts a try when it begins; touches no row when there is none left.
pub fn begin_try(id: FlowId, tries_max: i32) -> Write {
    sql!(
        "update user_auth.flow set tries = tries + 1
         where tenant_id = {tenant} and id = {id} and tries < {tries_max}"
    )
    .expect_rows(1)
}

/// Ends a flow: once.
pub fn take(id: FlowId) -> Write {
    sql!("delete from user_auth.flow where tenant_id = {tenant} and id = {id}").expect_rows(1)
}

pub fn remove_of_user(user: UserId) -> Write {
    sql!("delete from user_auth.flow where tenant_id = {tenant} and user_id = {user}")
}

pub fn purge(now: Time) -> Write {
    sql!("delete from user_auth.flow where expires_at < {now}").across_tenants()
}

/// What an authenticator was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CeremonyKind {
    Register,
    Login,
    SecondFactor,
    StepUp,
}

impl ToParam for CeremonyKind {
    fn to_param(&self) -> Param {
        word(self)
    }
}

#[derive(Debug, Deserialize)]
pub struct Ceremony {
    pub user_id: Option<UserId>,
    pub challenge: Vec<u8>,
}

pub fn insert_ceremony(id: FlowId, kind: CeremonyKind, c: &Ceremony, expires_at: Time) -> Write {
    sql!(
        "insert into user_auth.ceremony (tenant_id, id, kind, user_id, challenge, expires_at)
         values ({tenant}, {id}, {kind}, {c.user_id}, {c.challenge}, {expires_at})"
    )
}

pub async fn find_ceremony(
    db: &Db,
    id: FlowId,
    kind: CeremonyKind,
    now: Time,
) -> Result<Option<Ceremony>> {
    let find = sql!(
        "select user_id, challenge from user_auth.ceremony
         where tenant_id = {tenant} and id = {id} and kind = {kind} and expires_at > {now}"
    );
    db.optional(find).await
}

/// Spends a challenge, before anything is verified by it.
pub fn take_ceremony(id: FlowId) -> Write {
    sql!("delete from user_auth.ceremony where tenant_id = {tenant} and id = {id}").expect_rows(1)
}

pub fn purge_ceremonies(now: Time) -> Write {
    sql!("delete from user_auth.ceremony where expires_at < {now}").across_tenants()
}
