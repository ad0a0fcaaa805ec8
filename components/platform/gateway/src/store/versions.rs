//! Versions of APIs and their ends.

use crate::versions::Kept;
use nexus_sdk::prelude::*;

pub async fn list(db: &Db, cursor: &Cursor) -> Result<Page<Kept>> {
    let all = sql!("select * from gateway.api_version").across_tenants();
    db.page(all, cursor, ascending(["service", "version"])).await
}

pub async fn find(db: &Db, service: &str, version: &str) -> Result<Kept> {
    let one =
        sql!("select * from gateway.api_version where service = {service} and version = {version}");
    db.one(one.across_tenants()).await
}

/// Those of which something is to be said.
pub async fn ending(db: &Db) -> Result<Vec<Kept>> {
    let all = sql!(
        "select * from gateway.api_version where deprecated_at is not null
         order by service, version limit 1000"
    );
    db.all(all.across_tenants()).await
}

/// One row, unless it was changed since it was read.
pub fn put(to: &Kept, by: &str, at: Time) -> Write {
    sql!(
        "update gateway.api_version
         set deprecated_at = {to.deprecated_at}, sunset_at = {to.sunset_at},
           successor = {to.successor}, notice_url = {to.notice_url}, revision = revision + 1,
           updated_at = {at}, updated_by = {by}
         where service = {to.service} and version = {to.version} and revision = {to.revision}"
    )
    .across_tenants()
}
