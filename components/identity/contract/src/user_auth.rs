//! The facts that `user-auth` publishes.

use crate::UserId;

nexus_sdk::event! {
    /// Somebody has registered; the address is not proven yet.
    "identity.user.registered.v1" => UserRegistered { id: UserId }
    /// The address of an account was proven.
    "identity.user.verified.v1" => UserVerified { id: UserId }
    /// Somebody came in.
    "identity.login.succeeded.v1" => LoginSucceeded about user {
        user: UserId,
        /// Methods (RFC 8176): `pwd`, `otp`, `hwk`, …
        amr: Vec<String>,
    }
    /// A password was set, by its owner or by recovery.
    "identity.password.changed.v1" => PasswordChanged about user { user: UserId }
}
