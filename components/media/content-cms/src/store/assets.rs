//! Assets, as far as titles must know them.

use media_contract::{AssetId, PackageId};
use nexus_sdk::prelude::*;

#[derive(Debug, Clone, Deserialize)]
pub struct Asset {
    pub id: AssetId,
    pub owner_id: Option<Uuid>,
    pub is_playable: bool,
    pub is_deleted: bool,
    /// When it was last said who may play it.
    pub decided_at: Option<Time>,
    pub version: i64,
}

pub async fn find(db: &Db, id: AssetId) -> Result<Option<Asset>> {
    let one = sql!(
        "select id, owner_id, is_playable, is_deleted, decided_at, version
         from content_cms.asset where tenant_id = {tenant} and id = {id}"
    );
    db.optional(one).await
}

pub fn know(id: AssetId, owner: Uuid) -> Write {
    sql!(
        "insert into content_cms.asset (tenant_id, id, owner_id) values ({tenant}, {id}, {owner})
         on conflict (tenant_id, id) do update set owner_id = excluded.owner_id"
    )
}

/// Of two packages the newer one counts, in whatever order they are told.
pub fn playable((id, owner, package): (AssetId, Uuid, PackageId), duration_ms: i64) -> Write {
    sql!(
        "insert into content_cms.asset as a
           (tenant_id, id, owner_id, is_playable, package_id, duration_ms)
         values ({tenant}, {id}, {owner}, true, {package}, {duration_ms})
         on conflict (tenant_id, id) do update set owner_id = excluded.owner_id,
           is_playable = true, package_id = excluded.package_id,
           duration_ms = excluded.duration_ms
         where a.package_id is null or a.package_id <= excluded.package_id"
    )
}

/// Remembered, since what was told before may be heard after; whoever is about to show it looks
/// again.
pub fn delete(id: AssetId, owner: Uuid) -> Write {
    sql!(
        "insert into content_cms.asset as a (tenant_id, id, owner_id, is_deleted)
         values ({tenant}, {id}, {owner}, true)
         on conflict (tenant_id, id) do update set is_deleted = true, poster = null,
           backdrop = null, version = a.version + 1"
    )
}

pub fn put_pictures(id: AssetId, poster: Option<&str>, backdrop: Option<&str>) -> Write {
    sql!(
        "insert into content_cms.asset (tenant_id, id, poster, backdrop)
         values ({tenant}, {id}, {poster}, {backdrop})
         on conflict (tenant_id, id) do update set poster = excluded.poster,
           backdrop = excluded.backdrop"
    )
}

/// Who may play it was decided; refused when somebody else has just decided.
pub fn decide(a: &Asset, at: Time) -> Write {
    sql!(
        "update content_cms.asset set decided_at = {at}, version = version + 1
         where tenant_id = {tenant} and id = {a.id} and version = {a.version}"
    )
    .expect_rows(1)
}
