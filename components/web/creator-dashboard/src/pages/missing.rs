//! Addresses below `/creator` at which there is nothing.

use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/creator/{*rest}", get(show))
}

async fn show(_visitor: Visitor) -> Answer {
    Err(Trouble::Missing)
}
