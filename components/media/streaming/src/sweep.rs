//! What no request does: ending players that nothing is heard of, and telling of ends.

use crate::{domain, sessions, store};
use nexus_sdk::prelude::*;

/// Ends told in one run; the next one is a minute later.
const TOLD_MAX: usize = 2000;
/// After this nobody asks how a playback went.
const KEPT_DAYS: i32 = 30;

pub async fn sweep(system: System) -> Result<NoContent> {
    let now = system.now();
    system.commit(store::sessions::end_stale(domain::stale_before(now), now)).await?;
    let mut told = 0;
    while told < TOLD_MAX {
        let some = store::sessions::untold(system.db()).await?;
        if some.is_empty() {
            break;
        }
        for ended in some {
            let ctx = system.in_tenant(ended.tenant_id);
            let [over, used] = sessions::told(&ended.session);
            ctx.commit([store::sessions::told(ended.session.id, now), over, used]).await?;
            told += 1;
        }
    }
    system.commit(store::sessions::purge(now - days(KEPT_DAYS))).await
}
