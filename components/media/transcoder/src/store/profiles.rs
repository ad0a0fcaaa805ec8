//! Profiles of tenants.

use crate::ladder::Ladder;
use crate::profiles::Profile;
use nexus_sdk::prelude::*;

/// By name: few, since people write them.
pub async fn all(db: &Db) -> Result<Vec<Profile>> {
    let all =
        sql!("select * from transcoder.profile where tenant_id = {tenant} order by name limit 100");
    db.all(all).await
}

pub async fn find(db: &Db, id: Uuid) -> Result<Profile> {
    db.one(sql!("select * from transcoder.profile where tenant_id = {tenant} and id = {id}")).await
}

/// What is used where nobody says anything else.
pub async fn default(db: &Db) -> Result<Option<Profile>> {
    let one = sql!("select * from transcoder.profile where tenant_id = {tenant} and is_default");
    db.optional(one).await
}

/// Violates `profile_name` when the name is taken.
pub fn insert(p: &Profile) -> Write {
    let ladder = Json(&p.ladder);
    sql!(
        "insert into transcoder.profile
           (tenant_id, id, name, ladder, is_default, updated_at, updated_by)
         values ({tenant}, {p.id}, {p.name}, {ladder}, {p.is_default}, {p.updated_at},
           {p.updated_by})"
    )
}

/// No profile but this one is the default.
pub fn yield_default(id: Uuid) -> Write {
    sql!(
        "update transcoder.profile set is_default = false
         where tenant_id = {tenant} and is_default and id <> {id}"
    )
}

/// Touches no row when it has changed since.
pub fn replace(
    id: Uuid,
    version: i64,
    ladder: &Ladder,
    is_default: bool,
    by: &str,
    now: Time,
) -> Write {
    let ladder = Json(ladder);
    sql!(
        "update transcoder.profile set ladder = {ladder}, is_default = {is_default},
           version = version + 1, updated_at = {now}, updated_by = {by}
         where tenant_id = {tenant} and id = {id} and version = {version}"
    )
    .expect_rows(1)
}

pub fn remove(id: Uuid) -> Write {
    sql!("delete from transcoder.profile where tenant_id = {tenant} and id = {id}").expect_rows(1)
}
