//! Collections and their entries.

use crate::collections::{Collection, Entry};
use media_contract::content_cms::{CollectionId, TitleId};
use nexus_sdk::prelude::*;

pub async fn list(db: &Db, cursor: &Cursor) -> Result<Page<Collection>> {
    let all = sql!(
        "select c.id, c.name, c.synopsis, c.localisations, c.version, c.created_at, c.updated_at,
           (select count(*) from content_cms.entry e
            where e.tenant_id = c.tenant_id and e.collection_id = c.id) as size
         from content_cms.collection c where c.tenant_id = {tenant}"
    );
    db.page(all, cursor, ascending(["id"])).await
}

pub async fn find(db: &Db, id: CollectionId) -> Result<Collection> {
    let one = sql!(
        "select c.id, c.name, c.synopsis, c.localisations, c.version, c.created_at, c.updated_at,
           (select count(*) from content_cms.entry e
            where e.tenant_id = c.tenant_id and e.collection_id = c.id) as size
         from content_cms.collection c where c.tenant_id = {tenant} and c.id = {id}"
    );
    db.one(one).await
}

pub async fn entries(db: &Db, id: CollectionId) -> Result<Vec<Entry>> {
    let all = sql!(
        "select t.id as title, t.name, t.kind, t.state
         from content_cms.entry e
           join content_cms.title t on t.tenant_id = e.tenant_id and t.id = e.title_id
         where e.tenant_id = {tenant} and e.collection_id = {id}
         order by e.position limit 200"
    );
    db.all(all).await
}

pub fn insert(c: &Collection) -> Write {
    let localisations = Json(&c.localisations);
    sql!(
        "insert into content_cms.collection
           (tenant_id, id, name, synopsis, localisations, created_at, updated_at)
         values ({tenant}, {c.id}, {c.name}, {c.synopsis}, {localisations}, {c.created_at},
           {c.created_at})"
    )
}

/// Refused when it has changed since it was read.
pub fn save(c: &Collection, now: Time) -> Write {
    let localisations = Json(&c.localisations);
    sql!(
        "update content_cms.collection set name = {c.name}, synopsis = {c.synopsis},
           localisations = {localisations}, version = version + 1, updated_at = {now}
         where tenant_id = {tenant} and id = {c.id} and version = {c.version}"
    )
    .expect_rows(1)
}

pub fn delete(id: CollectionId) -> Write {
    sql!("delete from content_cms.collection where tenant_id = {tenant} and id = {id}")
}

pub fn empty(id: CollectionId) -> Write {
    sql!("delete from content_cms.entry where tenant_id = {tenant} and collection_id = {id}")
}

/// Refused unless each of them is a title.
pub fn fill(id: CollectionId, titles: &Vec<TitleId>) -> Write {
    let expected = titles.len() as u64;
    sql!(
        "insert into content_cms.entry (tenant_id, collection_id, title_id, position)
         select {tenant}::uuid, {id}::uuid, t.id, told.position
         from unnest({titles}::text[]::uuid[]) with ordinality told (id, position)
           join content_cms.title t on t.tenant_id = {tenant} and t.id = told.id"
    )
    .expect_rows(expected)
}

pub fn forget_title(title: TitleId) -> Write {
    sql!("delete from content_cms.entry where tenant_id = {tenant} and title_id = {title}")
}
