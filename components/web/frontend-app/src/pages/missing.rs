//! Addresses below `/account` at which there is nothing.

use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/account/{*rest}", get(show))
}

async fn show(_visitor: Visitor) -> Answer {
    Err(Trouble::Missing)
}
