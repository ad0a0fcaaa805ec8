//! Subtitles, and in which packages they lie.

use crate::subtitle::{Encoding, Format};
use media_contract::{AssetId, PackageId};
use nexus_sdk::prelude::*;

/// Subtitles of one language, without their words.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Subtitle {
    /// BCP 47.
    pub language: String,
    /// Of the WebVTT, 16 hexadecimal digits.
    pub digest: String,
    pub source_format: Format,
    pub encoding: Encoding,
    pub cues: i32,
    /// Of the WebVTT.
    pub bytes: i64,
    /// When the last words end.
    pub last_ms: i64,
    pub updated_at: Time,
}

/// What lies in a package.
#[derive(Debug, Clone, Deserialize)]
pub struct Placed {
    pub language: String,
    pub digest: String,
}

pub async fn list(db: &Db, asset: AssetId) -> Result<Vec<Subtitle>> {
    let all = sql!(
        "select language, digest, source_format, encoding, cues, bytes, last_ms, updated_at
         from asset_pipeline.subtitle
         where tenant_id = {tenant} and asset_id = {asset} order by language limit 100"
    );
    db.all(all).await
}

pub async fn text(db: &Db, asset: AssetId, language: &str) -> Result<String> {
    let one = sql!(
        "select vtt from asset_pipeline.subtitle
         where tenant_id = {tenant} and asset_id = {asset} and language = {language}"
    );
    db.one(one).await
}

/// None when it has changed since it was listed.
pub async fn text_if_any(db: &Db, asset: AssetId, s: &Subtitle) -> Result<Option<String>> {
    let one = sql!(
        "select vtt from asset_pipeline.subtitle
         where tenant_id = {tenant} and asset_id = {asset} and language = {s.language}
           and digest = {s.digest}"
    );
    db.optional(one).await
}

pub fn put(asset: AssetId, s: &Subtitle, vtt: &str) -> Write {
    sql!(
        "insert into asset_pipeline.subtitle (tenant_id, asset_id, language, digest, source_format,
           encoding, cues, bytes, last_ms, vtt, updated_at)
         values ({tenant}, {asset}, {s.language}, {s.digest}, {s.source_format}, {s.encoding},
           {s.cues}, {s.bytes}, {s.last_ms}, {vtt}, {s.updated_at})
         on conflict (tenant_id, asset_id, language) do update set digest = excluded.digest,
           source_format = excluded.source_format, encoding = excluded.encoding,
           cues = excluded.cues, bytes = excluded.bytes, last_ms = excluded.last_ms,
           vtt = excluded.vtt, updated_at = excluded.updated_at"
    )
}

pub fn remove(asset: AssetId, language: &str) -> Write {
    sql!(
        "delete from asset_pipeline.subtitle
         where tenant_id = {tenant} and asset_id = {asset} and language = {language}"
    )
    .expect_rows(1)
}

pub fn forget(asset: AssetId) -> Write {
    sql!("delete from asset_pipeline.subtitle where tenant_id = {tenant} and asset_id = {asset}")
}

/// Packages of an asset that are played or being made.
pub async fn packages(db: &Db, asset: AssetId) -> Result<Vec<PackageId>> {
    let all = sql!(
        "select r.package_id from asset_pipeline.run r
           join asset_pipeline.asset a on a.tenant_id = r.tenant_id and a.id = r.asset_id
         where r.tenant_id = {tenant} and r.asset_id = {asset} and r.retired_at is null
           and a.state <> 'deleted'
           and (r.state in ('running', 'succeeded') or r.package_id = a.package_id)
         order by r.number limit 100"
    );
    db.all(all).await
}

pub async fn placed(db: &Db, package: PackageId) -> Result<Vec<Placed>> {
    let all = sql!(
        "select language, digest from asset_pipeline.placed_text
         where tenant_id = {tenant} and package_id = {package} order by language, digest limit 200"
    );
    db.all(all).await
}

pub fn place(package: PackageId, asset: AssetId, s: &Subtitle) -> Write {
    sql!(
        "insert into asset_pipeline.placed_text
           (tenant_id, package_id, language, digest, asset_id)
         values ({tenant}, {package}, {s.language}, {s.digest}, {asset}) on conflict do nothing"
    )
}

pub fn unplace(package: PackageId, p: &Placed) -> Write {
    sql!(
        "delete from asset_pipeline.placed_text
         where tenant_id = {tenant} and package_id = {package} and language = {p.language}
           and digest = {p.digest}"
    )
}

pub fn forget_placed(package: PackageId) -> Write {
    sql!(
        "delete from asset_pipeline.placed_text
         where tenant_id = {tenant} and package_id = {package}"
    )
}

/// An asset of any tenant whose packages hold other texts than they should.
#[derive(Debug, Deserialize)]
pub struct Misplaced {
    pub tenant_id: TenantId,
    pub asset_id: AssetId,
}

pub async fn misplaced(db: &Db) -> Result<Vec<Misplaced>> {
    let some = sql!("select tenant_id, asset_id from asset_pipeline.misplaced_text limit 100");
    db.all(some.across_tenants()).await
}
