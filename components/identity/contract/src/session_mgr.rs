//! The facts that `session-mgr` publishes.

use crate::SessionId;

nexus_sdk::event! {
    /// A session began.
    "identity.session.created.v1" => SessionCreated { id: SessionId, subject: String }
    /// A session is over: signed out, ended by its owner, or run out.
    "identity.session.revoked.v1" => SessionRevoked {
        id: SessionId,
        subject: String,
        /// `signed-out`, `ended`, `replaced`, `expired`, `suspended`, `erased`,
        /// `password-changed`.
        reason: String,
    }
}
