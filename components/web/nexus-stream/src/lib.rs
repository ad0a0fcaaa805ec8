//! Nexus Stream: the pages on which people watch. Rows of titles, a page for each, search, who of a
//! household is watching, and the page that plays.
//!
//! Knows how things look and where they lead. Refuses to know anything else: what there is to see,
//! and who may see it, `content-cms` says; how far somebody is, `streaming`; the player is
//! `player-api`'s. It has no tables; the one thing it remembers, in a cookie, is which profile of a
//! household looks. Everything but playing works without script; arrow keys need a little
//! (`assets/remote.js`).

mod assets;
mod card;
mod catalogue;
mod household;
mod pages;
mod progress;
mod scene;

use nexus_sdk::prelude::*;

nexus_sdk::service! { root: router }

fn router() -> Router {
    pages::router().merge(assets::router())
}

/// What a page's handler needs.
mod prelude {
    pub(crate) use crate::scene::{Place, tv};
    pub use web_kit::prelude::*;
}
