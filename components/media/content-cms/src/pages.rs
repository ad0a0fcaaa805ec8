//! Pages: which rows viewers see there, in which order.

use crate::{Curate, store};
use media_contract::content_cms::CollectionId;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    PageName = 422, "a page is named by 1 to 60 of a-z, 0-9 and dash";
    PageRows = 422, "a page has at most 50 rows; a row shows a collection, a genre, or what is new"
}

/// The page that is always there.
pub const HOME: &str = "home";
const ROWS_MAX: usize = 50;

pub fn router() -> Router {
    Router::new()
        .route("/pages", get(list))
        .route("/pages/{name}", get(show).put(set).delete(remove))
}

/// What a row shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Row {
    Collection { collection: CollectionId },
    Newest,
    Genre { genre: String },
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PageShown {
    pub name: String,
    pub rows: Vec<Row>,
}

#[derive(Serialize, JsonSchema)]
struct List {
    items: Vec<PageShown>,
}

async fn list(by: Allowed<Curate>) -> Result<Json<List>> {
    Ok(Json(List { items: store::pages::list(by.db()).await? }))
}

async fn show(by: Allowed<Curate>, Path(name): Path<String>) -> Result<Json<PageShown>> {
    let page = store::pages::find(by.db(), &name).await?;
    Ok(Json(page.ok_or(standard::NotFound)?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Said {
    rows: Vec<Row>,
}

async fn set(
    by: Allowed<Curate>,
    Path(name): Path<String>,
    Json(said): Json<Said>,
) -> Result<NoContent> {
    if !is_name(&name) {
        return Err(PageName.into());
    }
    let fits = |row: &Row| match row {
        Row::Genre { genre } => (1..=40).contains(&genre.chars().count()),
        Row::Collection { .. } | Row::Newest => true,
    };
    if said.rows.len() > ROWS_MAX || !said.rows.iter().all(fits) {
        return Err(PageRows.at("rows").into());
    }
    by.commit(store::pages::put(&name, &said.rows, by.now())).await
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=60).contains(&name.len()) && name.bytes().all(plain)
}

async fn remove(by: Allowed<Curate>, Path(name): Path<String>) -> Result<NoContent> {
    by.commit(store::pages::delete(&name).or_refuse(standard::NotFound)).await
}

#[test]
fn a_row_is_written_by_its_kind_and_names_nothing_else() {
    let genre: Row = serde_json::from_value(json!({ "kind": "genre", "genre": "drama" })).unwrap();
    assert_eq!(genre, Row::Genre { genre: "drama".into() });
    assert!(serde_json::from_value::<Row>(json!({ "kind": "newest" })).is_ok());
    assert!(serde_json::from_value::<Row>(json!({ "kind": "genre" })).is_err());
    assert!(!is_name("Home page") && is_name("home"));
}
