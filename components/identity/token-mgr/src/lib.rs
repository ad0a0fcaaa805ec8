//! Token-mgr: what programs show instead of a person. Signed tokens for ten minutes, refresh tokens
//! that get the next ones, API keys for a year at most. Knows who gets which and when they are
//! worth nothing; refuses to hold a private key (kms signs), to know what a subject may do (that is
//! `users`, and stands beside the hosts) and to stand in the way of a request: hosts verify by the
//! public keys, credentials and revocations that are written with the commits of this service.

mod api_keys;
mod claims;
mod events;
mod families;
mod internal;
mod introspection;
mod jose;
mod keys;
mod kms;
mod limits;
mod networks;
mod opaque;
mod own;
mod refresh;
mod rotation;
mod scope;
mod store;
mod subject;

use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Other people's keys and tokens.
    Manage = "token-mgr:manage";
    /// The installation's signing keys.
    Operate = "token-mgr:operate"
}

nexus_sdk::callers! {
    /// Who speaks OAuth to the outside.
    Protocols = ["auth"];
    /// Who asks what a token stands for.
    Askers = ["auth", "gateway", "user-auth", "session-mgr"]
}

nexus_sdk::service! {
    http: router,
    root: protocol,
    events: {
        "platform.key.rotated.v1" => on_key_rotated,
        "identity.session.revoked.v1" => on_session_revoked,
        "identity.user.suspended.v1" => on_suspended,
        "identity.user.erased.v1" => on_erased,
    },
    cron: [rotate_keys, prune],
}

fn router() -> Router {
    Router::new()
        .merge(own::router())
        .merge(api_keys::router())
        .merge(keys::router())
        .merge(internal::router())
}

fn protocol() -> Router {
    Router::new().route("/.well-known/jwks.json", get(keys::jwks))
}

use events::{on_erased, on_key_rotated, on_session_revoked, on_suspended, prune};
use keys::rotate_keys;
