//! The facts that `token-mgr` publishes.

use crate::{ApiKeyId, TokenFamilyId};

nexus_sdk::event! {
    /// A refresh token was used twice: somebody else has it, and its whole family is worth nothing.
    "identity.token.reuse_detected.v1" => TokenReuseDetected about family {
        family: TokenFamilyId,
        subject: String,
    }
    /// A program has a key.
    "identity.apikey.created.v1" => ApiKeyCreated { id: ApiKeyId, subject: String, name: String }
}
