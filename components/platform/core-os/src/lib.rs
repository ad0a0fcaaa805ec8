//! Core OS: which services there are and whether they run, feature flags, remote configuration,
//! branding, announcements, incidents and the status page. Knows every name the suite goes by;
//! refuses to know what any other service does, and asks each for its own health.

mod announcements;
mod branding;
mod configs;
mod evaluation;
mod flags;
mod health;
mod incidents;
mod palette;
mod registry;
mod segments;
mod services;
mod status;
mod store;

use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    View = "core-os:view";
    Configure = "core-os:configure";
    Operate = "core-os:operate"
}

nexus_sdk::service! {
    http: router,
    root: protocols,
    cron: sweep_health,
}

fn router() -> Router {
    Router::new()
        .merge(services::router())
        .merge(flags::router())
        .merge(segments::router())
        .merge(configs::router())
        .merge(branding::router())
        .merge(announcements::router())
        .merge(incidents::router())
        .merge(status::router())
}

/// Paths that others define: OFREP, and the health of any name.
fn protocols() -> Router {
    flags::ofrep().merge(health::router())
}

async fn sweep_health(system: System) -> Result<NoContent> {
    status::sweep(system).await
}
