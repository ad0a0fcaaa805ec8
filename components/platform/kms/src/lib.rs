//! Kms: keys that never leave, secrets with versions, and signing keys that people own. Knows how
//! each is wrapped, who may use it and when it is replaced; refuses to know what is encrypted, and
//! keeps nothing in the open that the root key does not wrap.

mod crypto;
mod internal;
mod keyring;
mod keys;
mod operations;
mod place;
mod policy;
mod random;
mod rsa;
mod store;
mod tenant_key;
mod usage;
mod wire;

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

nexus_sdk::service! { http: router }

fn router() -> Router {
    Router::new().merge(internal::router())
}
