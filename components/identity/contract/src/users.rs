//! The facts that `users` publishes.

use crate::{InviteId, OrganisationId, RoleId, UserId};

nexus_sdk::event! {
    /// Somebody has an account.
    "identity.user.created.v1" => UserCreated {
        id: UserId,
        display_name: Option<String>,
        locale: Option<String>,
    }
    /// Somebody was given an account and has to prove the address before it can be used.
    "identity.user.invited.v1" => UserInvited { id: UserId }
    /// Name, locale or address of an account are others.
    "identity.user.updated.v1" => UserUpdated { id: UserId }
    /// An account may not be used for the time being.
    "identity.user.suspended.v1" => UserSuspended { id: UserId, reason: Option<String> }
    /// An account may be used again.
    "identity.user.reinstated.v1" => UserReinstated { id: UserId }
    /// Somebody has left; the account can be reinstated.
    "identity.user.deactivated.v1" => UserDeactivated { id: UserId }
    /// An account is gone, and whoever keeps something about that person removes it.
    "identity.user.erased.v1" => UserErased { id: UserId }
    /// An organisation exists.
    "identity.org.created.v1" => OrganisationCreated { id: OrganisationId, name: String }
    /// An organisation has another name.
    "identity.org.renamed.v1" => OrganisationRenamed { id: OrganisationId, name: String }
    /// An organisation has ended; nobody acts for it any more.
    "identity.org.archived.v1" => OrganisationArchived { id: OrganisationId }
    /// Somebody belongs to an organisation.
    "identity.org.member_added.v1" => MemberAdded about organisation {
        organisation: OrganisationId,
        user: UserId,
    }
    /// Somebody does not belong to an organisation any more.
    "identity.org.member_removed.v1" => MemberRemoved about organisation {
        organisation: OrganisationId,
        user: UserId,
    }
    /// Somebody was given a role.
    "identity.role.granted.v1" => RoleGranted about user {
        user: UserId,
        role: RoleId,
        /// Null in the tenant.
        organisation: Option<OrganisationId>,
        /// Who gave it.
        by: String,
    }
    /// A role was taken from somebody.
    "identity.role.revoked.v1" => RoleRevoked about user {
        user: UserId,
        role: RoleId,
        organisation: Option<OrganisationId>,
        by: String,
    }
    /// A role means something else. `users` tells itself, to reach all who have it.
    "identity.role.changed.v1" => RoleChanged { id: RoleId }
    /// An invitation is to be written. `users` tells itself: the secret of the link is made when
    /// the letter is, and stands in no event.
    "identity.invite.due.v1" => InviteDue { id: InviteId }
    /// An invitation was accepted.
    "identity.invite.accepted.v1" => InviteAccepted {
        id: InviteId,
        user: UserId,
        organisation: Option<OrganisationId>,
    }
}
