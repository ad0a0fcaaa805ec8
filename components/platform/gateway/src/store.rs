//! All SQL of this service. What is about services has no tenant: it is the installation's.

pub mod aliases;
pub mod versions;

use crate::services::{Entry, Filter};
use nexus_sdk::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

pub async fn last_look(db: &Db) -> Result<Option<Time>> {
    db.one(sql!("select max(seen_at) from gateway.service").across_tenants()).await
}

/// What each service's document was at the last look.
pub async fn digests(db: &Db) -> Result<BTreeMap<String, Option<String>>> {
    let all = sql!("select name, digest from gateway.service limit 1000").across_tenants();
    let rows: Vec<(String, Option<String>)> = db.all(all).await?;
    Ok(rows.into_iter().collect())
}

pub fn record(seen: Value, at: Time) -> Write {
    sql!("select gateway.record({seen}, {at})").across_tenants()
}

pub async fn services(db: &Db, filter: &Filter, cursor: &Cursor) -> Result<Page<Entry>> {
    let f = filter;
    let all = sql!(
        "select *, '/services/' || name || '/health' as health from gateway.service
         where (domain = {f.domain} or {f.domain}::text is null)
           and (state = {f.state} or {f.state}::text is null)
           and ({f.module}::text is null or {f.module} = any (modules))
           and ({f.q}::text is null
             or position(lower({f.q}) in
               lower(name || ' ' || duty || ' ' || array_to_string(aliases, ' '))) > 0)"
    );
    db.page(all.across_tenants(), cursor, ascending(["name"])).await
}

/// Those that can be described, by context.
pub async fn described(db: &Db) -> Result<Vec<Entry>> {
    let all = sql!(
        "select *, '/services/' || name || '/health' as health from gateway.service
         where state <> 'missing' order by domain, name limit 200"
    );
    db.all(all.across_tenants()).await
}

pub async fn is_service(db: &Db, name: &str) -> Result<bool> {
    let known = sql!("select exists (select from gateway.service where name = {name})");
    db.one(known.across_tenants()).await
}

/// An operation that was found.
#[derive(Deserialize)]
pub struct Found {
    pub service: String,
    pub method: String,
    pub path: String,
    pub operation_id: String,
    pub door: String,
    pub permission: Option<String>,
}

/// Operations in which every word occurs: in the path, its name, its permission or its service's
/// duty. One more than `limit` says that there are more.
pub async fn search(db: &Db, words: &Vec<String>, limit: i32) -> Result<Vec<Found>> {
    let all = sql!(
        "select o.service, o.method, o.path, o.operation_id, o.door, o.permission
         from gateway.operation o join gateway.service s on s.name = o.service
         where s.state <> 'missing' and not exists (
           select from unnest({words}::text[]) word
           where position(lower(word) in lower(o.method || ' ' || o.path || ' '
             || translate(o.operation_id, '_:', '  ') || ' ' || coalesce(o.permission, '') || ' '
             || s.name || ' ' || s.duty || ' ' || array_to_string(s.aliases, ' '))) = 0
         )
         order by o.service, o.path, o.method
         limit {limit}::int + 1"
    );
    db.all(all.across_tenants()).await
}
