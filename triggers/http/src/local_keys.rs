//! Verifies JWTs against a fixed set of public keys that this host was given.

use crate::key_set::KeySet;
use crate::principal::{Proven, Unproven, Verifier};
use uuid::Uuid;

/// The audience of access tokens for this platform.
pub const AUDIENCE: &str = "nexus";

/// A fixed set of keys with one issuer.
pub struct LocalKeys(KeySet);

/// A key set that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key set is not a JWK set: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("key {0:?} is neither P-256 nor Ed25519")]
    Algorithm(Option<String>),
    #[error("key {0:?} is malformed: {1}")]
    Malformed(Option<String>, jsonwebtoken::errors::Error),
    #[error("the key set is empty")]
    Empty,
}

impl LocalKeys {
    /// Keys from the JSON of a JWK set (RFC 7517); tokens must name `issuer` and [`AUDIENCE`], and
    /// those without a tenant belong to `tenant`.
    pub fn from_jwks(json: &str, issuer: &str, tenant: Uuid) -> Result<Self, KeyError> {
        KeySet::of_jwks(json, issuer, tenant).map(Self)
    }
}

impl Verifier for LocalKeys {
    fn verify(&self, token: &str, now: i64) -> Result<Proven, Unproven> {
        self.0.verify(token, now)
    }
}

#[cfg(test)]
#[path = "local_keys_tests.rs"]
mod tests;
