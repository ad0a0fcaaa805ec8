//! All SQL, on this service's own schema: one statement per function.

use media_contract::step::Lane as LaneName;
use media_contract::{AssetId, PackageId};
use nexus_sdk::prelude::*;

/// A package, as far as others have told of it.
#[derive(Debug, Deserialize)]
pub struct Known {
    pub asset_id: AssetId,
    pub is_complete: bool,
}

/// A lane whose tracks are there.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Lane {
    /// `fast` or `ladder`.
    pub name: String,
    /// Why playlists cannot be made of it.
    pub fault: Option<String>,
    pub told_at: Time,
}

pub async fn find(db: &Db, id: PackageId, owner: Option<Uuid>) -> Result<Known> {
    let one = sql!(
        "select asset_id, is_complete from manifest_builder.package
         where tenant_id = {tenant} and id = {id}
           and ({owner}::uuid is null or owner_id = {owner})"
    );
    db.one(one).await
}

pub async fn is_complete(db: &Db, id: PackageId) -> Result<bool> {
    let complete = sql!(
        "select exists (select from manifest_builder.package
         where tenant_id = {tenant} and id = {id} and is_complete)"
    );
    db.one(complete).await
}

pub async fn lanes(db: &Db, package: PackageId) -> Result<Vec<Lane>> {
    let all = sql!(
        "select name, fault, told_at from manifest_builder.lane
         where tenant_id = {tenant} and package_id = {package} order by name"
    );
    db.all(all).await
}

/// Adds what is told of a package to what is known of it, in whatever order that comes.
pub fn put_package(
    id: PackageId,
    asset: AssetId,
    owner: Option<Uuid>,
    is_complete: bool,
    now: Time,
) -> Write {
    sql!(
        "insert into manifest_builder.package as p
           (tenant_id, id, asset_id, owner_id, is_complete, created_at)
         values ({tenant}, {id}, {asset}, {owner}, {is_complete}, {now})
         on conflict (tenant_id, id) do update
           set owner_id = coalesce(p.owner_id, excluded.owner_id),
             is_complete = p.is_complete or excluded.is_complete"
    )
}

/// Violates `lane_pkey` when the lane was told before.
pub fn insert_lane(package: PackageId, lane: LaneName, fault: Option<String>, now: Time) -> Write {
    sql!(
        "insert into manifest_builder.lane (tenant_id, package_id, name, fault, told_at)
         values ({tenant}, {package}, {lane}, {fault}, {now})"
    )
}

pub fn forget_lanes(asset: AssetId) -> Write {
    sql!(
        "delete from manifest_builder.lane l using manifest_builder.package p
         where l.tenant_id = {tenant} and p.tenant_id = {tenant} and p.asset_id = {asset}
           and l.package_id = p.id"
    )
}

pub fn forget_packages(asset: AssetId) -> Write {
    sql!("delete from manifest_builder.package where tenant_id = {tenant} and asset_id = {asset}")
}
