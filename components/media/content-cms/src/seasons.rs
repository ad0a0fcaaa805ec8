//! Seasons of a series.

use crate::content::{self, Kind};
use crate::store::seasons::Season;
use crate::titles::{StillInUse, permit};
use crate::{changed_by, seen_by, store};
use media_contract::content_cms::TitleId;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    NoSeries = 409, "only a series has seasons and episodes";
    SeasonForm = 422, "a season has a number from 0 to 1,000, a name of at most 200 and a synopsis \
                       of at most 5,000 characters"
}

pub fn router() -> Router {
    Router::new()
        .route("/titles/{id}/seasons", get(list))
        .route("/titles/{id}/seasons/{number}", put(set).delete(remove))
}

#[derive(Serialize, JsonSchema)]
struct List {
    /// By number.
    items: Vec<Season>,
}

async fn list(by: SignedIn, Path(id): Path<TitleId>) -> Result<Json<List>> {
    series(&by, id, seen_by(&by)?).await?;
    Ok(Json(List { items: store::seasons::list(by.db(), id).await? }))
}

/// The series, if it is one that somebody may see or change.
///
/// # Errors
/// 404, or 409 `no-series` for what is none.
pub async fn series(by: &Ctx, id: TitleId, owner: Option<Uuid>) -> Result<Uuid> {
    let title = store::titles::find(by.db(), id, owner).await?;
    match title.kind {
        Kind::Series => Ok(title.owner),
        _ => Err(NoSeries.into()),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Said {
    name: Option<String>,
    #[serde(default)]
    synopsis: String,
}

async fn set(
    by: SignedIn,
    Path((id, number)): Path<(TitleId, i32)>,
    Json(said): Json<Said>,
) -> Result<NoContent> {
    permit(&by)?;
    series(&by, id, changed_by(&by)?).await?;
    let name = said.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let named = name.is_none_or(|name| content::line(name, 200).is_some());
    if !(0..=1_000).contains(&number) || !named || !content::is_text(&said.synopsis) {
        return Err(SeasonForm.at("name").into());
    }
    by.commit(store::seasons::put(id, number, name, &said.synopsis)).await
}

async fn remove(by: SignedIn, Path((id, number)): Path<(TitleId, i32)>) -> Result<NoContent> {
    series(&by, id, changed_by(&by)?).await?;
    let seasons = store::seasons::list(by.db(), id).await?;
    let season = seasons.iter().find(|it| it.number == number).ok_or(standard::NotFound)?;
    if season.episodes > 0 {
        return Err(StillInUse.into());
    }
    by.commit(store::seasons::remove(id, number)).await
}
