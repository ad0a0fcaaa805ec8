//! Assets and their pictures.

use crate::domain::Offered;
use media_contract::{AssetId, PackageId};
use nexus_sdk::prelude::*;

/// An asset that somebody may play.
#[derive(Debug, Deserialize)]
pub struct Playable {
    pub owner_id: Option<Uuid>,
    pub offered: Json<Offered>,
    pub duration_ms: i64,
    /// Lines of its smallest picture so far; none of sound alone.
    pub lowest: Option<i32>,
    pub poster: Option<String>,
    pub has_storyboard: bool,
}

/// Published, or of `viewer`; any, where there is no viewer.
pub async fn playable(db: &Db, id: AssetId, viewer: Option<Uuid>) -> Result<Playable> {
    let one = sql!(
        "select a.owner_id, a.duration_ms, a.lowest, p.poster,
           coalesce(p.has_storyboard, false) as has_storyboard,
           jsonb_build_object('package_id', a.package_id, 'protected_id', a.protected_id,
             'scheme', a.scheme, 'protection', coalesce(a.protection, d.protection, 'none')
           ) as offered
         from streaming.asset a
           left join streaming.default_protection d on d.tenant_id = a.tenant_id
           left join streaming.picture p
             on p.tenant_id = a.tenant_id and p.package_id = a.package_id
         where a.tenant_id = {tenant} and a.id = {id} and not a.is_deleted
           and a.owner_id is not null
           and (a.is_published or {viewer}::uuid is null or a.owner_id = {viewer})"
    );
    db.one(one).await
}

/// Of an asset of `owner`; of anybody, where there is none.
pub async fn is_published(db: &Db, id: AssetId, owner: Option<Uuid>) -> Result<bool> {
    let one = sql!(
        "select is_published from streaming.asset
         where tenant_id = {tenant} and id = {id} and not is_deleted
           and ({owner}::uuid is null or owner_id = {owner})"
    );
    db.one(one).await
}

/// Of two packages the newer one is played, in whatever order they are told. The sizes that a
/// package begins with are not always those that it ends with (`is_whole`).
pub fn put(
    (id, owner, package): (AssetId, Uuid, PackageId),
    duration_ms: i64,
    (lowest, is_whole): (Option<i32>, bool),
) -> Write {
    sql!(
        "insert into streaming.asset as a
           (tenant_id, id, owner_id, package_id, duration_ms, lowest)
         values ({tenant}, {id}, {owner}, {package}, {duration_ms}, {lowest})
         on conflict (tenant_id, id) do update set owner_id = excluded.owner_id,
           package_id = excluded.package_id, duration_ms = excluded.duration_ms,
           lowest = case when {is_whole} or a.package_id is distinct from excluded.package_id
             then excluded.lowest else a.lowest end
         where a.package_id is null or a.package_id <= excluded.package_id"
    )
}

/// Of two decisions the later one stands.
pub fn publish(id: AssetId, published: bool, at: Time) -> Write {
    sql!(
        "insert into streaming.asset as a (tenant_id, id, is_published, decided_at)
         values ({tenant}, {id}, {published}, {at})
         on conflict (tenant_id, id) do update set is_published = excluded.is_published,
           decided_at = excluded.decided_at
         where a.decided_at is null or a.decided_at <= excluded.decided_at"
    )
}

/// Remembered, since what was told before may be heard after.
pub fn delete(id: AssetId, owner: Uuid) -> Write {
    sql!(
        "insert into streaming.asset (tenant_id, id, owner_id, is_deleted)
         values ({tenant}, {id}, {owner}, true)
         on conflict (tenant_id, id) do update set is_deleted = true"
    )
}

pub fn put_pictures(
    package: PackageId,
    asset: AssetId,
    poster: Option<&str>,
    has_storyboard: bool,
) -> Write {
    sql!(
        "insert into streaming.picture (tenant_id, package_id, asset_id, poster, has_storyboard)
         values ({tenant}, {package}, {asset}, {poster}, {has_storyboard})
         on conflict (tenant_id, package_id) do update set poster = excluded.poster,
           has_storyboard = excluded.has_storyboard"
    )
}

pub fn forget_pictures(asset: AssetId) -> Write {
    sql!("delete from streaming.picture where tenant_id = {tenant} and asset_id = {asset}")
}
