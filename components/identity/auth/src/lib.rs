//! Auth: how other programs let people in by way of this installation (OAuth 2.1, OpenID Connect),
//! and how they come in here by way of another provider. Knows clients, what people allow them,
//! providers, and the steps of the protocol; refuses to know passwords (`user-auth`), sessions
//! (`session-mgr`), keys and tokens (`token-mgr`), and pages (`frontend-app`).

mod authorize;
mod clients;
mod codes;
mod consents;
mod device;
mod exchange;
mod identities;
mod jose;
mod logout;
mod oauth;
mod outside;
mod peers;
mod proofs;
mod provider;
mod redirects;
mod registration;
mod requests;
mod scopes;
mod secrets;
mod store;
mod telling;
mod tokens;
mod upstream_login;
mod upstreams;

use logout::{on_logout_due, on_session_revoked, on_user_erased};
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Clients and providers, without their secrets.
    View = "auth:view";
    /// Clients, providers and their secrets.
    Manage = "auth:manage";
    /// Registering a client by the protocol (RFC 7591).
    Register = "auth:register"
}

nexus_sdk::service! {
    http: router,
    root: protocol,
    events: {
        "identity.session.revoked.v1" => on_session_revoked,
        "identity.logout.due.v1" => on_logout_due,
        "identity.user.erased.v1" => on_user_erased,
    },
    cron: purge,
}

fn router() -> Router {
    clients::router()
        .merge(requests::router())
        .merge(device::router())
        .merge(consents::router())
        .merge(upstreams::router())
        .merge(upstream_login::router())
        .merge(identities::router())
}

fn protocol() -> Router {
    authorize::router()
        .merge(tokens::router())
        .merge(device::protocol())
        .merge(telling::router())
        .merge(logout::router())
        .merge(registration::router())
}

/// The issuer: the origin that clients know.
async fn origin(by: &Ctx) -> Result<String> {
    by.variable("public_url").await
}

async fn purge(ctx: System) -> Result<NoContent> {
    let now = ctx.now();
    ctx.commit([
        store::codes::purge(now - days(1)),
        store::devices::purge(now - days(1)),
        store::requests::purge(now - days(1)),
        store::families::purge(now - days(90)),
        store::sessions::purge(now - days(90)),
        store::upstreams::purge_flows(now),
        store::proofs::purge(now),
    ])
    .await
}
