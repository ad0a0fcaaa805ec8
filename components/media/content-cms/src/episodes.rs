//! Episodes of a series, in their order.

use crate::change::Change;
use crate::content::Kind;
use crate::titles::{self, Shown};
use crate::{Create, changed_by, seasons, seen_by, store};
use media_contract::content_cms::TitleId;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/titles/{id}/episodes", get(list).post(create))
        .route("/titles/{id}/episodes/{episode}", get(show))
}

#[derive(Deserialize, JsonSchema)]
struct Filter {
    season: Option<i32>,
}

#[derive(Serialize, JsonSchema)]
struct List {
    /// By season and number.
    items: Vec<Shown>,
}

async fn list(
    by: SignedIn,
    Path(id): Path<TitleId>,
    Query(filter): Query<Filter>,
) -> Result<Json<List>> {
    seasons::series(&by, id, seen_by(&by)?).await?;
    let episodes = store::titles::episodes(by.db(), id, filter.season).await?;
    Ok(Json(List { items: episodes.into_iter().map(Shown::from).collect() }))
}

async fn show(
    by: SignedIn,
    Path((id, episode)): Path<(TitleId, TitleId)>,
) -> Result<Tagged<Json<Shown>>> {
    let title = store::titles::find(by.db(), episode, seen_by(&by)?).await?;
    match title.content.series == Some(id) {
        true => Ok(titles::tagged(title)),
        false => Err(standard::NotFound.into()),
    }
}

/// The next one of its season, unless it says which.
async fn create(
    by: Allowed<Create>,
    Path(id): Path<TitleId>,
    Json(mut change): Json<Change>,
) -> Result<Created<Shown>> {
    let owner = seasons::series(&by, id, changed_by(&by)?).await?;
    let season = change.0.entry("season").or_insert(json!(1)).as_i64();
    let season = season.and_then(|season| i32::try_from(season).ok()).unwrap_or(1);
    let next = store::titles::next_number(by.db(), id, season).await?;
    change.0.entry("number").or_insert(json!(next));
    change.0.insert("series".into(), json!(id));
    titles::make(&by, owner, Kind::Episode, &change).await
}
