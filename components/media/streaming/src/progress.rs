//! How far one is: continue watching.

use crate::domain;
use crate::store;
use crate::store::progress::Progress;
use media_contract::AssetId;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/progress", get(list))
        .route("/progress/{asset}", get(show).put(set).delete(forget))
}

/// What one has begun and not finished, newest first.
async fn list(by: SignedIn, cursor: Cursor) -> Result<Page<Progress>> {
    store::progress::list(by.db(), crate::viewer(&by)?, &cursor).await
}

/// 404 for what one has never begun.
async fn show(by: SignedIn, Path(asset): Path<AssetId>) -> Result<Json<Progress>> {
    let viewer = crate::viewer(&by)?;
    let progress = store::progress::find(by.db(), viewer, asset).await?;
    Ok(Json(progress.ok_or(standard::NotFound)?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Position {
    position_ms: i64,
}

async fn set(
    by: SignedIn,
    Path(asset): Path<AssetId>,
    Json(position): Json<Position>,
) -> Result<NoContent> {
    let viewer = crate::viewer(&by)?;
    let found = store::assets::playable(by.db(), asset, crate::sessions::seen_by(&by)?).await?;
    let progress = at(asset, position.position_ms, found.duration_ms, by.now());
    by.commit(store::progress::put(viewer, &progress)).await
}

pub fn at(asset_id: AssetId, position_ms: i64, duration_ms: i64, now: Time) -> Progress {
    let position_ms = domain::bounded(position_ms, duration_ms);
    let is_finished = domain::is_finished(position_ms, duration_ms);
    Progress { asset_id, position_ms, duration_ms, is_finished, updated_at: now }
}

async fn forget(by: SignedIn, Path(asset): Path<AssetId>) -> Result<NoContent> {
    by.commit(store::progress::forget(crate::viewer(&by)?, asset)).await
}
