//! The pages, one file for each thing that a viewer comes for.

mod home;
mod preview;
mod profile;
mod profiles;
mod search;
mod title;
mod watch;

use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .merge(home::router())
        .merge(search::router())
        .merge(title::router())
        .merge(profiles::router())
        .merge(profile::router())
        .merge(preview::router())
        .merge(watch::router())
}
