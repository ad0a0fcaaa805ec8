//! Pages.

use crate::pages::{PageShown, Row};
use nexus_sdk::prelude::*;

pub async fn list(db: &Db) -> Result<Vec<PageShown>> {
    let all = sql!(
        "select name, rows from content_cms.page where tenant_id = {tenant}
         order by name limit 1000"
    );
    db.all(all).await
}

pub async fn find(db: &Db, name: &str) -> Result<Option<PageShown>> {
    let one = sql!(
        "select name, rows from content_cms.page where tenant_id = {tenant} and name = {name}"
    );
    db.optional(one).await
}

pub fn put(name: &str, rows: &[Row], now: Time) -> Write {
    let rows = Json(rows);
    sql!(
        "insert into content_cms.page (tenant_id, name, rows, updated_at)
         values ({tenant}, {name}, {rows}, {now})
         on conflict (tenant_id, name) do update set rows = excluded.rows,
           updated_at = excluded.updated_at"
    )
}

pub fn delete(name: &str) -> Write {
    sql!("delete from content_cms.page where tenant_id = {tenant} and name = {name}").expect_rows(1)
}
