//! What must go from the store.

use nexus_sdk::prelude::*;

#[derive(Debug, Deserialize)]
pub struct Removal {
    pub id: Uuid,
    pub key: String,
    pub multipart: Option<String>,
}

pub async fn due(db: &Db, now: Time, most: i64) -> Result<Vec<Removal>> {
    let all = sql!(
        "select id, key, multipart from uploader.removal
         where due_at <= {now} order by due_at limit {most}"
    );
    db.all(all.across_tenants()).await
}

/// The same, of one tenant only.
pub async fn due_here(db: &Db, now: Time, most: i64) -> Result<Vec<Removal>> {
    db.all(sql!(
        "select id, key, multipart from uploader.removal
         where tenant_id = {tenant} and due_at <= {now} order by due_at limit {most}"
    ))
    .await
}

pub fn done(ids: &[String]) -> Write {
    sql!("delete from uploader.removal where id = any({ids}::text[]::uuid[])").across_tenants()
}
