//! What no request does: ending what is over, hearing what others found out about a person.

use crate::accounts::{Changes, ordered};
use crate::refused::named;
use crate::standing::{Order, Standing};
use crate::store;
use identity_contract::UserId;
use identity_contract::user_auth::UserVerified;
use nexus_sdk::Delivery;
use nexus_sdk::prelude::*;

/// Bindings that one run ends.
const ENDED_MAX: i32 = 500;
/// How long it is known what became of an invitation.
const INVITES_KEPT_DAYS: i32 = 90;

/// Ends roles and invitations whose time is over.
pub async fn settle(system: System) -> Result<NoContent> {
    let end = store::roles::end_bindings(system.now(), ENDED_MAX);
    system.commit(end).await?;
    system.commit(store::organisations::expire_invites(system.now())).await
}

pub async fn purge(system: System) -> Result<NoContent> {
    let before = system.now() - days(INVITES_KEPT_DAYS);
    system.commit(store::organisations::purge_invites(before)).await
}

/// An address was proven; whoever was invited by it is active from now on.
pub async fn on_verified(ctx: Ctx, verified: UserVerified) -> Result<NoContent> {
    match store::accounts::find_if_any(ctx.db(), verified.id).await? {
        Some(account) if !account.email_verified && account.status != Standing::Erased => {
            let changes = Changes { email_verified: Some(true), ..Changes::default() };
            let write = store::accounts::edit(account.id, None, &changes, ctx.now());
            ctx.commit(named(write)).await
        }
        _ => ctx.commit([]).await,
    }
}

/// Whoever may demand it has demanded that a person be forgotten.
pub async fn on_erasure(ctx: Ctx, delivery: Delivery) -> Result<NoContent> {
    #[derive(Deserialize)]
    struct Requested {
        user: UserId,
    }
    let requested: Requested =
        serde_json::from_slice(&delivery.payload).context("read audit.erasure.requested.v1")?;
    match store::accounts::find_if_any(ctx.db(), requested.user).await? {
        Some(account) if account.status != Standing::Erased => {
            ctx.commit(ordered(&account, Order::Erase, None, ctx.now())?).await
        }
        _ => ctx.commit([]).await,
    }
}
