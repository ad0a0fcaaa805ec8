//! Creator dashboard: the pages at `/creator` in which somebody uploads their work, sees what
//! becomes of it, says what it is, and publishes it.
//!
//! Knows how that looks and in which order it is asked. Refuses to know anything else: every fact
//! comes from the service that owns it, asked in-process as the visitor, and every decision is
//! that service's. It has no tables. Pages and forms work without script; what moves by itself
//! (uploads, progress) is in `assets/`, and speaks with the services directly.

mod assets;
mod film;
mod notice;
mod pages;
mod scene;
mod title;
mod words;

use nexus_sdk::prelude::*;

nexus_sdk::service! { root: router }

fn router() -> Router {
    pages::router().merge(assets::router())
}

/// What a page's handler needs.
mod prelude {
    pub(crate) use crate::scene::{Menu, head, studio, with_form};
    pub(crate) use crate::{notice, words};
    pub use web_kit::prelude::*;
}

/// A page of a list, as every service answers.
#[derive(Debug, Deserialize)]
struct Listed<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// Nothing of it.
impl<T> Default for Listed<T> {
    fn default() -> Listed<T> {
        Listed { items: Vec::new(), next: None }
    }
}
