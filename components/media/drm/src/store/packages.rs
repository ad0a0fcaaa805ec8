//! Protected packages and their keys.

use crate::domain::{Class, Package, State};
use media_contract::{AssetId, PackageId};
use nexus_sdk::prelude::*;

/// A key as it is kept.
#[derive(Debug, Clone, Deserialize)]
pub struct Key {
    pub class: Class,
    pub key_id: Uuid,
    /// As kms has wrapped it.
    pub wrapped: String,
}

pub async fn find(db: &Db, id: PackageId) -> Result<Option<Package>> {
    let one = sql!("select * from drm.package where tenant_id = {tenant} and id = {id}");
    db.optional(one).await
}

/// One of an asset of `owner`; of anybody's, where there is none.
pub async fn of(db: &Db, id: PackageId, owner: Option<Uuid>) -> Result<Package> {
    let one = sql!(
        "select p.* from drm.package p
           join drm.asset a on a.tenant_id = p.tenant_id and a.id = p.asset_id
         where p.tenant_id = {tenant} and p.id = {id} and not a.is_deleted
           and ({owner}::uuid is null or a.owner_id = {owner})"
    );
    db.one(one).await
}

pub async fn list(
    db: &Db,
    asset: Option<AssetId>,
    owner: Option<Uuid>,
    cursor: &Cursor,
) -> Result<Page<Package>> {
    let all = sql!(
        "select p.* from drm.package p
           join drm.asset a on a.tenant_id = p.tenant_id and a.id = p.asset_id
         where p.tenant_id = {tenant} and not a.is_deleted
           and ({owner}::uuid is null or a.owner_id = {owner})
           and ({asset}::uuid is null or p.asset_id = {asset})"
    );
    db.page(all, cursor, descending(["id"])).await
}

/// The newest package of an asset that was not retired.
pub async fn newest(db: &Db, asset: AssetId) -> Result<Option<Package>> {
    let one = sql!(
        "select * from drm.package
         where tenant_id = {tenant} and asset_id = {asset} and retired_at is null
         order by id desc limit 1"
    );
    db.optional(one).await
}

pub fn insert(p: &Package) -> Write {
    sql!(
        "insert into drm.package
           (tenant_id, id, asset_id, clear_id, scheme, state, created_at, changed_at)
         values ({tenant}, {p.id}, {p.asset_id}, {p.clear_id}, {p.scheme}, {p.state},
           {p.created_at}, {p.changed_at})"
    )
}

pub fn becomes(id: PackageId, state: State, failure: Option<&str>, now: Time) -> Write {
    sql!(
        "update drm.package set state = {state}, failure = {failure}, changed_at = {now}
         where tenant_id = {tenant} and id = {id}"
    )
    .expect_rows(1)
}

/// No new player gets a package of an asset but `kept` and newer ones.
pub fn retire_before(asset: AssetId, kept: PackageId, now: Time) -> Write {
    sql!(
        "update drm.package set retired_at = {now}
         where tenant_id = {tenant} and asset_id = {asset} and retired_at is null
           and id < {kept}"
    )
}

pub fn retire_all(asset: AssetId, now: Time) -> Write {
    sql!(
        "update drm.package set retired_at = {now}
         where tenant_id = {tenant} and asset_id = {asset} and retired_at is null"
    )
}

/// No player gets keys of any package of an asset from now on.
pub fn withdraw_all(asset: AssetId, now: Time) -> Write {
    sql!(
        "update drm.package set retired_at = coalesce(retired_at, {now}),
           withdrawn_at = coalesce(withdrawn_at, {now})
         where tenant_id = {tenant} and asset_id = {asset}"
    )
}

pub fn withdraw(id: PackageId, now: Time) -> Write {
    sql!(
        "update drm.package set retired_at = coalesce(retired_at, {now}), withdrawn_at = {now}
         where tenant_id = {tenant} and id = {id} and withdrawn_at is null"
    )
    .expect_rows(1)
}

pub async fn keys(db: &Db, package: PackageId) -> Result<Vec<Key>> {
    let all = sql!(
        "select class, key_id, wrapped from drm.key
         where tenant_id = {tenant} and package_id = {package} order by key_id"
    );
    db.all(all).await
}

pub fn insert_key(package: PackageId, k: &Key) -> Write {
    sql!(
        "insert into drm.key (tenant_id, package_id, class, key_id, wrapped)
         values ({tenant}, {package}, {k.class}, {k.key_id}, {k.wrapped})"
    )
}

/// A package of any tenant.
#[derive(Debug, Deserialize)]
pub struct Anywhere {
    pub tenant_id: TenantId,
    pub id: PackageId,
    pub asset_id: AssetId,
    /// When it was retired; else when it was made.
    pub since: Time,
}

/// Packages whose objects are to go: of assets that were deleted, or of keys that were withdrawn,
/// before `withdrawn`; and such in whose place another came before `replaced`.
pub async fn retired(db: &Db, withdrawn: Time, replaced: Time) -> Result<Vec<Anywhere>> {
    let some = sql!(
        "select p.tenant_id, p.id, p.asset_id, p.retired_at as since from drm.package p
           join drm.asset a on a.tenant_id = p.tenant_id and a.id = p.asset_id
         where p.retired_at < case when a.is_deleted or p.withdrawn_at is not null
             then {withdrawn}::timestamptz else {replaced}::timestamptz end
         order by p.retired_at limit 100"
    );
    db.all(some.across_tenants()).await
}

/// Packages whose keys are older than their asset's policy wants, and which no newer one follows.
pub async fn worn(db: &Db, now: Time) -> Result<Vec<Anywhere>> {
    let some = sql!(
        "select p.tenant_id, p.id, p.asset_id, p.created_at as since from drm.package p
           join drm.asset a on a.tenant_id = p.tenant_id and a.id = p.asset_id
         where p.retired_at is null and p.state = 'complete' and not a.is_deleted
           and a.clear_id = p.clear_id
           and p.created_at < {now}::timestamptz - make_interval(days => a.rotate_days)
           and not exists (select from drm.package n where n.tenant_id = p.tenant_id
             and n.asset_id = p.asset_id and n.id > p.id and n.retired_at is null)
         order by p.created_at limit 100"
    );
    db.all(some.across_tenants()).await
}

/// Forgets a package, and with it its keys for good.
pub fn forget(id: PackageId) -> [Write; 4] {
    [
        sql!("delete from drm.part where tenant_id = {tenant} and package_id = {id}"),
        sql!("delete from drm.track where tenant_id = {tenant} and package_id = {id}"),
        sql!("delete from drm.key where tenant_id = {tenant} and package_id = {id}"),
        sql!("delete from drm.package where tenant_id = {tenant} and id = {id}"),
    ]
}
