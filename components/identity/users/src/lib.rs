//! Users: who there is, where they belong, which roles they have, and what follows from that.
//! Knows accounts, organisations, roles, directories (SCIM 2.0) and relations; tells the platform
//! what each may do in the commit that changes it. Refuses to know how somebody proves who they
//! are: that is `user-auth`.

mod accounts;
mod bindings;
mod fields;
mod groups;
mod internal;
mod invites;
mod me;
mod organisations;
mod permission;
mod refused;
mod relations;
mod roles;
mod scim;
mod standing;
mod store;
mod sweeps;
mod tenants;

use identity_contract::user_auth::UserVerified;
use identity_contract::users::{InviteDue, RoleChanged};
use nexus_sdk::Delivery;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    View = "users:view";
    /// Accounts, organisations and the tenant's policy.
    Manage = "users:manage";
    /// Giving and taking roles, and making them.
    Roles = "users:roles";
    /// Making tenants, from the first one.
    Tenants = "users:tenants";
    /// Deciding about one organisation; held for it.
    Organisation = "users:organisation";
    /// Asking what somebody else may do.
    Check = "users:check";
    /// What a directory does: provisioning accounts and groups.
    Directory = "users:scim";
    /// Saying how things are related, and what that means.
    Relate = "users:relate"
}

nexus_sdk::service! {
    http: router,
    root: protocol,
    events: {
        "identity.user.verified.v1" => on_verified,
        "identity.role.changed.v1" => on_role_changed,
        "identity.invite.due.v1" => on_invite_due,
        "audit.erasure.requested.v1" => on_erasure,
    },
    cron: [settle, purge],
}

fn router() -> Router {
    Router::new()
        .merge(accounts::router())
        .merge(me::router())
        .merge(organisations::router())
        .merge(invites::router())
        .merge(roles::router())
        .merge(bindings::router())
        .merge(tenants::router())
        .merge(groups::router())
        .merge(relations::router())
        .merge(internal::router())
}

fn protocol() -> Router {
    scim::router()
}

async fn on_verified(ctx: Ctx, verified: UserVerified) -> Result<NoContent> {
    sweeps::on_verified(ctx, verified).await
}

async fn on_role_changed(ctx: Ctx, changed: RoleChanged) -> Result<NoContent> {
    roles::on_changed(ctx, changed).await
}

async fn on_invite_due(ctx: Ctx, due: InviteDue) -> Result<NoContent> {
    invites::on_due(ctx, due).await
}

async fn on_erasure(ctx: Ctx, delivery: Delivery) -> Result<NoContent> {
    sweeps::on_erasure(ctx, delivery).await
}

async fn settle(system: System) -> Result<NoContent> {
    sweeps::settle(system).await
}

async fn purge(system: System) -> Result<NoContent> {
    sweeps::purge(system).await
}
