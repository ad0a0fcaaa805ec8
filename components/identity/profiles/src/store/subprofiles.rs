//! Who watches in a household.

use crate::subprofiles::{Person, Subprofile};
use identity_contract::UserId;
use identity_contract::profiles::SubprofileId;
use nexus_sdk::prelude::*;

/// What stands before a profile.
#[derive(Deserialize)]
pub struct Lock {
    pub pin_hash: Option<String>,
    pub pin_open_at: Option<Time>,
}

pub async fn list(db: &Db, owner: UserId, cursor: &Cursor) -> Result<Page<Subprofile>> {
    let all = sql!(
        "select *, pin_hash is not null as locked from profiles.subprofile
         where tenant_id = {tenant} and owner_id = {owner}"
    );
    db.page(all, cursor, ascending(["slot"])).await
}

pub async fn find(db: &Db, owner: UserId, id: SubprofileId) -> Result<Subprofile> {
    let one = sql!(
        "select *, pin_hash is not null as locked from profiles.subprofile
         where tenant_id = {tenant} and owner_id = {owner} and id = {id}"
    );
    db.one(one).await
}

pub async fn lock(db: &Db, owner: UserId, id: SubprofileId) -> Result<Lock> {
    let one = sql!(
        "select pin_hash, pin_open_at from profiles.subprofile
         where tenant_id = {tenant} and owner_id = {owner} and id = {id}"
    );
    db.one(one).await
}

/// Takes the first free place of five; no row when there is none.
pub fn insert(owner: UserId, id: SubprofileId, person: &Person, at: Time) -> Write {
    let p = person;
    let limit = p.maturity_max;
    sql!(
        "insert into profiles.subprofile (tenant_id, id, owner_id, slot, name, name_key, picture,
           maturity_max, kid, language, created_at, updated_at)
         select {tenant}::uuid, {id}::uuid, {owner}::uuid, free.slot, {p.name}::text,
           lower({p.name}), {p.picture}::text, {limit}::int, {p.kid}::boolean,
           {p.language}::text, {at}::timestamptz, {at}
         from generate_series(1, 5) free (slot)
         where not exists (
           select from profiles.subprofile s
           where s.tenant_id = {tenant} and s.owner_id = {owner} and s.slot = free.slot
         )
         order by free.slot limit 1"
    )
}

pub fn update(owner: UserId, id: SubprofileId, seen: i64, to: &Person, at: Time) -> Write {
    let limit = to.maturity_max;
    sql!(
        "update profiles.subprofile
         set name = {to.name}, name_key = lower({to.name}), picture = {to.picture},
           maturity_max = {limit}, kid = {to.kid}, language = {to.language},
           version = version + 1, updated_at = {at}
         where tenant_id = {tenant} and owner_id = {owner} and id = {id} and version = {seen}"
    )
}

pub fn delete(owner: UserId, id: SubprofileId) -> Write {
    sql!(
        "delete from profiles.subprofile
         where tenant_id = {tenant} and owner_id = {owner} and id = {id}"
    )
}

pub fn set_pin(owner: UserId, id: SubprofileId, hash: Option<&str>, at: Time) -> Write {
    sql!(
        "update profiles.subprofile
         set pin_hash = {hash}, pin_failures = 0, pin_open_at = null, version = version + 1,
           updated_at = {at}
         where tenant_id = {tenant} and owner_id = {owner} and id = {id}"
    )
}

/// Counts a try; no row while one has to wait. After `free` tries the wait doubles from `first`
/// seconds up to `longest`.
pub fn count_try(
    owner: UserId,
    id: SubprofileId,
    (free, first, longest): (i32, i32, i32),
    at: Time,
) -> Write {
    sql!(
        "update profiles.subprofile
         set pin_failures = pin_failures + 1,
           pin_open_at = case when pin_failures + 1 >= {free} then {at}::timestamptz
             + make_interval(secs => least({first}::int * power(2, least(pin_failures + 1 - {free},
               20)), {longest}::int)) end
         where tenant_id = {tenant} and owner_id = {owner} and id = {id}
           and (pin_open_at is null or pin_open_at <= {at})"
    )
}

pub fn forget_tries(owner: UserId, id: SubprofileId) -> Write {
    sql!(
        "update profiles.subprofile set pin_failures = 0, pin_open_at = null
         where tenant_id = {tenant} and owner_id = {owner} and id = {id}"
    )
}
