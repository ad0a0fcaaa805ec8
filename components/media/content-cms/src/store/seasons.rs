//! Seasons of series.

use media_contract::content_cms::TitleId;
use nexus_sdk::prelude::*;

/// A season, with how many episodes it has.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Season {
    pub number: i32,
    pub name: Option<String>,
    pub synopsis: String,
    pub episodes: i64,
}

pub async fn list(db: &Db, series: TitleId) -> Result<Vec<Season>> {
    let all = sql!(
        "select s.number, s.name, s.synopsis, (
           select count(*) from content_cms.title t
           where t.tenant_id = s.tenant_id and t.series_id = s.series_id and t.season = s.number
         ) as episodes
         from content_cms.season s
         where s.tenant_id = {tenant} and s.series_id = {series} order by s.number limit 1001"
    );
    db.all(all).await
}

/// It is there, as it was or without a name.
pub fn know(series: TitleId, number: i32) -> Write {
    sql!(
        "insert into content_cms.season (tenant_id, series_id, number)
         values ({tenant}, {series}, {number}) on conflict do nothing"
    )
}

pub fn put(series: TitleId, number: i32, name: Option<&str>, synopsis: &str) -> Write {
    sql!(
        "insert into content_cms.season (tenant_id, series_id, number, name, synopsis)
         values ({tenant}, {series}, {number}, {name}, {synopsis})
         on conflict (tenant_id, series_id, number) do update
           set name = excluded.name, synopsis = excluded.synopsis"
    )
}

pub fn remove(series: TitleId, number: i32) -> Write {
    sql!(
        "delete from content_cms.season
         where tenant_id = {tenant} and series_id = {series} and number = {number}"
    )
}

pub fn forget(series: TitleId) -> Write {
    sql!("delete from content_cms.season where tenant_id = {tenant} and series_id = {series}")
}
