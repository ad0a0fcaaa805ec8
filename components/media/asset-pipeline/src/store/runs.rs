//! Runs and the packages that they make.

use crate::domain::RunState;
use media_contract::{AssetId, PackageId, RunId};
use nexus_sdk::prelude::*;

/// One processing of an asset.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    pub id: RunId,
    pub asset_id: AssetId,
    /// What it makes.
    pub package_id: PackageId,
    /// 1 for an asset's first.
    pub number: i32,
    pub state: RunState,
    /// Among the work of all assets, higher first.
    pub priority: i16,
    pub created_at: Time,
    pub finished_at: Option<Time>,
    /// From when on nobody plays its package any more.
    pub retired_at: Option<Time>,
}

pub async fn find(db: &Db, id: RunId) -> Result<Option<Run>> {
    let one = sql!("select * from asset_pipeline.run where tenant_id = {tenant} and id = {id}");
    db.optional(one).await
}

/// Newest first: few, since each of them was asked for by a person.
pub async fn of_asset(db: &Db, asset: AssetId) -> Result<Vec<Run>> {
    let all = sql!(
        "select * from asset_pipeline.run where tenant_id = {tenant} and asset_id = {asset}
         order by number desc limit 200"
    );
    db.all(all).await
}

/// Violates `run_number` when somebody else has just begun another.
pub fn insert(r: &Run) -> Write {
    sql!(
        "insert into asset_pipeline.run
           (tenant_id, id, asset_id, package_id, number, state, priority, created_at)
         values ({tenant}, {r.id}, {r.asset_id}, {r.package_id}, {r.number}, {r.state},
           {r.priority}, {r.created_at})"
    )
}

pub fn save(id: RunId, state: RunState, finished_at: Option<Time>) -> Write {
    sql!(
        "update asset_pipeline.run set state = {state}, finished_at = {finished_at}
         where tenant_id = {tenant} and id = {id}"
    )
}

/// All packages of an asset but one are played by nobody any more.
pub fn retire_others(asset: AssetId, kept: Option<PackageId>, now: Time) -> Write {
    sql!(
        "update asset_pipeline.run set retired_at = {now}
         where tenant_id = {tenant} and asset_id = {asset} and retired_at is null
           and ({kept}::uuid is null or package_id <> {kept})"
    )
}

/// A package whose objects are to go.
#[derive(Debug, Deserialize)]
pub struct Retired {
    pub tenant_id: TenantId,
    pub id: RunId,
    pub package_id: PackageId,
    pub retired_at: Time,
}

/// Packages of assets that were deleted before `deleted`, and such in whose place another came
/// before `replaced`.
pub async fn retired(db: &Db, deleted: Time, replaced: Time) -> Result<Vec<Retired>> {
    let some = sql!(
        "select r.tenant_id, r.id, r.package_id, r.retired_at
         from asset_pipeline.run r
           join asset_pipeline.asset a on a.tenant_id = r.tenant_id and a.id = r.asset_id
         where r.collected_at is null
           and r.retired_at < case when a.state = 'deleted' then {deleted}::timestamptz
             else {replaced}::timestamptz end
         order by r.retired_at limit 100"
    );
    db.all(some.across_tenants()).await
}

pub fn collected(id: RunId, now: Time) -> Write {
    sql!(
        "update asset_pipeline.run set collected_at = {now}
         where tenant_id = {tenant} and id = {id}"
    )
}
