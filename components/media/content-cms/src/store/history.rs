//! What happened to titles.

use crate::history::Record;
use media_contract::content_cms::TitleId;
use nexus_sdk::prelude::*;

pub async fn list(db: &Db, title: TitleId, cursor: &Cursor) -> Result<Page<Record>> {
    let all = sql!(
        r#"select id, title_id as title, at, by_subject as "by", action, from_state as "from",
           to_state as "to", note, fields
         from content_cms.history where tenant_id = {tenant} and title_id = {title}"#
    );
    db.page(all, cursor, descending(["id"])).await
}

pub fn insert(r: &Record) -> Write {
    sql!(
        "insert into content_cms.history
           (tenant_id, id, title_id, at, by_subject, action, from_state, to_state, note, fields)
         values ({tenant}, {r.id}, {r.title}, {r.at}, {r.by}, {r.action}, {r.from}, {r.to},
           {r.note}, {r.fields})"
    )
}

pub fn forget(title: TitleId) -> Write {
    sql!("delete from content_cms.history where tenant_id = {tenant} and title_id = {title}")
}

/// What somebody did stays without their name, and without what they wrote beside it.
pub fn forget_subject(subject: &str) -> Write {
    sql!(
        "update content_cms.history set by_subject = null, note = null
         where tenant_id = {tenant} and by_subject = {subject}"
    )
}
