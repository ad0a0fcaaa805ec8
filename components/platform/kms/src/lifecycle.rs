//! What happens to keys by themselves: they rotate, take over, are destroyed, are wrapped anew
//! under another root key, and are forgotten with the person whose they were.

use crate::place::owner_of;
use crate::tenant_key::{self, TenantKey};
use crate::usage::{MESSAGES_ROTATE, hour_of};
use crate::{keys, random, store};
use identity_contract::users::UserErased;
use nexus_sdk::prelude::*;
use platform_contract::kms::KeyUsed;

/// Of one kind within one run; the next run takes the rest.
const BATCH: i64 = 200;

/// A month by the hour, then a year by the day.
const HOURS_KEPT_DAYS: i32 = 30;
const USAGE_KEPT_DAYS: i32 = 400;

/// One key that cannot be rotated holds up no other.
pub async fn rotate_due(system: System) -> Result<NoContent> {
    for key in store::keys::due_to_activate(system.db(), system.now(), BATCH).await? {
        let by = system.in_tenant(key.tenant_id.into());
        let versions = store::keys::versions(by.db(), &key).await?;
        let due = |version: &&keys::KeyVersion| {
            version.activates_at.is_some_and(|instant| instant <= by.now())
        };
        if let Some(version) = versions.iter().find(due) {
            keys::activate(&by, key, version.version).await.or_log("let a version take over");
        }
    }
    let due = store::keys::due_to_rotate(system.db(), system.now(), MESSAGES_ROTATE, BATCH).await?;
    for key in due {
        let by = system.in_tenant(key.tenant_id.into());
        keys::rotate(&by, key, None).await.or_log("rotate a key that is due");
    }
    Ok(NoContent)
}

pub async fn destroy_due(system: System) -> Result<NoContent> {
    for key in store::keys::due_to_destroy(system.db(), system.now(), BATCH).await? {
        let by = system.in_tenant(key.tenant_id.into());
        by.commit(keys::destruction(&by, key)).await.or_log("destroy a key that is due");
    }
    Ok(NoContent)
}

/// Wraps tenants' keys under the current root key. What they wrap stays as it is.
pub async fn rewrap(system: System) -> Result<NoContent> {
    let by = system.in_tenant(Uuid::nil().into());
    let root = tenant_key::root(&by).await?;
    let print = root.print();
    let others = store::tenant_keys::wrapped_by_another(system.db(), &print, BATCH).await?;
    for row in others {
        let wrapped = TenantKey::unwrap(&root, row.tenant_id, &row.root, &row.wrapped)
            .map(|key| key.wrapped_by(&root, random::array()));
        let Some(wrapped) = wrapped.or_log("unwrap a tenant's key by the previous root key") else {
            continue;
        };
        let write = store::tenant_keys::rewrap(&row, &wrapped, &print, system.now());
        system.commit(write).await?;
    }
    Ok(NoContent)
}

/// Tells how keys were used in the hours that are over, and keeps old counts by the day.
pub async fn roll_up(system: System) -> Result<NoContent> {
    let over = hour_of(system.now());
    for hour in store::usage::untold(system.db(), over, BATCH).await? {
        let by = system.in_tenant(hour.tenant_id.into());
        let told = store::usage::told(&hour, system.now());
        let used = KeyUsed { id: hour.key_id, hour: hour.hour, uses: hour.uses };
        by.commit([told, emit(used)]).await?;
    }
    system
        .commit([
            store::usage::fold(system.now() - days(HOURS_KEPT_DAYS)),
            store::usage::forget(system.now() - days(USAGE_KEPT_DAYS)),
        ])
        .await
}

/// Crypto-shredding: with the keys of a person goes whatever they have encrypted or could sign.
pub async fn on_erased(ctx: Ctx, erased: UserErased) -> Result<NoContent> {
    let owner = owner_of(&erased.id.to_string());
    let keys = store::keys::of_owner(ctx.db(), &owner, BATCH).await?;
    let writes: Vec<Write> =
        keys.into_iter().flat_map(|key| keys::destruction(&ctx, key)).collect();
    ctx.commit(writes).await
}
