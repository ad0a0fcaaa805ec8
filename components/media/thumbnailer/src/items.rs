//! The pictures of one's assets: looked at, and the poster among them chosen.

use crate::storyboard::{address, vtt};
use crate::{Catalogue, Manage, View, links, store};
use media_contract::{AssetId, PackageId};
use nexus_sdk::Permission;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    PosterUnknown = 422, "there is no poster of this number"
}

pub fn router() -> Router {
    Router::new()
        .route("/items/{id}", get(show))
        .route("/items/{id}/poster", put(choose))
        .route("/items/{id}/storyboard", get(storyboard))
        .route("/items/{id}/links", post(link))
        .route("/internal/items/{id}/links", post(link_for_all))
}

/// All pictures of an asset.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    pub asset_id: AssetId,
    pub package_id: PackageId,
    pub duration_ms: i64,
    /// The best first.
    pub posters: Vec<Poster>,
    /// The number of the one that stands for the asset.
    pub poster: i32,
    pub sprites: Vec<Sprite>,
    /// Between two pictures of the way through.
    pub interval_ms: i64,
    pub tile_width: i32,
    pub tile_height: i32,
    pub tile_columns: i32,
    pub updated_at: Time,
}

/// A moment that stands for the film.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Poster {
    pub key: String,
    pub width: i32,
    pub height: i32,
    pub at_ms: i64,
    /// How much there is to see; higher is more.
    pub score: f64,
}

/// Moments in rows, on one picture.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Sprite {
    pub key: String,
    pub tiles: i32,
}

/// Whose pictures somebody may see or change: their own, or everybody's (`None`).
fn whose(by: &Ctx, enough: &[&str]) -> Result<Option<Uuid>> {
    if enough.iter().any(|permission| by.principal().may(permission)) {
        return Ok(None);
    }
    let own = by.principal().subject.parse().map_err(|_| standard::Forbidden)?;
    Ok(Some(own))
}

/// As [`Item`], with the address of the poster.
#[derive(Serialize, JsonSchema)]
struct Shown {
    #[serde(flatten)]
    item: Item,
    poster_path: Option<String>,
}

/// By the asset's id.
async fn show(by: SignedIn, Path(id): Path<AssetId>) -> Result<Json<Shown>> {
    let owner = whose(&by, &[View::NAME, Manage::NAME])?;
    let item = store::items::find(by.db(), id, owner).await?;
    let poster_path = item.chosen().map(|poster| address(&poster.key));
    Ok(Json(Shown { item, poster_path }))
}

impl Item {
    pub fn chosen(&self) -> Option<&Poster> {
        let chosen = usize::try_from(self.poster).ok().and_then(|chosen| self.posters.get(chosen));
        chosen.or_else(|| self.posters.first())
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Choice {
    /// From 0.
    poster: i32,
}

async fn choose(
    by: SignedIn,
    Path(id): Path<AssetId>,
    Json(choice): Json<Choice>,
) -> Result<NoContent> {
    let item = store::items::find(by.db(), id, whose(&by, &[Manage::NAME])?).await?;
    let there = usize::try_from(choice.poster).is_ok_and(|chosen| chosen < item.posters.len());
    if !there {
        return Err(PosterUnknown.at("poster").into());
    }
    by.commit(store::items::choose(id, choice.poster, by.now())).await
}

/// WebVTT: which picture shows which moment.
async fn storyboard(by: SignedIn, Path(id): Path<AssetId>) -> Result<Response> {
    let owner = whose(&by, &[View::NAME, Manage::NAME])?;
    let item = store::items::find(by.db(), id, owner).await?;
    let head = [(header::CONTENT_TYPE, "text/vtt; charset=utf-8")];
    Ok((head, vtt(&item)).into_response())
}

#[derive(Serialize, JsonSchema)]
struct Link {
    /// Good for anybody, as long as the asset has pictures.
    url: String,
}

/// An address under which anybody sees the poster in this size.
async fn link(
    by: SignedIn,
    Path(id): Path<AssetId>,
    Json(size): Json<links::Size>,
) -> Result<Json<Link>> {
    size.check()?;
    let owner = whose(&by, &[View::NAME, Manage::NAME])?;
    store::items::find(by.db(), id, owner).await?;
    let query = links::query(by.tenant(), id, &size).await?;
    let origin = by.variable("public_url").await?;
    let origin = origin.trim_end_matches('/');
    Ok(Json(Link { url: format!("{origin}/api/thumbnailer/v1/images/{id}?{query}") }))
}

#[derive(Serialize, JsonSchema)]
struct OwnPath {
    /// As a link's address, without the origin.
    path: String,
}

/// As a link, for what is shown to others than its owner.
async fn link_for_all(
    by: Called<Catalogue>,
    Path(id): Path<AssetId>,
    Json(size): Json<links::Size>,
) -> Result<Json<OwnPath>> {
    size.check()?;
    store::items::find(by.db(), id, None).await?;
    let query = links::query(by.tenant(), id, &size).await?;
    Ok(Json(OwnPath { path: format!("/api/thumbnailer/v1/images/{id}?{query}") }))
}
