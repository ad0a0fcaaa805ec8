//! The facts that `user-auth` publishes.

use crate::{SessionId, UserId};

nexus_sdk::id! {
    /// One try to come in, whatever became of it.
    LoginAttemptId;
    /// A mail that `user-auth` owes somebody.
    MailOrderId
}

nexus_sdk::event! {
    /// Somebody has an account by registering. It comes with the proof of the address: until then
    /// there is no account that could be squatted on.
    "identity.user.registered.v1" => UserRegistered { id: UserId }
    /// The address of an account was proven.
    "identity.user.verified.v1" => UserVerified { id: UserId }
    /// Somebody came in.
    "identity.login.succeeded.v1" => LoginSucceeded about user {
        user: UserId,
        /// Methods (RFC 8176): `pwd`, `otp`, `hwk`, …
        amr: Vec<String>,
    }
    /// Somebody did not come in. Neither names nor addresses: those stay where they were typed.
    "identity.login.failed.v1" => LoginFailed {
        id: LoginAttemptId,
        /// Whose account it was, if there is one.
        user: Option<UserId>,
        /// `wrong-credentials`, `not-verified`, `suspended`, `wrong-factor`.
        reason: String,
    }
    /// A password was set, by its owner or by recovery. All sessions that began before are over,
    /// but the one that set it.
    "identity.password.changed.v1" => PasswordChanged about user {
        user: UserId,
        session: Option<SessionId>,
    }
    /// An account has one more way to prove who it is: `totp` or `passkey`.
    "identity.mfa.enrolled.v1" => FactorEnrolled about user { user: UserId, method: String }
    /// An account has one less.
    "identity.mfa.removed.v1" => FactorRemoved about user { user: UserId, method: String }
    /// To itself: somebody is owed a mail. Whether there is anybody at that address is looked up
    /// after the request was answered, so that no answer tells. No secret stands here.
    "identity.mail.due.v1" => MailDue about order { order: MailOrderId, purpose: String }
}
