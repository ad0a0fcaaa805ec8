//! Posters in other sizes.

use crate::links::Size;
use media_contract::AssetId;
use nexus_sdk::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// With the workers.
    Running,
    Ready,
    Failed,
}

impl ToParam for State {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// A picture in one size.
#[derive(Debug, Deserialize)]
pub struct Image {
    pub id: Uuid,
    pub key: String,
    pub state: State,
    pub used_at: Time,
}

pub async fn find(db: &Db, source: &str, s: &Size) -> Result<Option<Image>> {
    let one = sql!(
        "select id, key, state, used_at from thumbnailer.image
         where tenant_id = {tenant} and source_key = {source} and width = {s.width}
           and height = {s.height} and fit = {s.fit}"
    );
    db.optional(one).await
}

/// Violates `image_size` when there is one of this size.
pub fn insert(i: &Image, asset: AssetId, source: &str, s: &Size, now: Time) -> Write {
    sql!(
        "insert into thumbnailer.image (tenant_id, id, asset_id, source_key, width, height, fit,
           key, state, created_at, used_at)
         values ({tenant}, {i.id}, {asset}, {source}, {s.width}, {s.height}, {s.fit}, {i.key},
           {i.state}, {now}, {now})"
    )
}

pub fn end(id: Uuid, state: State) -> Write {
    sql!(
        "update thumbnailer.image set state = {state}
         where tenant_id = {tenant} and id = {id} and state = 'running'"
    )
}

pub fn used(id: Uuid, now: Time) -> Write {
    sql!("update thumbnailer.image set used_at = {now} where tenant_id = {tenant} and id = {id}")
}

pub fn forget(id: Uuid) -> Write {
    sql!("delete from thumbnailer.image where tenant_id = {tenant} and id = {id}")
}

pub async fn keys_of(db: &Db, asset: AssetId) -> Result<Vec<String>> {
    let keys = sql!(
        "select key from thumbnailer.image
         where tenant_id = {tenant} and asset_id = {asset} limit 1000"
    );
    db.all(keys).await
}

pub fn forget_of(asset: AssetId) -> Write {
    sql!("delete from thumbnailer.image where tenant_id = {tenant} and asset_id = {asset}")
}

/// A picture of any tenant that is not wanted any more.
#[derive(Debug, Deserialize)]
pub struct Unused {
    pub id: AssetId,
    pub key: String,
}

pub async fn unused(db: &Db, before: Time) -> Result<Vec<Unused>> {
    let some = sql!(
        "select id, key from thumbnailer.image where used_at < {before} order by used_at limit 500"
    );
    db.all(some.across_tenants()).await
}

pub fn forget_all(ids: Vec<AssetId>) -> Write {
    sql!("delete from thumbnailer.image where id = any ({ids}::text[]::uuid[])").across_tenants()
}
