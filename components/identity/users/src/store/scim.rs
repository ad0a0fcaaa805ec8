//! Accounts and groups as documents. A filter comes as a `jsonpath`, which is a parameter.

use crate::scim::{Document, Found, Kind};
use identity_contract::UserId;
use nexus_sdk::prelude::*;
use serde_json::Value;

pub async fn count(db: &Db, kind: Kind, found: &Found) -> Result<i64> {
    let (path, user_name) = (&found.jsonpath, &found.user_name);
    let count = match kind {
        Kind::User => sql!(
            "select count(*) from users.account a
             where a.tenant_id = {tenant} and a.status <> 'erased'
               and ({user_name}::text is null or a.user_key = {user_name})
               and ({path}::text is null
                 or users.scim_user(a) @@ ({path}::text)::jsonpath)"
        ),
        Kind::Group => sql!(
            "select count(*) from users.directory_group g
             where g.tenant_id = {tenant}
               and ({path}::text is null
                 or users.scim_group(g) @@ ({path}::text)::jsonpath)"
        ),
    };
    db.one(count).await
}

pub async fn list(db: &Db, kind: Kind, found: &Found) -> Result<Vec<Document>> {
    let Found { user_name, jsonpath: path, sort, descending, offset, count } = found;
    let list = match kind {
        Kind::User => sql!(
            "select d.document, d.version from (
               select users.scim_user(a) as document, a.version, a.id from users.account a
               where a.tenant_id = {tenant} and a.status <> 'erased'
                 and ({user_name}::text is null or a.user_key = {user_name})
             ) d
             where {path}::text is null or d.document @@ ({path}::text)::jsonpath
             order by
               case when not {descending} then lower(d.document #>> {sort}::text[]) end,
               case when {descending} then lower(d.document #>> {sort}::text[]) end desc,
               d.id
             limit {count} offset {offset}"
        ),
        Kind::Group => sql!(
            "select d.document, d.version from (
               select users.scim_group(g) as document, g.version, g.id
               from users.directory_group g where g.tenant_id = {tenant}
             ) d
             where {path}::text is null or d.document @@ ({path}::text)::jsonpath
             order by
               case when not {descending} then lower(d.document #>> {sort}::text[]) end,
               case when {descending} then lower(d.document #>> {sort}::text[]) end desc,
               d.id
             limit {count} offset {offset}"
        ),
    };
    db.all(list).await
}

pub async fn find(db: &Db, kind: Kind, id: Uuid) -> Result<Document> {
    let one = match kind {
        Kind::User => sql!(
            "select users.scim_user(a) as document, a.version from users.account a
             where a.tenant_id = {tenant} and a.id = {id} and a.status <> 'erased'"
        ),
        Kind::Group => sql!(
            "select users.scim_group(g) as document, g.version from users.directory_group g
             where g.tenant_id = {tenant} and g.id = {id}"
        ),
    };
    db.one(one).await
}

/// What a directory knows of an account.
pub struct Known<'a> {
    pub email: Option<&'a str>,
    pub user_name: &'a str,
    pub external_id: Option<&'a str>,
    pub display_name: Option<&'a str>,
    pub locale: Option<&'a str>,
    pub attributes: &'a Value,
}

pub fn put_account(id: UserId, seen: i64, known: &Known<'_>, at: Time) -> Write {
    let k = known;
    let user_key = k.user_name.to_lowercase();
    sql!(
        "select users.put_directory_account({tenant}, {id}, {seen}, {k.email}, {k.user_name},
           {user_key}, {k.external_id}, {k.display_name}, {k.locale}, {k.attributes}, {at})"
    )
}

pub fn put_group(
    id: Uuid,
    seen: Option<i64>,
    name: &str,
    external_id: Option<&str>,
    at: Time,
) -> Write {
    let key = name.to_lowercase();
    sql!("select users.put_group({tenant}, {id}, {seen}, {name}, {key}, {external_id}, {at})")
}

pub fn set_members(id: Uuid, members: &[String], at: Time) -> Write {
    sql!("select users.set_group_members({tenant}, {id}, ({members}::text[])::uuid[], {at})")
}

pub fn remove_group(id: Uuid, seen: i64, at: Time) -> Write {
    sql!("select users.remove_group({tenant}, {id}, {seen}, {at})")
}

/// What the roles of a group give, all together.
pub async fn group_permissions(db: &Db, id: Uuid) -> Result<Vec<String>> {
    let all = sql!(
        "select coalesce(array_agg(distinct p), '{{}}') from users.group_role g
         join users.role r on r.id = g.role_id and r.tenant_id in ({tenant}, users.everywhere())
         cross join unnest(r.permissions) p
         where g.tenant_id = {tenant} and g.group_id = {id}"
    );
    db.one(all).await
}
