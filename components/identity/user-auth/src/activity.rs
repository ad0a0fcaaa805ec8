//! What was tried with one's own account, and what becomes of a person's credentials when `users`
//! says that the person is suspended or gone.

use crate::account::user_of;
use crate::store;
use crate::store::attempts::Attempt;
use identity_contract::users::{UserErased, UserSuspended};
use nexus_sdk::prelude::*;

/// How long attempts are kept.
const ATTEMPT_DAYS: i32 = 90;
/// A place that was not used for so long is a new one.
const DEVICE_DAYS: i32 = 180;
/// Nobody waits longer for anything that is counted.
const THROTTLE_HOURS: i32 = 2;

pub fn router() -> Router {
    Router::new().route("/activity", get(list))
}

/// Newest first, of 90 days.
async fn list(by: SignedIn, cursor: Cursor) -> Result<Page<Attempt>> {
    store::attempts::list(by.db(), user_of(&by)?, &cursor).await
}

/// Nothing that was under way goes on. Passwords and passkeys stay: the suspension may end.
pub async fn on_suspended(ctx: Ctx, event: UserSuspended) -> Result<NoContent> {
    ctx.commit(store::erasure::under_way(event.id)).await
}

/// All that is known about a person goes.
pub async fn on_erased(ctx: Ctx, event: UserErased) -> Result<NoContent> {
    let mut writes = store::erasure::under_way(event.id);
    writes.extend(store::erasure::everything(event.id));
    ctx.commit(writes).await
}

/// What has run out by itself.
pub async fn purge_expired(system: System) -> Result<NoContent> {
    let now = system.now();
    system
        .commit([
            store::flows::purge(now),
            store::flows::purge_ceremonies(now),
            store::registrations::purge_links(now),
            store::registrations::purge_registrations(now),
            store::orders::purge(now - days(1)),
            store::attempts::purge(now - days(ATTEMPT_DAYS)),
            store::attempts::purge_devices(now - days(DEVICE_DAYS)),
        ])
        .await
}

/// Counts that no longer hold anybody up.
pub async fn release_locks(system: System) -> Result<NoContent> {
    system.commit(store::throttle::purge(system.now() - hours(THROTTLE_HOURS))).await
}
