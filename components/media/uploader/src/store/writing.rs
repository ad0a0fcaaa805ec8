//! Writing to an upload: whose turn it is, and what has arrived.

use crate::bucket::StoredPart;
use crate::domain::{QuotaReached, Upload, UploadHeld};
use crate::quota::Bounds;
use media_contract::UploadId;
use nexus_sdk::prelude::*;

/// How long a writer keeps its turn without a word. A host that dies is waited for so long; one
/// that is slow says a word every second.
pub const LEASE_SECONDS: i32 = 6;

/// Takes the turn, or is refused while somebody has it. Whoever had it and died may still be
/// sending the part whose number comes next: that number is left out.
pub fn take(id: UploadId, holder: Uuid) -> Write {
    sql!(
        "update uploader.upload
         set next_part = next_part + case when holder is null then 0 else 1 end,
             holder = {holder}, wanted_at = null,
             held_until = clock_timestamp() + make_interval(secs => {LEASE_SECONDS})
         where tenant_id = {tenant} and id = {id} and state in ('receiving', 'received')
           and (holder is null or held_until < clock_timestamp())"
    )
    .expect_rows(1)
    .or_refuse(UploadHeld)
}

/// Keeps the turn.
pub fn renew(id: UploadId, holder: Uuid) -> Write {
    sql!(
        "update uploader.upload
         set held_until = clock_timestamp() + make_interval(secs => {LEASE_SECONDS})
         where tenant_id = {tenant} and id = {id} and holder = {holder}"
    )
    .expect_rows(1)
    .or_refuse(UploadHeld)
}

/// Gives the turn back.
pub fn release(id: UploadId, holder: Uuid) -> Write {
    sql!(
        "update uploader.upload set holder = null, held_until = null
         where tenant_id = {tenant} and id = {id} and holder = {holder}"
    )
}

/// Asks whoever has the turn to let go if nothing comes from its client any more.
pub fn want(id: UploadId) -> Write {
    sql!(
        "update uploader.upload set wanted_at = clock_timestamp()
         where tenant_id = {tenant} and id = {id} and holder is not null"
    )
}

pub async fn is_wanted(db: &Db, id: UploadId) -> Result<bool> {
    let wanted = db
        .optional(sql!(
            "select wanted_at is not null as wanted from uploader.upload
             where tenant_id = {tenant} and id = {id}"
        ))
        .await?;
    // One that is gone wants no writer either.
    Ok(wanted.unwrap_or(true))
}

/// What a writer has got, between two words to the database.
#[derive(Debug, Default)]
pub struct Arrived {
    pub reaches: i64,
    pub hash_state: Vec<u8>,
    pub sha256: Option<String>,
    pub parts: Vec<StoredPart>,
    /// Where it starts, and the bytes.
    pub tail: Option<(i64, Vec<u8>)>,
    pub multipart: Option<String>,
    pub next_part: i32,
    pub media_type: Option<String>,
    /// The writer gives its turn back.
    pub lets_go: bool,
}

pub fn keep(upload: &Upload, holder: Uuid, arrived: Arrived, bounds: &Bounds, at: Time) -> Write {
    let (id, a, b) = (upload.id, arrived, bounds);
    let expires = crate::domain::expires(upload.created_at, at);
    let numbers: Vec<i32> = a.parts.iter().map(|part| part.number).collect();
    let etags: Vec<String> = a.parts.iter().map(|part| part.etag.clone()).collect();
    let sizes: Vec<i64> = a.parts.iter().map(|part| part.bytes).collect();
    let (starts, tail) = a.tail.map_or((0, None), |(starts, tail)| (starts, Some(tail)));
    sql!(
        "select uploader.keep(
           {tenant}, {id}, {holder}, {a.reaches}, {a.hash_state}, {a.sha256}, {numbers}, {etags},
           {sizes}, {starts}, {tail}, {a.multipart}, {a.next_part}, {a.media_type}, {a.lets_go},
           {LEASE_SECONDS}, {b.owner}, {b.tenant}, {at}, {expires})"
    )
    .on_conflict_refuse("upload_lock", UploadHeld)
    .on_conflict_refuse("quota_owner", QuotaReached)
    .on_conflict_refuse("quota_tenant", QuotaReached)
}

#[derive(Debug, Deserialize)]
struct Part {
    number: i32,
    etag: String,
    bytes: i64,
}

pub async fn parts(db: &Db, id: UploadId) -> Result<Vec<StoredPart>> {
    let parts: Vec<Part> = db
        .all(sql!(
            "select number, etag, bytes from uploader.part
             where tenant_id = {tenant} and upload_id = {id} order by number"
        ))
        .await?;
    let part = |Part { number, etag, bytes }| StoredPart { number, etag, bytes };
    Ok(parts.into_iter().map(part).collect())
}

#[derive(Debug, Deserialize)]
struct Tail {
    bytes: Vec<u8>,
}

/// What came after the last part: less than one.
pub async fn tail(db: &Db, id: UploadId) -> Result<Vec<u8>> {
    let pieces: Vec<Tail> = db
        .all(sql!(
            "select bytes from uploader.tail
             where tenant_id = {tenant} and upload_id = {id} order by starts"
        ))
        .await?;
    Ok(pieces.into_iter().flat_map(|tail| tail.bytes).collect())
}
