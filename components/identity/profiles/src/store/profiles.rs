//! Profiles, and who belongs together.

use crate::own::{Editable, Profile, Standing};
use identity_contract::profiles::AvatarId;
use identity_contract::{OrganisationId, UserId};
use nexus_sdk::prelude::*;

impl ToParam for Standing {
    fn to_param(&self) -> Param {
        word(self)
    }
}

pub async fn find(db: &Db, user: UserId) -> Result<Option<Profile>> {
    let one =
        sql!("select * from profiles.profile where tenant_id = {tenant} and user_id = {user}");
    db.optional(one).await
}

/// Those that everybody may see.
pub async fn several(db: &Db, users: &Vec<UserId>) -> Result<Vec<Profile>> {
    let all = sql!(
        "select * from profiles.profile
         where tenant_id = {tenant} and user_id = any ({users}::text[]::uuid[])
           and status = 'active' and handle is not null
         limit 100"
    );
    db.all(all).await
}

/// `text` is the beginning of a handle or a part of a name.
pub async fn list(
    db: &Db,
    text: Option<&str>,
    verified: Option<bool>,
    cursor: &Cursor,
) -> Result<Page<Profile>> {
    let all = sql!(
        "select * from profiles.profile
         where tenant_id = {tenant} and status <> 'erased'
           and ({verified}::boolean is null or (verified_at is not null) = {verified})
           and ({text}::text is null
             or starts_with(lower(coalesce(handle, '')), lower({text}))
             or position(lower({text}) in lower(coalesce(display_name, ''))) > 0)"
    );
    db.page(all, cursor, ascending(["user_id"])).await
}

/// Whether two people are of one organisation.
pub async fn belong_together(db: &Db, one: UserId, other: UserId) -> Result<bool> {
    let together = sql!(
        "select exists (
           select from profiles.membership a
           join profiles.membership b
             on b.tenant_id = a.tenant_id and b.organisation_id = a.organisation_id
           where a.tenant_id = {tenant} and a.user_id = {one} and b.user_id = {other}
             and a.belongs and b.belongs
         )"
    );
    db.one(together).await
}

pub async fn is_time_zone(db: &Db, name: &str) -> Result<bool> {
    db.one(sql!("select profiles.is_time_zone({name})").across_tenants()).await
}

/// Of these objects, those that no profile shows.
pub async fn orphans(db: &Db, keys: &Vec<String>) -> Result<Vec<String>> {
    let all = sql!(
        "select key from unnest({keys}::text[]) key
         where not exists (
           select from profiles.profile p
           where p.avatar_id is not null and p.tenant_id::text = split_part(key, '/', 1)
             and p.avatar_id::text = split_part(key, '/', 2)
         )"
    );
    db.all(all.across_tenants()).await
}

/// A profile where there is none yet; what its owner said before stays.
pub fn begin(user: UserId, name: Option<String>, locale: Option<String>, at: Time) -> Write {
    sql!(
        "insert into profiles.profile
           (tenant_id, user_id, display_name, locale, created_at, updated_at)
         values ({tenant}, {user}, {name}, {locale}, {at}, {at})
         on conflict (tenant_id, user_id) do update
         set display_name = coalesce(profile.display_name, excluded.display_name),
           locale = coalesce(profile.locale, excluded.locale),
           version = profile.version + 1, updated_at = {at}
         where profile.status <> 'erased' and (
           (profile.display_name is null and excluded.display_name is not null)
           or (profile.locale is null and excluded.locale is not null))"
    )
}

/// One row, unless the version is another by now. `seen` is 0 where there was no profile yet.
pub fn edit(user: UserId, seen: i64, to: &Editable, at: Time) -> Write {
    let (links, visibility) = (Json(&to.links), Json(&to.visibility));
    sql!(
        "insert into profiles.profile (tenant_id, user_id, display_name, bio, links, locale,
           time_zone, visibility, created_at, updated_at)
         values ({tenant}, {user}, {to.display_name}, {to.bio}, {links}, {to.locale},
           {to.time_zone}, {visibility}, {at}, {at})
         on conflict (tenant_id, user_id) do update
         set display_name = excluded.display_name, bio = excluded.bio, links = excluded.links,
           locale = excluded.locale, time_zone = excluded.time_zone,
           visibility = excluded.visibility, version = profile.version + 1, updated_at = {at}
         where profile.version = {seen} and profile.status <> 'erased'"
    )
}

/// As [`edit`].
pub fn set_avatar(user: UserId, seen: i64, avatar: Option<AvatarId>, at: Time) -> Write {
    sql!(
        "insert into profiles.profile (tenant_id, user_id, avatar_id, created_at, updated_at)
         values ({tenant}, {user}, {avatar}, {at}, {at})
         on conflict (tenant_id, user_id) do update
         set avatar_id = excluded.avatar_id, version = profile.version + 1, updated_at = {at}
         where profile.version = {seen} and profile.status <> 'erased'"
    )
}

pub fn mark(user: UserId, verified: bool, by: &str, at: Time) -> Write {
    sql!(
        "update profiles.profile
         set verified_at = case when {verified} then {at}::timestamptz end,
           verified_by = case when {verified} then {by}::text end,
           version = version + 1, updated_at = {at}
         where tenant_id = {tenant} and user_id = {user} and status <> 'erased'"
    )
}

pub fn clear(user: UserId, at: Time) -> Write {
    sql!(
        "update profiles.profile
         set avatar_id = null, bio = null, display_name = null, links = '[]',
           version = version + 1, updated_at = {at}
         where tenant_id = {tenant} and user_id = {user} and status <> 'erased'"
    )
}

/// The last word about an account counts, in whatever order words come.
pub fn stand(user: UserId, standing: Standing, told: Time, at: Time) -> Write {
    sql!(
        "insert into profiles.profile
           (tenant_id, user_id, status, status_told_at, created_at, updated_at)
         values ({tenant}, {user}, {standing}, {told}, {at}, {at})
         on conflict (tenant_id, user_id) do update
         set status = excluded.status, status_told_at = excluded.status_told_at,
           version = profile.version + 1, updated_at = {at}
         where profile.status <> 'erased' and profile.status_told_at < excluded.status_told_at"
    )
}

pub fn erase(user: UserId, at: Time) -> Write {
    sql!("select profiles.erase({tenant}, {user}, {at})")
}

/// As [`stand`].
pub fn belong(user: UserId, organisation: OrganisationId, belongs: bool, told: Time) -> Write {
    sql!(
        "insert into profiles.membership
           (tenant_id, user_id, organisation_id, belongs, told_at)
         values ({tenant}, {user}, {organisation}, {belongs}, {told})
         on conflict (tenant_id, user_id, organisation_id) do update
         set belongs = excluded.belongs, told_at = excluded.told_at
         where membership.told_at < excluded.told_at"
    )
}
