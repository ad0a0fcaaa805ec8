//! What files are: the same bytes of one owner are kept once.

use crate::domain::Upload;
use media_contract::UploadId;
use nexus_sdk::prelude::*;

/// A file that is kept.
#[derive(Debug, Clone, Deserialize)]
pub struct Content {
    pub id: Uuid,
    pub key: String,
    pub media_type: String,
    pub scan: String,
}

pub async fn same(db: &Db, owner: Uuid, sha256: &str) -> Result<Option<Content>> {
    db.optional(sql!(
        "select id, key, media_type, scan from uploader.content
         where tenant_id = {tenant} and owner_id = {owner} and sha256 = {sha256}"
    ))
    .await
}

pub async fn find(db: &Db, id: Uuid) -> Result<Content> {
    db.one(sql!(
        "select id, key, media_type, scan from uploader.content
         where tenant_id = {tenant} and id = {id}"
    ))
    .await
}

/// The constraint that speaks when the same bytes of one owner came twice at once.
pub const CAME_IN_BETWEEN: &str = "content_of_owner";
/// The constraint that speaks when what was to be linked to went away.
pub const WENT_IN_BETWEEN: &str = "content_gone";

nexus_sdk::refusals! {
    /// Never told: whoever gets it looks again.
    Moved = 409, "the file changed hands in between"
}

/// `is_new` says whether the store has an object for it.
pub fn complete(upload: &Upload, holder: Uuid, content: &Content, is_new: bool, at: Time) -> Write {
    let (u, c) = (upload, content);
    let key = is_new.then_some(&c.key);
    sql!(
        "select uploader.complete(
           {tenant}, {u.id}, {holder}, {c.id}, {key}, {u.sha256}, {c.media_type}, {c.scan}, {at})"
    )
    .on_conflict_refuse(CAME_IN_BETWEEN, Moved)
    .on_conflict_refuse(WENT_IN_BETWEEN, Moved)
    .on_conflict_refuse("upload_lock", crate::domain::UploadHeld)
}

pub fn complete_partial(id: UploadId, holder: Uuid, at: Time) -> Write {
    sql!("select uploader.complete_partial({tenant}, {id}, {holder}, {at})")
        .on_conflict_refuse("upload_lock", crate::domain::UploadHeld)
}

/// The row says why until `expires`.
pub fn reject(id: UploadId, holder: Uuid, reason: &str, at: Time, expires: Time) -> Write {
    sql!("select uploader.reject({tenant}, {id}, {holder}, {reason}, {at}, {expires})")
        .on_conflict_refuse("upload_lock", crate::domain::UploadHeld)
}

/// What a direct upload has turned out to be.
pub fn looked_at(id: UploadId, holder: Uuid, sha256: &str, media_type: &str, at: Time) -> Write {
    sql!(
        "update uploader.upload
         set state = 'received', received = length, sha256 = {sha256}, media_type = {media_type},
             updated_at = {at}
         where tenant_id = {tenant} and id = {id} and holder = {holder}
           and state in ('receiving', 'received')"
    )
    .expect_rows(1)
    .or_refuse(crate::domain::UploadHeld)
}
