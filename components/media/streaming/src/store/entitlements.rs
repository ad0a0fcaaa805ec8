//! Plans of people.

use crate::domain::Entitlement;
use nexus_sdk::prelude::*;

/// What is free, where nobody has said otherwise.
pub async fn of(db: &Db, subject: Uuid) -> Result<Entitlement> {
    let one = sql!(
        "select plan, concurrency from streaming.entitlement
         where tenant_id = {tenant} and subject_id = {subject}"
    );
    Ok(db.optional(one).await?.unwrap_or_default())
}

pub fn put(subject: Uuid, e: &Entitlement, now: Time) -> Write {
    sql!(
        "insert into streaming.entitlement (tenant_id, subject_id, plan, concurrency, updated_at)
         values ({tenant}, {subject}, {e.plan}, {e.concurrency}, {now})
         on conflict (tenant_id, subject_id) do update set plan = excluded.plan,
           concurrency = excluded.concurrency, updated_at = excluded.updated_at"
    )
}

pub fn remove(subject: Uuid) -> Write {
    sql!("delete from streaming.entitlement where tenant_id = {tenant} and subject_id = {subject}")
}
