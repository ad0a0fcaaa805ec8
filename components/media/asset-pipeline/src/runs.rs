//! Runs of an asset, with their steps, to be looked at.

use crate::domain::StepRow;
use crate::store::runs::Run;
use crate::{seen_by, store};
use media_contract::{AssetId, RunId};
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/assets/{id}/runs", get(list)).route("/runs/{id}", get(show))
}

/// A run with all that was asked for in it.
#[derive(Serialize, JsonSchema)]
struct Shown {
    #[serde(flatten)]
    run: Run,
    steps: Vec<StepRow>,
}

#[derive(Serialize, JsonSchema)]
struct List {
    /// Newest first.
    items: Vec<Run>,
}

async fn list(by: SignedIn, Path(id): Path<AssetId>) -> Result<Json<List>> {
    store::assets::find(by.db(), id, seen_by(&by)?).await?;
    Ok(Json(List { items: store::runs::of_asset(by.db(), id).await? }))
}

async fn show(by: SignedIn, Path(id): Path<RunId>) -> Result<Json<Shown>> {
    let run = store::runs::find(by.db(), id).await?.ok_or(standard::NotFound)?;
    store::assets::find(by.db(), run.asset_id, seen_by(&by)?).await?;
    let steps = store::steps::of_run(by.db(), id).await?;
    Ok(Json(Shown { run, steps }))
}
