//! What `content-cms` shows a viewer, as far as these pages do.

use crate::household::Household;
use nexus_sdk::Question;
use nexus_sdk::prelude::*;
use web_kit::prelude::*;
use web_kit::return_to::with_query;

const BROWSE: &str = "/api/content-cms/v1/browse";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Film,
    Episode,
    Clip,
    Series,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct Artwork {
    pub poster: Option<String>,
    pub backdrop: Option<String>,
}

/// A title in a row.
#[derive(Debug, Clone, Deserialize)]
pub struct Card {
    pub id: Uuid,
    pub kind: Kind,
    pub name: String,
    #[serde(default)]
    pub synopsis: String,
    pub tagline: Option<String>,
    pub year: Option<i32>,
    #[serde(default)]
    pub maturity: String,
    #[serde(default)]
    pub genres: Vec<String>,
    #[serde(default)]
    pub duration_ms: Option<i64>,
    #[serde(default)]
    pub artwork: Artwork,
    pub asset: Option<Uuid>,
    pub season: Option<i32>,
    pub number: Option<i32>,
}

#[derive(Debug, Deserialize)]
pub struct Row {
    pub name: String,
    pub titles: Vec<Card>,
}

#[derive(Debug, Deserialize)]
struct Rows {
    rows: Vec<Row>,
}

/// Some of a list.
#[derive(Debug, Deserialize)]
pub struct Listed<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Credit {
    pub role: String,
    pub person: String,
}

#[derive(Debug, Deserialize)]
pub struct Season {
    pub number: i32,
    pub name: Option<String>,
    #[serde(default)]
    pub episodes: Vec<Card>,
}

/// A title with all that belongs to it.
#[derive(Debug, Deserialize)]
pub struct Whole {
    #[serde(flatten)]
    pub card: Card,
    #[serde(default)]
    pub credits: Vec<Credit>,
    #[serde(default)]
    pub seasons: Vec<Season>,
    pub series_card: Option<Card>,
}

/// What somebody looks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Search<'a> {
    pub words: &'a str,
    pub genre: &'a str,
    pub kind: &'a str,
    pub cursor: &'a str,
}

/// A question about what this viewer may see.
fn question(path: &str, household: &Household, more: &[(&str, &str)]) -> Question {
    let profile = household.watching.as_ref().map(|it| it.id.to_string()).unwrap_or_default();
    let all = more.iter().copied().chain([("profile", profile.as_str())]);
    let pairs: Vec<(&str, &str)> = all.filter(|(_, value)| !value.is_empty()).collect();
    call("content-cms").get(with_query(path, &pairs))
}

pub async fn home(visitor: &Visitor, household: &Household) -> Result<Vec<Row>, Trouble> {
    let rows: Rows = visitor.need(question(BROWSE, household, &[("page", "home")])).await?;
    Ok(rows.rows)
}

pub async fn search(
    visitor: &Visitor,
    household: &Household,
    search: Search<'_>,
) -> Result<Listed<Card>, Trouble> {
    let pairs = [
        ("q", search.words),
        ("genre", search.genre),
        ("kind", search.kind),
        ("cursor", search.cursor),
        ("limit", "60"),
    ];
    visitor.need(question(&format!("{BROWSE}/titles"), household, &pairs)).await
}

/// The titles of assets, as far as they are shown.
pub async fn of_assets(
    visitor: &Visitor,
    household: &Household,
    assets: &[Uuid],
) -> Result<Vec<Card>, Trouble> {
    let named: Vec<String> = assets.iter().map(Uuid::to_string).collect();
    let pairs = [("assets", named.join(","))];
    let pairs = pairs.each_ref().map(|(name, value)| (*name, value.as_str()));
    let found = question(&format!("{BROWSE}/titles"), household, &pairs);
    let found: Option<Listed<Card>> = visitor.want(found).await?;
    Ok(found.map(|it| it.items).unwrap_or_default())
}

#[derive(Debug, Deserialize)]
struct Genre {
    genre: String,
}

/// Genres that there is something of, the largest first.
pub async fn genres(visitor: &Visitor, household: &Household) -> Result<Vec<String>, Trouble> {
    let question = question(&format!("{BROWSE}/genres"), household, &[]);
    let found: Option<AllOf<Genre>> = visitor.want(question).await?;
    Ok(found.map(|it| it.items.into_iter().map(|it| it.genre).collect()).unwrap_or_default())
}

/// A list that is whole.
#[derive(Debug, Deserialize)]
struct AllOf<T> {
    items: Vec<T>,
}

/// By id or slug.
pub async fn title(visitor: &Visitor, household: &Household, name: &str) -> Result<Whole, Trouble> {
    // Nothing that leads to another route.
    let plain = |it: u8| it.is_ascii_alphanumeric() || it == b'-';
    if name.is_empty() || name.len() > 200 || !name.bytes().all(plain) {
        return Err(Trouble::Missing);
    }
    visitor.need(question(&format!("{BROWSE}/titles/{name}"), household, &[])).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_read_whatever_else_is_said_of_it() {
        let said = json!({
            "id": Uuid::from_u128(1), "slug": "the-sea", "kind": "series", "name": "The Sea",
            "synopsis": "", "tagline": null, "year": 2026, "maturity": "12", "genres": ["drama"],
            "duration_ms": 0, "artwork": { "poster": null, "backdrop": null }, "asset": null,
            "series": null, "season": null, "number": null, "language": "en", "tags": [],
            "credits": [{ "role": "director", "person": "A. B." }], "cues": [],
            "published_at": null, "series_card": null, "next": null,
            "seasons": [{ "number": 1, "name": null, "synopsis": "", "episodes": [] }],
        });
        let whole: Whole = serde_json::from_value(said).unwrap();
        assert_eq!((whole.card.kind, whole.seasons[0].number), (Kind::Series, 1));
        assert_eq!(whole.credits[0].role, "director");
    }
}
