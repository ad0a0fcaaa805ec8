//! Profiles: who somebody is to others and how they like things. Handles, pictures, links, who may
//! see which of it, preferences, and the people of a household. Refuses to know addresses,
//! permissions and credentials (`users`, `user-auth`), and who follows whom.

mod avatars;
mod fields;
mod handle;
mod hearing;
mod internal;
mod merge_patch;
mod moderation;
mod own;
mod picture;
mod pins;
mod preferences;
mod shown;
mod store;
mod subprofiles;
mod visibility;

use identity_contract::user_auth::UserRegistered;
use identity_contract::users::{UserCreated, UserErased};
use nexus_sdk::Delivery;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    /// Looking through all profiles.
    View = "profiles:view";
    /// Giving and taking the badge, and removing what nobody should have to see.
    Moderate = "profiles:moderate"
}

nexus_sdk::service! {
    http: router,
    events: {
        "identity.user.created.v1" => on_created,
        "identity.user.registered.v1" => on_registered,
        "identity.user.suspended.v1" => on_standing,
        "identity.user.reinstated.v1" => on_standing,
        "identity.user.deactivated.v1" => on_standing,
        "identity.user.erased.v1" => on_erased,
        "identity.org.member_added.v1" => on_membership,
        "identity.org.member_removed.v1" => on_membership,
    },
    cron: [release_handles, sweep_avatars],
}

fn router() -> Router {
    Router::new()
        .merge(own::router())
        .merge(preferences::router())
        .merge(avatars::router())
        .merge(subprofiles::router())
        .merge(pins::router())
        .merge(shown::router())
        .merge(moderation::router())
        .merge(internal::router())
}

async fn on_created(ctx: Ctx, created: UserCreated) -> Result<NoContent> {
    hearing::on_created(ctx, created).await
}

async fn on_registered(ctx: Ctx, registered: UserRegistered) -> Result<NoContent> {
    hearing::on_registered(ctx, registered).await
}

async fn on_standing(ctx: Ctx, delivery: Delivery) -> Result<NoContent> {
    hearing::on_standing(ctx, delivery).await
}

async fn on_erased(ctx: Ctx, erased: UserErased) -> Result<NoContent> {
    hearing::on_erased(ctx, erased).await
}

async fn on_membership(ctx: Ctx, delivery: Delivery) -> Result<NoContent> {
    hearing::on_membership(ctx, delivery).await
}

async fn release_handles(system: System) -> Result<NoContent> {
    system.commit(store::handles::release(system.now())).await
}

async fn sweep_avatars(system: System) -> Result<NoContent> {
    avatars::sweep(system).await
}
