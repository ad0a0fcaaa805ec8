//! Kms: keys that never leave, secrets with versions, and signing keys that people own. Knows how
//! each is wrapped, who may use it and when it is replaced; refuses to know what is encrypted, and
//! keeps nothing in the open that the root key does not wrap.

mod crypto;
mod internal;
mod keyring;
mod keys;
mod lifecycle;
mod operations;
mod place;
mod policy;
mod pv;
mod random;
mod recovery;
mod rsa;
mod secrets;
mod store;
mod tenant_key;
mod transit;
mod usage;
mod vault;
mod wire;
mod work;

use identity_contract::users::UserErased;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    View = "kms:view";
    /// Keys: made, configured, rotated, destroyed. Secrets: written.
    Manage = "kms:manage";
    /// Encrypting, signing and the rest of what keys do.
    Use = "kms:use";
    /// Reading secrets.
    Reveal = "kms:reveal"
}

nexus_sdk::service! {
    http: router,
    root: protocol,
    events: { "identity.user.erased.v1" => on_erased },
    cron: [rotate_due, destroy_due, roll_up, rewrap],
}

fn router() -> Router {
    Router::new()
        .merge(internal::router())
        .merge(transit::router())
        .merge(secrets::router())
        .merge(pv::router())
}

/// Paths that another protocol prescribes.
fn protocol() -> Router {
    vault::router()
}

async fn on_erased(ctx: Ctx, erased: UserErased) -> Result<NoContent> {
    lifecycle::on_erased(ctx, erased).await
}

async fn rotate_due(system: System) -> Result<NoContent> {
    lifecycle::rotate_due(system).await
}

async fn destroy_due(system: System) -> Result<NoContent> {
    lifecycle::destroy_due(system).await
}

async fn roll_up(system: System) -> Result<NoContent> {
    lifecycle::roll_up(system).await
}

async fn rewrap(system: System) -> Result<NoContent> {
    lifecycle::rewrap(system).await
}
