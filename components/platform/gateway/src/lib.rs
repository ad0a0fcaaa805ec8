//! Gateway: the control plane of the single entry. Which services there are and what each offers,
//! other names for their APIs, when a version of one ends, and the API reference for people. The
//! data plane is native (`triggers/http`): no request to another service passes through here.
//! Refuses to know what any service does, and to decide who may do what.

mod aliases;
mod docs;
mod document;
mod naming;
mod registry;
mod services;
mod store;
mod versions;

use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    View = "gateway:view";
    /// Aliases, and the ends of API versions.
    Manage = "gateway:manage"
}

nexus_sdk::service! {
    http: router,
    root: protocols,
    cron: refresh,
}

fn router() -> Router {
    Router::new().merge(aliases::router()).merge(versions::router())
}

/// Paths at the root, as the architecture names them, and `/api/<alias>/…`.
fn protocols() -> Router {
    Router::new().merge(services::router()).merge(docs::router()).merge(aliases::followed())
}

async fn refresh(system: System) -> Result<NoContent> {
    registry::refresh(&system.in_tenant(registry::INSTALLATION.into())).await
}
