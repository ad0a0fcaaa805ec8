//! The facts that `users` publishes.

use crate::{OrganisationId, UserId};

nexus_sdk::event! {
    /// Somebody has an account.
    "identity.user.created.v1" => UserCreated {
        id: UserId,
        display_name: Option<String>,
        locale: Option<String>,
    }
    /// An account may not be used for the time being.
    "identity.user.suspended.v1" => UserSuspended { id: UserId, reason: Option<String> }
    /// An account may be used again.
    "identity.user.reinstated.v1" => UserReinstated { id: UserId }
    /// An account is gone, and whoever keeps something about that person removes it.
    "identity.user.erased.v1" => UserErased { id: UserId }
    /// An organisation exists.
    "identity.org.created.v1" => OrganisationCreated { id: OrganisationId, name: String }
}
