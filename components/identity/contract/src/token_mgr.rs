//! The facts that `token-mgr` publishes.

use crate::{ApiKeyId, TokenFamilyId};

nexus_sdk::id! {
    /// One signed token, its `jti`.
    TokenId
}

nexus_sdk::event! {
    /// All tokens of a family are worth nothing: taken back, or their session is over.
    "identity.token.revoked.v1" => TokenRevoked about family {
        family: TokenFamilyId,
        subject: String,
        client_id: String,
        /// `revoked`, `session-ended`, `subject-ended`, `reuse`.
        reason: String,
    }
    /// A refresh token was used twice: somebody else has it, and its whole family is worth nothing.
    "identity.token.reuse_detected.v1" => TokenReuseDetected about family {
        family: TokenFamilyId,
        subject: String,
    }
    /// A program has a key.
    "identity.apikey.created.v1" => ApiKeyCreated { id: ApiKeyId, subject: String, name: String }
    /// A key is worth nothing.
    "identity.apikey.revoked.v1" => ApiKeyRevoked { id: ApiKeyId, subject: String }
}
