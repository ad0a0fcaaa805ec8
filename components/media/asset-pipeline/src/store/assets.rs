//! Assets.

use crate::domain::AssetState;
use media_contract::facts::Facts;
use media_contract::{AssetId, Object, PackageId, Reason, RunId, UploadId};
use nexus_sdk::prelude::*;

/// An asset as its row stands.
#[derive(Debug, Clone, Deserialize)]
pub struct Asset {
    pub id: AssetId,
    pub owner_id: Uuid,
    pub upload_id: UploadId,
    pub title: String,
    pub file_name: String,
    pub source: Object,
    pub bytes: i64,
    pub sha256: String,
    pub media_type: String,
    pub state: AssetState,
    pub run_id: RunId,
    pub package_id: Option<PackageId>,
    pub duration_ms: i64,
    pub facts: Option<Facts>,
    pub is_degraded: bool,
    pub failure_code: Option<String>,
    pub failure_detail: Option<String>,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub playable_at: Option<Time>,
    pub ready_at: Option<Time>,
}

impl Asset {
    pub fn fail(&mut self, reason: &Reason) {
        self.state = AssetState::Failed;
        self.failure_code = Some(reason.code.clone());
        self.failure_detail = Some(reason.detail.clone());
    }

    pub fn is_failed_no_more(&mut self) {
        self.failure_code = None;
        self.failure_detail = None;
    }
}

/// Newest first; whose are deleted are not shown. Filters that are absent fit all.
pub async fn list(
    db: &Db,
    owner: Option<Uuid>,
    state: Option<AssetState>,
    cursor: &Cursor,
) -> Result<Page<Asset>> {
    let all = sql!(
        "select * from asset_pipeline.asset
         where tenant_id = {tenant} and state <> 'deleted'
           and ({owner}::uuid is null or owner_id = {owner})
           and ({state}::text is null or state = {state})"
    );
    db.page(all, cursor, descending(["id"])).await
}

pub async fn find(db: &Db, id: AssetId, owner: Option<Uuid>) -> Result<Asset> {
    let one = sql!(
        "select * from asset_pipeline.asset
         where tenant_id = {tenant} and id = {id} and state <> 'deleted'
           and ({owner}::uuid is null or owner_id = {owner})"
    );
    db.one(one).await
}

/// The asset that a run is of, whatever became of it.
pub async fn of_run(db: &Db, run: RunId) -> Result<Option<Asset>> {
    let one = sql!(
        "select * from asset_pipeline.asset where tenant_id = {tenant} and id = (
           select asset_id from asset_pipeline.run where tenant_id = {tenant} and id = {run})"
    );
    db.optional(one).await
}

pub async fn of_upload(db: &Db, upload: UploadId) -> Result<Option<Asset>> {
    let one = sql!(
        "select * from asset_pipeline.asset
         where tenant_id = {tenant} and upload_id = {upload}"
    );
    db.optional(one).await
}

/// Assets of somebody that are not deleted, a bounded number.
pub async fn of_owner(db: &Db, owner: Uuid) -> Result<Vec<AssetId>> {
    let some = sql!(
        "select id from asset_pipeline.asset
         where tenant_id = {tenant} and owner_id = {owner} and state <> 'deleted'
         order by id limit 100"
    );
    db.all(some).await
}

/// Violates `asset_upload` when the upload is an asset already.
pub fn insert(a: &Asset) -> Write {
    let source = Json(&a.source);
    sql!(
        "insert into asset_pipeline.asset (tenant_id, id, owner_id, upload_id, title, file_name,
           source, bytes, sha256, media_type, state, run_id, created_at, updated_at)
         values ({tenant}, {a.id}, {a.owner_id}, {a.upload_id}, {a.title}, {a.file_name}, {source},
           {a.bytes}, {a.sha256}, {a.media_type}, {a.state}, {a.run_id}, {a.created_at},
           {a.created_at})"
    )
}

/// Writes what work has made of it; 409 when it has changed since it was read.
pub fn save(a: &Asset, now: Time) -> Write {
    let facts = a.facts.as_ref().map(Json);
    sql!(
        "update asset_pipeline.asset set state = {a.state}, run_id = {a.run_id},
           package_id = {a.package_id}, duration_ms = {a.duration_ms}, facts = {facts},
           is_degraded = {a.is_degraded}, failure_code = {a.failure_code},
           failure_detail = {a.failure_detail}, playable_at = {a.playable_at},
           ready_at = {a.ready_at}, version = version + 1, updated_at = {now},
           deleted_at = case when {a.state} = 'deleted' then {now}::timestamptz end
         where tenant_id = {tenant} and id = {a.id} and version = {a.version}"
    )
    .expect_rows(1)
}

pub fn rename(id: AssetId, title: &str, now: Time) -> Write {
    sql!(
        "update asset_pipeline.asset set title = {title}, version = version + 1,
           updated_at = {now}
         where tenant_id = {tenant} and id = {id} and state <> 'deleted'"
    )
    .expect_rows(1)
}
