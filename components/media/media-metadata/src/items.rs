//! What is inside one's files, to be read.

use crate::steps::Item;
use crate::{View, store};
use media_contract::AssetId;
use nexus_sdk::Permission;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/items", get(list)).route("/items/{id}", get(show))
}

/// Whose files are shown: one's own, or everybody's (`None`) to whoever may see those.
fn whose(by: &Ctx) -> Result<Option<Uuid>> {
    if by.principal().may(View::NAME) {
        return Ok(None);
    }
    let own = by.principal().subject.parse().map_err(|_| standard::Forbidden)?;
    Ok(Some(own))
}

/// Newest asset first.
async fn list(by: SignedIn, cursor: Cursor) -> Result<Page<Item>> {
    store::list(by.db(), whose(&by)?, &cursor).await
}

/// By the asset's id.
async fn show(by: SignedIn, Path(id): Path<AssetId>) -> Result<Json<Item>> {
    store::find(by.db(), id, whose(&by)?).await.map(Json)
}
