//! Session-mgr: who is in, at which device, and until when. Knows how a session begins, is raised
//! and ends; refuses to know how somebody proved who they are (that is `user-auth`), and stands in
//! the way of no request: the hosts let cookies in by what is written to `platform.credential` in
//! the commits of this service.

mod admin;
mod device;
mod ending;
mod internal;
mod own;
mod policy;
mod secret;
mod store;
mod sweep;

use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Other people's sessions, and how long a tenant's sessions last.
    Manage = "session-mgr:manage"
}

nexus_sdk::callers! {
    /// Where somebody has just proven who they are.
    LoginFlows = ["user-auth", "auth"];
    /// Who asks whether a session still stands.
    Askers = ["user-auth", "auth", "token-mgr", "gateway", "rtx"]
}

nexus_sdk::service! {
    http: router,
    events: {
        "identity.user.suspended.v1" => on_suspended,
        "identity.user.erased.v1" => on_erased,
        "identity.password.changed.v1" => on_password_changed,
    },
    cron: [sweep],
}

fn router() -> Router {
    Router::new()
        .merge(own::router())
        .merge(admin::router())
        .merge(policy::router())
        .merge(internal::router())
}

use ending::{on_erased, on_password_changed, on_suspended};

async fn sweep(system: System) -> Result<NoContent> {
    sweep::sweep(system).await
}
