//! Frontend app: the pages of the main site, rendered on the server. Today the landing page and
//! one's own account: sign-in, registration, security, devices, keys, organisations.
//!
//! Knows how things look and in which order they are asked. Refuses to know anything else: every
//! fact comes from the service that owns it, asked in-process as the visitor, and every decision
//! is that service's. It has no tables, keeps nothing between requests and sets no cookie of its
//! own. Everything works without script, but passkeys.
//!
//! `kit/` is what all pages are made of, `pages/` one file for each thing a visitor comes for.

mod kit;
mod pages;

use nexus_sdk::prelude::*;

nexus_sdk::service! { root: router }

fn router() -> Router {
    pages::router().merge(kit::assets::router())
}
