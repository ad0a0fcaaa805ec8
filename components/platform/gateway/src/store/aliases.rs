//! Other names of APIs, each tenant's own.

use crate::aliases::Alias;
use nexus_sdk::prelude::*;

pub async fn list(db: &Db, cursor: &Cursor) -> Result<Page<Alias>> {
    let all = sql!("select * from gateway.alias where tenant_id = {tenant}");
    db.page(all, cursor, ascending(["name"])).await
}

pub async fn find(db: &Db, name: &str) -> Result<Option<Alias>> {
    let one = sql!("select * from gateway.alias where tenant_id = {tenant} and name = {name}");
    db.optional(one).await
}

pub async fn count(db: &Db) -> Result<i64> {
    db.one(sql!("select count(*) from gateway.alias where tenant_id = {tenant}")).await
}

/// The service that the platform itself calls so; 404 when none or several are called so.
pub async fn of_the_platform(db: &Db, name: &str) -> Result<String> {
    let one = sql!(
        "select min(name) from gateway.service where {name} = any (alias_keys)
         having count(*) = 1"
    );
    db.one(one.across_tenants()).await
}

/// One row, unless the version is another by now. `seen` is 0 where there was none yet.
pub fn put(name: &str, service: &str, note: &str, seen: i64, by: &str, at: Time) -> Write {
    sql!(
        "insert into gateway.alias (tenant_id, name, service, note, updated_at, updated_by)
         values ({tenant}, {name}, {service}, {note}, {at}, {by})
         on conflict (tenant_id, name) do update
         set service = excluded.service, note = excluded.note, version = alias.version + 1,
           updated_at = excluded.updated_at, updated_by = excluded.updated_by
         where alias.version = {seen}"
    )
}

pub fn remove(name: &str) -> Write {
    sql!("delete from gateway.alias where tenant_id = {tenant} and name = {name}")
}
