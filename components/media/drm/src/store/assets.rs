//! Assets and the tenant's default.

use crate::domain::Asset;
use media_contract::AssetId;
use media_contract::drm::Protection;
use nexus_sdk::prelude::*;

/// What holds where nothing else was decided.
pub async fn default_protection(db: &Db) -> Result<Protection> {
    let one = sql!("select protection from drm.default_protection where tenant_id = {tenant}");
    Ok(db.optional(one).await?.unwrap_or_default())
}

pub fn put_default(protection: Protection, now: Time) -> Write {
    sql!(
        "insert into drm.default_protection (tenant_id, protection, decided_at)
         values ({tenant}, {protection}, {now})
         on conflict (tenant_id) do update set protection = excluded.protection,
           decided_at = excluded.decided_at"
    )
}

pub async fn find(db: &Db, id: AssetId) -> Result<Option<Asset>> {
    let one = sql!("select * from drm.asset where tenant_id = {tenant} and id = {id}");
    db.optional(one).await
}

/// One that somebody may decide about: its owner, or whoever may decide about all (`None`).
pub async fn of(db: &Db, id: AssetId, owner: Option<Uuid>) -> Result<Asset> {
    let one = sql!(
        "select * from drm.asset where tenant_id = {tenant} and id = {id} and not is_deleted
           and owner_id is not null and ({owner}::uuid is null or owner_id = {owner})"
    );
    db.one(one).await
}

/// Writes what it has become; 409 when it has changed since it was read.
pub fn save(a: &Asset) -> Write {
    let tracks = Json(&a.tracks.0);
    sql!(
        "insert into drm.asset as a (tenant_id, id, owner_id, protection, rotate_days, clear_id,
           tracks, is_complete, is_deleted, version)
         values ({tenant}, {a.id}, {a.owner_id}, {a.protection}, {a.rotate_days}, {a.clear_id},
           {tracks}, {a.is_complete}, {a.is_deleted}, 1)
         on conflict (tenant_id, id) do update set owner_id = excluded.owner_id,
           protection = excluded.protection, rotate_days = excluded.rotate_days,
           clear_id = excluded.clear_id, tracks = excluded.tracks,
           is_complete = excluded.is_complete, is_deleted = excluded.is_deleted,
           version = a.version + 1
         where a.version = {a.version}"
    )
    .expect_rows(1)
}

/// An asset of any tenant.
#[derive(Debug, Deserialize)]
pub struct Anywhere {
    pub tenant_id: TenantId,
    pub id: AssetId,
}

/// Assets for which a package is to be made and none is, or none is to be and one is there: their
/// tenant's default has changed, or a word about them was lost.
pub async fn astray(db: &Db) -> Result<Vec<Anywhere>> {
    let some = sql!(
        "select a.tenant_id, a.id from drm.asset a
           left join drm.default_protection d on d.tenant_id = a.tenant_id
         where not a.is_deleted and a.clear_id is not null
           and (coalesce(a.protection, d.protection, 'none') = 'none') = exists (
             select from drm.package p where p.tenant_id = a.tenant_id and p.asset_id = a.id
               and p.retired_at is null)
         order by a.id limit 100"
    );
    db.all(some.across_tenants()).await
}
