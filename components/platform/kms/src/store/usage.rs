//! Counts of use.

use crate::usage::Counted;
use nexus_sdk::prelude::*;
use platform_contract::kms::KeyId;
use std::collections::BTreeMap;

/// Adds to a version's messages and to an actor's uses.
pub fn count(c: &Counted) -> Write {
    sql!(
        "select kms.count_use({c.tenant}, {c.key}, {c.version}, {c.messages}, {c.hour},
           {c.operation}, {c.actor}, {c.uses})"
    )
    .across_tenants()
}

/// What somebody did with a key within an hour; within a day, once it is a month ago.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Used {
    pub hour: Time,
    pub operation: String,
    pub actor: String,
    pub uses: i64,
}

pub async fn of_key(db: &Db, id: KeyId, cursor: &Cursor) -> Result<Page<Used>> {
    let all = sql!(
        "select hour, operation, actor, uses from kms.usage
         where tenant_id = {tenant} and key_id = {id}"
    );
    db.page(all, cursor, descending(["hour", "operation", "actor"])).await
}

/// One key's hour that nobody was told about, with its sums.
#[derive(Deserialize)]
pub struct Untold {
    pub tenant_id: Uuid,
    pub key_id: KeyId,
    pub hour: Time,
    pub uses: BTreeMap<String, i64>,
}

pub async fn untold(db: &Db, before: Time, limit: i64) -> Result<Vec<Untold>> {
    // An event takes a bounded payload: of an hour with more actors, those who did most.
    let some = sql!(
        "select tenant_id, key_id, hour,
           coalesce(jsonb_object_agg(operation || ' ' || actor, uses) filter (where place <= 500),
             '{{}}') as uses
         from (
           select *, row_number() over (
             partition by tenant_id, key_id, hour order by uses desc, operation, actor) as place
           from kms.usage where told_at is null and hour < {before}) as counted
         group by tenant_id, key_id, hour order by hour limit {limit}"
    );
    db.all(some.across_tenants()).await
}

pub fn told(u: &Untold, now: Time) -> Write {
    sql!(
        "update kms.usage set told_at = {now}
         where tenant_id = {u.tenant_id} and key_id = {u.key_id} and hour = {u.hour}"
    )
    .across_tenants()
}

/// Sums the hours of days long past.
pub fn fold(before: Time) -> Write {
    sql!(
        "with old as (
           delete from kms.usage
           where told_at is not null and hour < {before}
             and hour <> date_trunc('day', hour, 'UTC')
           returning *)
         insert into kms.usage as u (tenant_id, key_id, hour, operation, actor, uses, told_at)
         select tenant_id, key_id, date_trunc('day', hour, 'UTC'), operation, actor, sum(uses),
           max(told_at)
         from old group by 1, 2, 3, 4, 5
         on conflict (tenant_id, key_id, hour, operation, actor)
           do update set uses = u.uses + excluded.uses"
    )
    .across_tenants()
}

pub fn forget(before: Time) -> Write {
    sql!("delete from kms.usage where hour < {before}").across_tenants()
}
