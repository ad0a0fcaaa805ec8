//! What no request and no event does: looking after assets and tracks of which a word was lost,
//! replacing keys that are old, and collecting packages that nobody plays any more.

use crate::flow::{self, Cause};
use crate::{objects, store};
use media_contract::drm::ProtectionOrdered;
use nexus_sdk::prelude::*;

/// A part of a track takes seconds; a message that was tried in vain waits longer each time.
const SILENT_AFTER_MINUTES: i32 = 10;
/// What was being written when a package was given up arrives.
const WITHDRAWN_AFTER_SECONDS: i32 = 30;
/// Whoever plays a package when another takes its place plays it to the end.
const REPLACED_AFTER_HOURS: i32 = 24;
/// After this nobody writes into a package any more that was given up.
const SETTLED_AFTER_MINUTES: i32 = 15;

pub async fn sweep(system: System) -> Result<NoContent> {
    let now = system.now();
    for astray in store::assets::astray(system.db()).await? {
        let ctx = system.in_tenant(astray.tenant_id);
        let turned = flow::turn(&ctx, astray.id, Cause::default(), &Vec::new, &|_| {}).await;
        // Somebody else sees to it at this moment.
        turned.or_else(
            |error| if error.is(&standard::Conflict) { Ok(NoContent) } else { Err(error) },
        )?;
    }
    for silent in store::tracks::silent(system.db(), now - minutes(SILENT_AFTER_MINUTES)).await? {
        let ctx = system.in_tenant(silent.tenant_id);
        let (package, first) = (silent.package_id, silent.next);
        let ordered = store::tracks::ordered(package, &silent.name, now);
        let order = ProtectionOrdered { package, track: silent.name, first };
        ctx.commit([ordered, emit(order)]).await?;
    }
    Ok(NoContent)
}

/// Another package with other keys for each whose keys are as old as their policy allows.
pub async fn rotate(system: System) -> Result<NoContent> {
    for worn in store::packages::worn(system.db(), system.now()).await? {
        let ctx = system.in_tenant(worn.tenant_id);
        let cause = Cause { done: None, renews: Some(worn.id) };
        flow::turn(&ctx, worn.asset_id, cause, &Vec::new, &|_| {}).await?;
    }
    Ok(NoContent)
}

/// Removes the objects of packages that nobody plays, and with the last of them their keys.
pub async fn collect(system: System) -> Result<NoContent> {
    let now = system.now();
    let withdrawn = now - seconds(WITHDRAWN_AFTER_SECONDS);
    let replaced = now - hours(REPLACED_AFTER_HOURS);
    for retired in store::packages::retired(system.db(), withdrawn, replaced).await? {
        let is_empty = objects::remove_package(retired.id).await?;
        if is_empty && retired.since < now - minutes(SETTLED_AFTER_MINUTES) {
            let ctx = system.in_tenant(retired.tenant_id);
            ctx.commit(Vec::from(store::packages::forget(retired.id))).await?;
        }
    }
    Ok(NoContent)
}
