//! What viewers find: rows of pages, titles by words, and one title with all that belongs to it.

use crate::card::{self, Card, CardRow, SeasonShown};
use crate::content::{Credit, Cue, Kind, Localised, localised};
use crate::pages::{HOME, Row};
use crate::store;
use crate::titles::patterns;
use crate::viewer::{self, Limits, Who};
use media_contract::AssetId;
use media_contract::content_cms::TitleId;
use nexus_sdk::prelude::*;
use std::collections::BTreeMap;

/// Genres that have a row where nobody has chosen any.
const GENRES_SHOWN: usize = 12;
/// Asked for at once.
const ASSETS_MAX: usize = 50;

pub fn router() -> Router {
    Router::new()
        .route("/browse", get(page))
        .route("/browse/titles", get(search))
        .route("/browse/titles/{id}", get(show))
        .route("/browse/genres", get(genres))
}

#[derive(Deserialize, JsonSchema)]
struct Asked {
    /// `home`, where absent.
    page: Option<String>,
    /// A profile of one's household: shows what is made for its age.
    profile: Option<identity_contract::profiles::SubprofileId>,
    /// BCP 47.
    language: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct PageOfRows {
    page: String,
    rows: Vec<RowShown>,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RowKind {
    Collection,
    Newest,
    Genre,
}

#[derive(Serialize, JsonSchema)]
struct RowShown {
    /// A collection's, `newest`, or `genre:<genre>`.
    id: String,
    name: String,
    kind: RowKind,
    titles: Vec<Card>,
}

/// Rows in which there is nothing for this viewer are left out.
async fn page(
    by: Public,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Json<PageOfRows>> {
    let who = Who { profile: asked.profile, language: asked.language };
    let limits = viewer::limits(&by, &who, &headers).await?;
    let name = asked.page.unwrap_or_else(|| HOME.to_owned());
    let rows = match store::pages::find(by.db(), &name).await? {
        Some(page) => page.rows,
        None if name == HOME => usual(&by, &limits).await?,
        None => return Err(standard::NotFound.into()),
    };
    let collections = filled(&by, &rows, &limits).await?;
    let mut shown = Vec::new();
    for row in rows {
        let row = match row {
            Row::Collection { collection } => {
                let filled = collections.get(&collection.to_string());
                filled.map(|(told, cards)| told.row(cards.clone(), who.language.as_deref()))
            }
            Row::Newest => Some(newest(&by, &limits, who.language.as_deref()).await?),
            Row::Genre { genre } => {
                Some(of_genre(&by, &limits, &genre, who.language.as_deref()).await?)
            }
        };
        shown.extend(row.filter(|row| !row.titles.is_empty()));
    }
    Ok(Json(PageOfRows { page: name, rows: shown }))
}

/// What a home page shows that nobody has arranged: what is new, and either all collections or
/// what there is by genre.
async fn usual(by: &Ctx, limits: &Limits) -> Result<Vec<Row>> {
    let mut rows = vec![Row::Newest];
    let collections = store::browse::collections(by.db()).await?;
    rows.extend(collections.into_iter().map(|collection| Row::Collection { collection }));
    if rows.len() == 1 {
        let genres = store::browse::genres(by.db(), limits, by.now()).await?;
        let genres = genres.into_iter().take(GENRES_SHOWN);
        rows.extend(genres.map(|it| Row::Genre { genre: it.genre }));
    }
    Ok(rows)
}

/// What a collection says of itself to viewers.
struct Told {
    id: String,
    name: String,
    localisations: BTreeMap<String, Localised>,
}

impl Told {
    fn row(&self, titles: Vec<CardRow>, language: Option<&str>) -> RowShown {
        let told = language.and_then(|tag| localised(&self.localisations, tag));
        let name = told.map_or_else(|| self.name.clone(), |told| told.name.clone());
        let titles = titles.into_iter().map(|row| row.card(language)).collect();
        RowShown { id: self.id.clone(), name, kind: RowKind::Collection, titles }
    }
}

/// Collections of rows with their titles, by id: one look for all of them.
async fn filled(
    by: &Ctx,
    rows: &[Row],
    limits: &Limits,
) -> Result<BTreeMap<String, (Told, Vec<CardRow>)>> {
    let mut wanted = Vec::new();
    for row in rows {
        if let Row::Collection { collection } = row {
            wanted.push(*collection);
        }
    }
    let mut filled: BTreeMap<String, (Told, Vec<CardRow>)> = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(filled);
    }
    for entry in store::browse::entries(by.db(), &wanted, limits, by.now()).await? {
        let id = entry.collection.to_string();
        let told = || Told {
            id: id.clone(),
            name: entry.collection_name.clone(),
            localisations: entry.collection_localisations.clone(),
        };
        filled.entry(id.clone()).or_insert_with(|| (told(), Vec::new())).1.push(entry.card);
    }
    Ok(filled)
}

async fn newest(by: &Ctx, limits: &Limits, language: Option<&str>) -> Result<RowShown> {
    let rows = store::browse::newest(by.db(), limits, by.now()).await?;
    let titles = rows.into_iter().map(|row| row.card(language)).collect();
    Ok(RowShown { id: "newest".into(), name: "New".into(), kind: RowKind::Newest, titles })
}

async fn of_genre(
    by: &Ctx,
    limits: &Limits,
    genre: &str,
    language: Option<&str>,
) -> Result<RowShown> {
    let rows = store::browse::of_genre(by.db(), genre, limits, by.now()).await?;
    let titles = rows.into_iter().map(|row| row.card(language)).collect();
    let id = format!("genre:{genre}");
    Ok(RowShown { id, name: capitalised(genre), kind: RowKind::Genre, titles })
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[derive(Deserialize, JsonSchema)]
struct Wanted {
    /// Words, each of which must be there.
    q: Option<String>,
    genre: Option<String>,
    /// Everything but episodes, where absent.
    kind: Option<Kind>,
    /// Ids of at most 50 assets, joined by commas: the titles that show them, episodes too.
    assets: Option<String>,
    /// A profile of one's household.
    profile: Option<identity_contract::profiles::SubprofileId>,
    /// BCP 47.
    language: Option<String>,
}

/// Newest first.
async fn search(
    by: Public,
    headers: HeaderMap,
    cursor: Cursor,
    Query(wanted): Query<Wanted>,
) -> Result<Page<Card>> {
    let who = Who { profile: wanted.profile, language: wanted.language };
    let limits = viewer::limits(&by, &who, &headers).await?;
    let search = store::browse::Search {
        kind: wanted.kind,
        genre: wanted.genre.map(|genre| genre.to_lowercase()),
        patterns: patterns(wanted.q.as_deref().unwrap_or_default()),
        assets: wanted.assets.as_deref().map(assets_of).transpose()?,
    };
    let page = store::browse::search(by.db(), &search, &limits, by.now(), &cursor).await?;
    Ok(page.map(|row| row.card(who.language.as_deref())))
}

fn assets_of(told: &str) -> Result<Vec<AssetId>, Refusal> {
    let all: Result<Vec<AssetId>, _> = told.split(',').map(|id| id.trim().parse()).collect();
    match all {
        Ok(all) if all.len() <= ASSETS_MAX => Ok(all),
        _ => Err(standard::InvalidQuery.because("assets are at most 50 ids, joined by commas")),
    }
}

#[derive(Serialize, JsonSchema)]
struct GenreList {
    items: Vec<store::browse::Genre>,
}

/// Those with most titles first.
async fn genres(by: Public, headers: HeaderMap, Query(who): Query<Who>) -> Result<Json<GenreList>> {
    let limits = viewer::limits(&by, &who, &headers).await?;
    Ok(Json(GenreList { items: store::browse::genres(by.db(), &limits, by.now()).await? }))
}

/// A title with all that a viewer's page of it shows.
#[derive(Serialize, JsonSchema)]
struct Whole {
    #[serde(flatten)]
    card: Card,
    language: String,
    tags: Vec<String>,
    credits: Vec<Credit>,
    cues: Vec<Cue>,
    published_at: Option<Time>,
    /// Of a series.
    seasons: Vec<SeasonShown>,
    /// Of an episode.
    series_card: Option<Card>,
    /// The episode after this one.
    next: Option<Card>,
}

/// By its id or its slug.
async fn show(
    by: Public,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(who): Query<Who>,
) -> Result<Json<Whole>> {
    let limits = viewer::limits(&by, &who, &headers).await?;
    let language = who.language.as_deref();
    let (id, slug) = match name.parse::<TitleId>() {
        Ok(id) => (Some(id), None),
        Err(_) => (None, Some(name)),
    };
    let found = store::browse::find(by.db(), id, slug.as_deref(), &limits, by.now()).await?;
    let (row, more) = (found.card, found.more);
    let published_at = row.listed_at;
    let series = match row.kind {
        Kind::Series => Some(row.id),
        _ => row.series,
    };
    let mut episodes = Vec::new();
    if let Some(series) = series {
        let rows = store::browse::episodes(by.db(), series, &limits, by.now()).await?;
        episodes.extend(rows.into_iter().map(|row| row.card(language)));
    }
    let series_card = match row.series {
        Some(series) => {
            let found = store::browse::find(by.db(), Some(series), None, &limits, by.now()).await?;
            Some(found.card.card(language))
        }
        None => None,
    };
    let next = card::after(&episodes, row.id);
    let seasons = match row.kind {
        Kind::Series => card::by_season(store::seasons::list(by.db(), row.id).await?, episodes),
        _ => Vec::new(),
    };
    Ok(Json(Whole {
        card: row.card(language),
        language: more.language,
        tags: more.tags,
        credits: more.credits,
        cues: more.cues,
        published_at,
        seasons,
        series_card,
        next,
    }))
}

#[test]
fn a_genre_is_called_by_its_capital() {
    assert_eq!((capitalised("drama"), capitalised("")), ("Drama".to_owned(), String::new()));
}

#[test]
fn assets_are_ids_and_not_too_many() {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(assets_of(&format!("{id}, {id}")).unwrap().len(), 2);
    assert!(assets_of("").is_err() && assets_of("x").is_err());
    assert!(assets_of(&vec![id; 51].join(",")).is_err());
}
