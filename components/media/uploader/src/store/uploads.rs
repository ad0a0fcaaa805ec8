//! Uploads: who has which, and what has become of them.

use crate::domain::{Kind, Upload};
use crate::tus::Draft;
use media_contract::UploadId;
use nexus_sdk::prelude::*;

pub async fn find(db: &Db, id: UploadId, owner: Uuid) -> Result<Upload> {
    db.one(sql!(
        "select u.*, (u.holder is not null and u.held_until > clock_timestamp()) as is_held
         from uploader.upload u
         where u.tenant_id = {tenant} and u.id = {id} and u.owner_id = {owner}"
    ))
    .await
}

/// Whoever's it is: for those who look after all of them, and for sweeps.
pub async fn of_anybody(db: &Db, id: UploadId) -> Result<Upload> {
    db.one(sql!(
        "select u.*, (u.holder is not null and u.held_until > clock_timestamp()) as is_held
         from uploader.upload u where u.tenant_id = {tenant} and u.id = {id}"
    ))
    .await
}

pub fn insert(draft: &Draft, at: Time, expires: Time) -> Write {
    let d = draft;
    sql!(
        "insert into uploader.upload (
           tenant_id, id, owner_id, way, kind, length, reserved, part_bytes, metadata_line,
           metadata, file_name, purpose, partials, expected_sha256, multipart, created_at,
           updated_at, expires_at
         ) values (
           {tenant}, {d.id}, {d.owner}, {d.way}, {d.kind}, {d.length}, {d.reserved},
           {d.part_bytes}, {d.metadata_line}, {d.metadata}, {d.file_name}, {d.purpose},
           {d.partials}, {d.expected_sha256}, {d.multipart}, {at}, {at}, {expires}
         )"
    )
}

/// Says how long an upload will be that was begun without.
pub fn declare(id: UploadId, length: i64, at: Time) -> Write {
    sql!(
        "update uploader.upload
         set length = {length}, reserved = greatest(reserved, {length}), updated_at = {at}
         where tenant_id = {tenant} and id = {id} and length is null and received <= {length}
           and state = 'receiving'"
    )
    .expect_rows(1)
}

/// Partial uploads of an owner that are whole, by id.
#[derive(Debug, Deserialize)]
pub struct Piece {
    pub id: UploadId,
    pub length: Option<i64>,
    pub is_whole: bool,
}

pub async fn pieces(db: &Db, ids: &Vec<UploadId>, owner: Uuid) -> Result<Vec<Piece>> {
    db.all(sql!(
        "select u.id, u.length, u.state = 'completed' as is_whole
         from uploader.upload u
         where u.tenant_id = {tenant} and u.id = any({ids}::text[]::uuid[])
           and u.owner_id = {owner} and u.kind = 'partial' and u.state <> 'rejected'"
    ))
    .await
}

/// An upload as its owner sees it in a list.
pub async fn page(db: &Db, owner: Uuid, cursor: &Cursor) -> Result<Page<Upload>> {
    let list = sql!(
        "select u.*, (u.holder is not null and u.held_until > clock_timestamp()) as is_held
         from uploader.upload u
         where u.tenant_id = {tenant} and u.owner_id = {owner}
           and u.kind <> 'partial'"
    );
    db.page(list, cursor, descending(["created_at", "id"])).await
}

/// Removes all traces of an upload; see `uploader.forget`.
pub fn forget(id: UploadId, at: Time) -> Write {
    sql!("select uploader.forget({tenant}, {id}, {at})")
        .on_conflict_refuse("upload_held", crate::domain::UploadHeld)
}

/// An upload somewhere.
#[derive(Debug, Deserialize)]
pub struct Place {
    pub tenant_id: TenantId,
    pub id: UploadId,
}

/// Uploads whose bytes are here and nobody decides about; and final ones that nobody joins.
pub async fn unsettled(db: &Db, most: i64) -> Result<Vec<Place>> {
    let all = sql!(
        "select u.tenant_id, u.id from uploader.upload u
         where (u.state = 'received' or (u.kind = 'final' and u.state = 'receiving'))
           and (u.holder is null or u.held_until < clock_timestamp())
         order by u.updated_at limit {most}"
    );
    db.all(all.across_tenants()).await
}

/// Uploads that were not finished in time, and refusals that were shown long enough.
pub async fn expired(db: &Db, now: Time, most: i64) -> Result<Vec<Place>> {
    let all = sql!(
        "select u.tenant_id, u.id from uploader.upload u
         where u.expires_at < {now} and u.state <> 'completed'
           and (u.holder is null or u.held_until < clock_timestamp())
         order by u.expires_at limit {most}"
    );
    db.all(all.across_tenants()).await
}

/// Partial uploads that no final one has taken.
pub async fn unused(db: &Db, before: Time, most: i64) -> Result<Vec<Place>> {
    let partial = Kind::Partial;
    let all = sql!(
        "select u.tenant_id, u.id from uploader.upload u
         where u.kind = {partial} and u.completed_at < {before} limit {most}"
    );
    db.all(all.across_tenants()).await
}

pub async fn of_owner(db: &Db, owner: Uuid, most: i64) -> Result<Vec<Place>> {
    db.all(sql!(
        "select u.tenant_id, u.id from uploader.upload u
         where u.tenant_id = {tenant} and u.owner_id = {owner} limit {most}"
    ))
    .await
}
