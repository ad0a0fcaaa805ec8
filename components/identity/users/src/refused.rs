//! What the functions of the migrations refuse, in words for the caller.

use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    EmailTaken = 409, "an account with this address exists";
    UserNameTaken = 409, "an account with this user name exists";
    ExternalIdTaken = 409, "an account with this external id exists";
    QuotaReached = 409, "this tenant has as many accounts as it may have";
    LastAdministrator = 409, "this would leave the tenant without an administrator";
    LastOwner = 409, "this would leave the organisation without an owner";
    PermissionsMax = 409, "this would give more than 1000 permissions to one account";
    BindingsMax = 409, "an account has at most 200 roles";
    RoleScope = 422, "this role cannot be given there";
    RoleInUse = 409, "somebody has this role; take it away first";
    RoleNameTaken = 409, "a role with this name exists";
    RolePermissions = 422, "a role of an organisation holds neither * nor users:*";
    NoSuchAccount = 422, "there is no such account, or it is gone";
    NoSuchMember = 404, "this is no member of the organisation";
    OrganisationGone = 409, "the organisation has ended";
    OrganisationsMax = 409, "somebody makes at most 50 organisations";
    SlugTaken = 409, "an organisation with this slug exists";
    MembersMax = 409, "an organisation has at most 10000 members";
    MembershipsMax = 409, "somebody belongs to at most 100 organisations";
    AlreadyInvited = 409, "this address has been invited already";
    GroupNameTaken = 409, "a group with this name exists";
    GroupExternalIdTaken = 409, "a group with this external id exists"
}

/// The write, with all that the migrations may refuse named.
pub fn named(write: Write) -> Write {
    [
        ("account_email", EmailTaken),
        ("account_user_key", UserNameTaken),
        ("account_external_id", ExternalIdTaken),
        ("account_changed", standard::Conflict),
        ("users_quota", QuotaReached),
        ("last_administrator", LastAdministrator),
        ("last_owner", LastOwner),
        ("permissions_max", PermissionsMax),
        ("bindings_max", BindingsMax),
        ("role_scope", RoleScope),
        ("role_in_use", RoleInUse),
        ("role_name", RoleNameTaken),
        ("role_changed", standard::Conflict),
        ("role_organisation_permissions", RolePermissions),
        ("no_such_account", NoSuchAccount),
        ("no_such_binding", standard::NotFound),
        ("no_such_member", NoSuchMember),
        ("binding_membership", NoSuchMember),
        ("organisation_gone", OrganisationGone),
        ("organisation_changed", standard::Conflict),
        ("organisations_max", OrganisationsMax),
        ("organisation_slug", SlugTaken),
        ("members_max", MembersMax),
        ("memberships_max", MembershipsMax),
        ("invite_pending", AlreadyInvited),
        ("group_changed", standard::Conflict),
        ("directory_group_display_key", GroupNameTaken),
        ("directory_group_external_id", GroupExternalIdTaken),
    ]
    .into_iter()
    .fold(write, |write, (constraint, refusal)| write.on_conflict_refuse(constraint, refusal))
}
