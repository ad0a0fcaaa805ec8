//! Pictures of assets.

use crate::items::Item;
use media_contract::AssetId;
use nexus_sdk::prelude::*;

pub async fn find(db: &Db, asset: AssetId, owner: Option<Uuid>) -> Result<Item> {
    let one = sql!(
        "select * from thumbnailer.item
         where tenant_id = {tenant} and asset_id = {asset}
           and ({owner}::uuid is null or owner_id = {owner})"
    );
    db.one(one).await
}

/// The object of the poster that stands for an asset.
pub async fn poster_key(db: &Db, asset: AssetId) -> Result<String> {
    let key = sql!(
        "select coalesce(posters -> poster, posters -> 0) ->> 'key' from thumbnailer.item
         where tenant_id = {tenant} and asset_id = {asset} and jsonb_array_length(posters) > 0"
    );
    db.one(key).await
}

/// A later run has taken others; which of them stands for the asset is chosen again.
pub fn put(i: &Item, owner: Uuid) -> Write {
    let (posters, sprites) = (Json(&i.posters), Json(&i.sprites));
    sql!(
        "insert into thumbnailer.item (tenant_id, asset_id, owner_id, package_id, duration_ms,
           posters, poster, sprites, interval_ms, tile_width, tile_height, tile_columns,
           updated_at)
         values ({tenant}, {i.asset_id}, {owner}, {i.package_id}, {i.duration_ms}, {posters},
           {i.poster}, {sprites}, {i.interval_ms}, {i.tile_width}, {i.tile_height},
           {i.tile_columns}, {i.updated_at})
         on conflict (tenant_id, asset_id) do update set package_id = excluded.package_id,
           duration_ms = excluded.duration_ms, posters = excluded.posters,
           poster = excluded.poster, sprites = excluded.sprites,
           interval_ms = excluded.interval_ms, tile_width = excluded.tile_width,
           tile_height = excluded.tile_height, tile_columns = excluded.tile_columns,
           updated_at = excluded.updated_at"
    )
}

pub fn choose(asset: AssetId, poster: i32, now: Time) -> Write {
    sql!(
        "update thumbnailer.item set poster = {poster}, updated_at = {now}
         where tenant_id = {tenant} and asset_id = {asset}
           and jsonb_array_length(posters) > {poster}"
    )
    .expect_rows(1)
}

pub fn forget(asset: AssetId) -> Write {
    sql!("delete from thumbnailer.item where tenant_id = {tenant} and asset_id = {asset}")
}
