//! Titles.

use crate::content::{Content, Kind};
use crate::workflow::State;
use media_contract::AssetId;
use media_contract::content_cms::TitleId;
use nexus_sdk::prelude::*;

/// A title as its row stands, with what is known of its asset.
#[derive(Debug, Clone, Deserialize)]
pub struct Title {
    pub id: TitleId,
    pub kind: Kind,
    pub owner: Uuid,
    #[serde(flatten)]
    pub content: Content,
    pub state: State,
    pub publish_at: Option<Time>,
    pub unpublish_at: Option<Time>,
    /// Viewers see it.
    pub is_live: bool,
    pub listed_at: Option<Time>,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub is_playable: bool,
    pub duration_ms: i64,
    /// The asset's own pictures.
    pub poster: Option<String>,
    pub backdrop: Option<String>,
}

/// Of one's own, or of everybody's; what is absent fits all.
#[derive(Debug)]
pub struct Search {
    pub owner: Option<Uuid>,
    pub state: Option<State>,
    pub kind: Option<Kind>,
    pub asset: Option<AssetId>,
    pub series: Option<TitleId>,
    /// As `like` takes them.
    pub patterns: Vec<String>,
}

pub async fn list(db: &Db, s: &Search, cursor: &Cursor) -> Result<Page<Title>> {
    let all = sql!(
        "select * from content_cms.known
         where tenant_id = {tenant}
           and ({s.owner}::uuid is null or owner_id = {s.owner})
           and ({s.state}::text is null or state = {s.state})
           and ({s.kind}::text is null or kind = {s.kind})
           and ({s.asset}::uuid is null or asset_id = {s.asset})
           and ({s.series}::uuid is null or series_id = {s.series})
           and words like all({s.patterns}::text[])"
    );
    db.page(all, cursor, descending(["id"])).await
}

pub async fn find(db: &Db, id: TitleId, owner: Option<Uuid>) -> Result<Title> {
    let one = sql!(
        "select * from content_cms.known
         where tenant_id = {tenant} and id = {id}
           and ({owner}::uuid is null or owner_id = {owner})"
    );
    db.one(one).await
}

pub async fn find_if_any(db: &Db, id: TitleId) -> Result<Option<Title>> {
    let one = sql!("select * from content_cms.known where tenant_id = {tenant} and id = {id}");
    db.optional(one).await
}

/// What an episode must know of its series.
#[derive(Debug, Deserialize)]
pub struct Series {
    pub owner: Uuid,
    pub is_live: bool,
}

pub async fn series(db: &Db, id: TitleId) -> Result<Option<Series>> {
    let one = sql!(
        "select owner_id as owner, is_live from content_cms.title
         where tenant_id = {tenant} and id = {id} and kind = 'series'"
    );
    db.optional(one).await
}

/// A bounded number: as many as one look at a series shows.
pub async fn episodes(db: &Db, series: TitleId, season: Option<i32>) -> Result<Vec<Title>> {
    let some = sql!(
        "select * from content_cms.known
         where tenant_id = {tenant} and series_id = {series}
           and ({season}::int is null or season = {season})
         order by season, number limit 1000"
    );
    db.all(some).await
}

pub async fn published_episodes(db: &Db, series: TitleId) -> Result<Vec<TitleId>> {
    let some = sql!(
        "select id from content_cms.title
         where tenant_id = {tenant} and series_id = {series} and state = 'published'
         order by season, number limit 1000"
    );
    db.all(some).await
}

pub async fn next_number(db: &Db, series: TitleId, season: i32) -> Result<i32> {
    let one = sql!(
        "select coalesce(max(number), 0) + 1 from content_cms.title
         where tenant_id = {tenant} and series_id = {series} and season = {season}"
    );
    db.one(one).await
}

pub async fn has_episodes(db: &Db, id: TitleId) -> Result<bool> {
    let one = sql!(
        "select exists (select from content_cms.title
           where tenant_id = {tenant} and series_id = {id})"
    );
    db.one(one).await
}

/// Slugs that begin so, few enough to find one that is free.
pub async fn slugs_like(db: &Db, slug: &str) -> Result<Vec<String>> {
    // A slug has no character that `like` knows.
    let pattern = format!("{}%", slug.chars().take(70).collect::<String>());
    let some = sql!(
        "select slug from content_cms.title
         where tenant_id = {tenant} and slug like {pattern} order by length(slug), slug limit 500"
    );
    db.all(some).await
}

/// Whether viewers may play an asset because of another title.
pub async fn is_shown_elsewhere(db: &Db, asset: AssetId, but: TitleId) -> Result<bool> {
    let one = sql!(
        "select exists (select from content_cms.title
           where tenant_id = {tenant} and asset_id = {asset} and is_live and id <> {but})"
    );
    db.one(one).await
}

/// Titles whose state hangs on an asset.
pub async fn of_asset(db: &Db, asset: AssetId) -> Result<Vec<TitleId>> {
    let some = sql!(
        "select id from content_cms.title
         where tenant_id = {tenant} and asset_id = {asset}
           and state in ('review', 'scheduled', 'published') order by id limit 1000"
    );
    db.all(some).await
}

/// Titles of somebody: episodes first, since a series goes after them.
pub async fn of_owner(db: &Db, owner: Uuid) -> Result<Vec<TitleId>> {
    let some = sql!(
        "select id from content_cms.title
         where tenant_id = {tenant} and owner_id = {owner}
         order by series_id is null, id limit 100"
    );
    db.all(some).await
}

/// A title of any tenant of which there is something to do.
#[derive(Debug, Deserialize)]
pub struct Due {
    pub tenant_id: TenantId,
    pub id: TitleId,
}

/// A bounded number, so that no look takes long; the others wait a minute.
pub async fn due(db: &Db, now: Time) -> Result<Vec<Due>> {
    let some = sql!("select tenant_id, id from content_cms.due({now}) limit 500");
    db.all(some.across_tenants()).await
}

/// Violates `title_slug` and `title_place` where another title is there already.
pub fn insert(t: &Title) -> Write {
    let (c, words) = (&t.content, t.content.words());
    let (credits, rights) = (Json(&c.credits), Json(&c.rights));
    let (localisations, artwork) = (Json(&c.localisations), Json(&c.artwork));
    let cues = Json(&c.cues);
    sql!(
        "insert into content_cms.title (tenant_id, id, kind, owner_id, slug, name, synopsis,
           tagline, year, language, maturity, genres, tags, credits, asset_id, series_id, season,
           number, state, rights, localisations, artwork, cues, words, created_at, updated_at)
         values ({tenant}, {t.id}, {t.kind}, {t.owner}, {c.slug}, {c.name}, {c.synopsis},
           {c.tagline}, {c.year}, {c.language}, {c.maturity}, {c.genres}, {c.tags}, {credits},
           {c.asset}, {c.series}, {c.season}, {c.number}, {t.state}, {rights}, {localisations},
           {artwork}, {cues}, {words}, {t.created_at}, {t.created_at})"
    )
}

/// Refused when it has changed since it was read.
pub fn save(t: &Title, now: Time) -> Write {
    let (c, words) = (&t.content, t.content.words());
    let (credits, rights) = (Json(&c.credits), Json(&c.rights));
    let (localisations, artwork) = (Json(&c.localisations), Json(&c.artwork));
    let cues = Json(&c.cues);
    sql!(
        "update content_cms.title set slug = {c.slug}, name = {c.name}, synopsis = {c.synopsis},
           tagline = {c.tagline}, year = {c.year}, language = {c.language},
           maturity = {c.maturity}, genres = {c.genres}, tags = {c.tags}, credits = {credits},
           asset_id = {c.asset}, series_id = {c.series}, season = {c.season},
           number = {c.number}, state = {t.state}, publish_at = {t.publish_at},
           unpublish_at = {t.unpublish_at}, rights = {rights}, localisations = {localisations},
           artwork = {artwork}, cues = {cues}, words = {words}, is_live = {t.is_live},
           listed_at = {t.listed_at}, version = version + 1, updated_at = {now}
         where tenant_id = {tenant} and id = {t.id} and version = {t.version}"
    )
    .expect_rows(1)
}

pub fn delete(t: &Title) -> Write {
    sql!(
        "delete from content_cms.title
         where tenant_id = {tenant} and id = {t.id} and version = {t.version}"
    )
    .expect_rows(1)
}

/// Titles that are nobody's concern yet have nothing to play any more.
pub fn lose_asset(asset: AssetId, now: Time) -> Write {
    sql!(
        "update content_cms.title set asset_id = null, version = version + 1, updated_at = {now}
         where tenant_id = {tenant} and asset_id = {asset}
           and state in ('draft', 'unpublished', 'archived')"
    )
}
