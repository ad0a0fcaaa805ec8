//! What a viewer sees. Which titles those are says one function of the database
//! (`content_cms.shown`), for every question alike.

use crate::card::CardRow;
use crate::content::{Credit, Cue, Kind, Localised};
use crate::viewer::Limits;
use media_contract::AssetId;
use media_contract::content_cms::{CollectionId, TitleId};
use nexus_sdk::prelude::*;
use std::collections::BTreeMap;

/// Titles without episodes, which their series stands for.
pub async fn newest(db: &Db, l: &Limits, now: Time) -> Result<Vec<CardRow>> {
    let some = sql!(
        "select * from content_cms.shown({tenant}, {l.years}, {l.territory}::text, {now})
         where kind <> 'episode' order by listed_at desc, id desc limit 24"
    );
    db.all(some).await
}

pub async fn of_genre(db: &Db, genre: &str, l: &Limits, now: Time) -> Result<Vec<CardRow>> {
    let some = sql!(
        "select * from content_cms.shown({tenant}, {l.years}, {l.territory}::text, {now})
         where kind <> 'episode' and {genre} = any(genres)
         order by listed_at desc, id desc limit 24"
    );
    db.all(some).await
}

/// A genre and how many titles of it a viewer finds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Genre {
    pub genre: String,
    pub titles: i64,
}

pub async fn genres(db: &Db, l: &Limits, now: Time) -> Result<Vec<Genre>> {
    let some = sql!(
        "select genre, count(*) as titles
         from content_cms.shown({tenant}, {l.years}, {l.territory}::text, {now}),
           unnest(genres) genre
         where kind <> 'episode' group by genre order by count(*) desc, genre limit 200"
    );
    db.all(some).await
}

/// All collections that a page of rows shows which nobody has arranged.
pub async fn collections(db: &Db) -> Result<Vec<CollectionId>> {
    let some = sql!(
        "select id from content_cms.collection where tenant_id = {tenant} order by id limit 30"
    );
    db.all(some).await
}

/// A title in a collection.
#[derive(Debug)]
pub struct Entry {
    pub collection: CollectionId,
    pub collection_name: String,
    pub collection_localisations: BTreeMap<String, Localised>,
    pub card: CardRow,
}

#[derive(Deserialize)]
struct EntryRow {
    collection: CollectionId,
    collection_name: String,
    collection_localisations: BTreeMap<String, Localised>,
    card: Json<CardRow>,
}

/// In the order of each collection, at most 40 of each.
pub async fn entries(db: &Db, of: &Vec<CollectionId>, l: &Limits, now: Time) -> Result<Vec<Entry>> {
    let some = sql!(
        "select c.id as collection, c.name as collection_name,
           c.localisations as collection_localisations, to_jsonb(shown.*) as card
         from content_cms.collection c
           join lateral (
             select s.*, e.position
             from content_cms.entry e
               join content_cms.shown({tenant}, {l.years}, {l.territory}::text, {now}) s
                 on s.id = e.title_id
             where e.tenant_id = c.tenant_id and e.collection_id = c.id
             order by e.position limit 40
           ) shown on true
         where c.tenant_id = {tenant} and c.id = any({of}::text[]::uuid[])
         order by c.id, shown.position"
    );
    let rows: Vec<EntryRow> = db.all(some).await?;
    let entry = |row: EntryRow| Entry {
        collection: row.collection,
        collection_name: row.collection_name,
        collection_localisations: row.collection_localisations,
        card: row.card.0,
    };
    Ok(rows.into_iter().map(entry).collect())
}

/// What is absent fits all.
#[derive(Debug)]
pub struct Search {
    pub kind: Option<Kind>,
    pub genre: Option<String>,
    /// As `like` takes them.
    pub patterns: Vec<String>,
    pub assets: Option<Vec<AssetId>>,
}

pub async fn search(
    db: &Db,
    s: &Search,
    l: &Limits,
    now: Time,
    cursor: &Cursor,
) -> Result<Page<CardRow>> {
    let all = sql!(
        "select * from content_cms.shown({tenant}, {l.years}, {l.territory}::text, {now})
         where ({s.kind}::text is null or kind = {s.kind})
           and (kind <> 'episode' or {s.kind}::text is not null or {s.assets}::text[] is not null)
           and ({s.assets}::text[] is null or asset = any({s.assets}::text[]::uuid[]))
           and ({s.genre}::text is null or {s.genre} = any(genres))
           and words like all({s.patterns}::text[])"
    );
    db.page(all, cursor, descending(["listed_at", "id"])).await
}

/// What only the page of one title shows.
#[derive(Debug, Deserialize)]
pub struct More {
    pub language: String,
    pub tags: Vec<String>,
    pub credits: Vec<Credit>,
    pub cues: Vec<Cue>,
}

#[derive(Debug)]
pub struct Found {
    pub card: CardRow,
    pub more: More,
}

#[derive(Deserialize)]
struct FoundRow {
    card: Json<CardRow>,
    language: String,
    tags: Vec<String>,
    credits: Vec<Credit>,
    cues: Vec<Cue>,
}

/// By its id or its slug.
pub async fn find(
    db: &Db,
    id: Option<TitleId>,
    slug: Option<&str>,
    l: &Limits,
    now: Time,
) -> Result<Found> {
    let one = sql!(
        "select to_jsonb(s.*) as card, t.language, t.tags, t.credits, t.cues
         from content_cms.shown({tenant}, {l.years}, {l.territory}::text, {now}) s
           join content_cms.title t on t.tenant_id = {tenant} and t.id = s.id
         where s.id = {id}::uuid or s.slug = {slug}::text"
    );
    let row: FoundRow = db.one(one).await?;
    let FoundRow { card, language, tags, credits, cues } = row;
    Ok(Found { card: card.0, more: More { language, tags, credits, cues } })
}

pub async fn episodes(db: &Db, series: TitleId, l: &Limits, now: Time) -> Result<Vec<CardRow>> {
    let some = sql!(
        "select * from content_cms.shown({tenant}, {l.years}, {l.territory}::text, {now})
         where series = {series} order by season, number limit 1000"
    );
    db.all(some).await
}
