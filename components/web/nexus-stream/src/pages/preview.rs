//! The page that plays an asset to whoever owns it, before there is a title of it.

use super::watch::{Sdk, Wish, player};
use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/watch/preview", get(show))
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let asset: Uuid = visitor.query("asset").parse().map_err(|_| Trouble::Missing)?;
    let sdk = Sdk::find(&visitor).await?;
    let back = web_kit::return_to::own(visitor.query("back")).unwrap_or("/creator");
    let engine = visitor.query("engine");
    Ok(player(&sdk, &Wish { asset, name: "Preview", back, engine, ..Wish::default() }))
}
