//! What time, a crash and other services cause: files that somebody stopped finishing, uploads that
//! nobody goes on with, owners who are gone.

use crate::domain::{Kind, State, Upload, UploadHeld, Way};
use crate::store::uploads::{self, Place};
use crate::{concat, direct, finish, quota, removals, turn};
use identity_contract::users::UserErased;
use media_contract::asset_pipeline::AssetDeleted;
use nexus_sdk::prelude::*;

/// Uploads that one run finishes: each may read its file once more.
const SETTLED_MAX: i64 = 20;
/// Uploads that one run forgets.
const PURGED_MAX: i64 = 500;
/// Partial uploads wait so long for their final one.
const PARTIAL_AGE_MAX: nexus_sdk::chrono::TimeDelta = hours(24);
/// Uploads of one owner that go at once; the rest when the event comes again.
const ERASED_MAX: i64 = 1_000;

/// Finishes what a host that died, or a store that was away, has left unfinished.
pub async fn settle(system: System) -> Result<NoContent> {
    for Place { tenant_id, id } in uploads::unsettled(system.db(), SETTLED_MAX).await? {
        let by = system.in_tenant(tenant_id);
        let settled = go_on(&by, id).await;
        // Another host may have been faster; everything else is tried again.
        if !matches!(&settled, Err(error) if error.is(&UploadHeld)) {
            settled.or_log("finish an upload");
        }
    }
    removals::sweep_all(&system).await?;
    Ok(NoContent)
}

async fn go_on(by: &Ctx, id: media_contract::UploadId) -> Result<()> {
    let upload: Upload = uploads::of_anybody(by.db(), id).await?;
    if upload.kind == Kind::Final && upload.state == State::Receiving {
        let bounds = quota::bounds().await?;
        return concat::join(by, id, bounds).await.map(drop);
    }
    let (holder, upload) = turn::take(by, id).await?;
    let done = match upload.way {
        Way::Resumable => finish::go_on(by, upload, holder).await,
        Way::Direct | Way::DirectParts => direct::go_on(by, upload, holder).await,
    };
    turn::or_release(by, id, holder, done).await
}

/// Forgets what was not finished in time.
pub async fn purge(system: System) -> Result<NoContent> {
    let now = system.now();
    let mut over = uploads::expired(system.db(), now, PURGED_MAX).await?;
    over.extend(uploads::unused(system.db(), now - PARTIAL_AGE_MAX, PURGED_MAX).await?);
    for Place { tenant_id, id } in over {
        let by = system.in_tenant(tenant_id);
        by.commit(uploads::forget(id, now)).await.or_log("forget an upload");
    }
    removals::sweep_all(&system).await?;
    Ok(NoContent)
}

/// An asset is gone, so nobody needs its original.
pub async fn on_asset_deleted(ctx: Ctx, event: AssetDeleted) -> Result<NoContent> {
    ctx.commit(uploads::forget(event.upload, ctx.now())).await?;
    removals::sweep(&ctx).await;
    Ok(NoContent)
}

/// Nothing of somebody who is erased stays.
pub async fn on_user_erased(ctx: Ctx, event: UserErased) -> Result<NoContent> {
    let all = uploads::of_owner(ctx.db(), event.id.into(), ERASED_MAX).await?;
    let is_rest = all.len() as i64 == ERASED_MAX;
    let writes: Vec<Write> = all.iter().map(|place| uploads::forget(place.id, ctx.now())).collect();
    // What is left, or written to at this moment, goes when the event comes again.
    let soon = std::time::Duration::from_secs(10);
    if is_rest {
        ctx.aside().commit(writes).await?;
        return Err(nexus_sdk::release_after(soon));
    }
    match ctx.commit(writes).await {
        Err(error) if error.is(&UploadHeld) => Err(nexus_sdk::release_after(soon)),
        other => {
            other?;
            removals::sweep(&ctx).await;
            Ok(NoContent)
        }
    }
}
