//! Frontend app: the pages of the main site, rendered on the server. Today the landing page and
//! one's own account: sign-in, registration, security, devices, keys, organisations.
//!
//! Knows how things look and in which order they are asked. Refuses to know anything else: every
//! fact comes from the service that owns it, asked in-process as the visitor, and every decision
//! is that service's. It has no tables, keeps nothing between requests and sets no cookie of its
//! own. Everything works without script, but passkeys.
//!
//! `web-kit` is what all pages of the suite are made of, `scene.rs` what is around these, `pages/`
//! one file for each thing a visitor comes for.

mod assets;
mod notice;
mod pages;
mod scene;

use nexus_sdk::prelude::*;

nexus_sdk::service! { root: router }

fn router() -> Router {
    pages::router().merge(assets::router())
}

/// What a page's handler needs.
mod prelude {
    pub(crate) use crate::notice;
    pub(crate) use crate::scene::{Menu, account, focus, narrow};
    pub use web_kit::prelude::*;
}
