//! What no request and no message does: telling of jobs that the platform has given up without
//! asking us, and of fires that never came about; forgetting what is old.

use crate::{calls, store};
use nexus_sdk::prelude::*;
use platform_contract::JobMissed;

/// The longest that a call and its bookkeeping may take, and a lease after that.
const LOST_AFTER_MINUTES: i32 = 5;

/// Finished jobs, with their attempts; as long as the platform keeps its dead letters.
const KEPT_DAYS: i32 = 30;

/// Deletions of one run, each of a bounded number.
const PURGES: usize = 20;

pub async fn settle(system: System) -> Result<NoContent> {
    bury_lost(&system).await?;
    tell_missed(&system).await?;
    Ok(NoContent)
}

/// The platform gives a job up whose host was lost at its last attempt: nobody answered for it.
async fn bury_lost(system: &System) -> Result<()> {
    let before = system.now() - minutes(LOST_AFTER_MINUTES);
    for lost in store::jobs::lost(system.db(), before).await? {
        let ctx = system.in_tenant(lost.tenant_id);
        let reason = "the host that was calling was lost, and it was the last attempt";
        let told = calls::dead(lost.id, lost.attempt, reason, lost.queue_id, lost.schedule_id);
        let bury = store::jobs::bury(lost.id, reason, ctx.now());
        match ctx.commit([bury, told]).await {
            Err(error) if error.is(&standard::Conflict) => {}
            buried => drop(buried?),
        }
    }
    Ok(())
}

async fn tell_missed(system: &System) -> Result<()> {
    for schedule in store::schedules::untold(system.db()).await? {
        let ctx = system.in_tenant(schedule.tenant_id);
        let (id, told_at, last_at) = (schedule.id, schedule.told_at, schedule.last_at);
        let missed = store::schedules::missed(ctx.db(), id, told_at, last_at).await?;
        let mut writes = vec![store::schedules::told(id, told_at, last_at)];
        writes.extend(missed.into_iter().map(|missed| {
            emit(JobMissed {
                schedule: id,
                scheduled_at: missed.scheduled_at,
                fires: missed.fires,
                reason: missed.reason.unwrap_or_default(),
            })
        }));
        match ctx.commit(writes).await {
            Err(error) if error.is(&standard::Conflict) => {}
            told => drop(told?),
        }
    }
    Ok(())
}

pub async fn purge(system: System) -> Result<NoContent> {
    let before = system.now() - days(KEPT_DAYS);
    for _ in 0..PURGES {
        system.commit(store::jobs::purge(before)).await?;
    }
    let keys = store::jobs::purge_keys(system.now());
    system.commit([keys, store::secrets::purge(before)]).await
}
