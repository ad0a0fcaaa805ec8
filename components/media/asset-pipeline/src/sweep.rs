//! What no request and no event does: looking after steps of which nothing is heard, putting
//! subtitles where they are missing, and collecting the packages that nobody plays any more.

use crate::domain::{StepRow, StepState};
use crate::flow::{self, Standing};
use crate::{objects, store, subtitles};
use media_contract::Reason;
use media_contract::step::{Outcome, Step, StepDone};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

/// A service that is there takes an order within a second.
const TAKEN_WITHIN: i32 = 5;
/// Its end is told by the platform, at the latest when a worker's time is over; this is longer
/// than what any step may take, attempts included.
const DONE_WITHIN_DAYS: i32 = 4;
/// What was being sent when an asset was deleted may arrive.
const DELETED_AFTER_SECONDS: i32 = 30;
/// Whoever plays a package when another takes its place plays it to the end.
const REPLACED_AFTER_HOURS: i32 = 24;
/// After this nobody writes into a package any more who was stopped.
const SETTLED_AFTER_HOURS: i32 = 1;

pub async fn sweep(system: System) -> Result<NoContent> {
    let now = system.now();
    let (untaken, unheard) = (now - minutes(TAKEN_WITHIN), now - days(DONE_WITHIN_DAYS));
    for silent in store::steps::silent(system.db(), untaken, unheard).await? {
        let ctx = system.in_tenant(silent.tenant_id);
        flow::turn(&ctx, silent.run_id, |standing| Ok(stir(standing, untaken, unheard, now)))
            .await?;
    }
    for misplaced in store::subtitles::misplaced(system.db()).await? {
        let ctx = system.in_tenant(misplaced.tenant_id);
        subtitles::place(&ctx, misplaced.asset_id).await?;
    }
    Ok(NoContent)
}

/// Asks again for what nobody took, and takes what nobody finished for failed.
fn stir(standing: &mut Standing, untaken: Time, unheard: Time, now: Time) -> bool {
    if !standing.is_wanted() {
        return false;
    }
    let (asset, run) = (standing.asset.id, standing.run.id);
    let mut stirred = false;
    for step in &mut standing.steps {
        let asked = step.state == StepState::Requested && step.requested_at < untaken;
        let begun = step.started_at.is_some_and(|started_at| started_at < unheard);
        if asked {
            // The same attempt: whoever has taken it after all takes it for told twice.
            step.requested_at = now;
        } else if step.state == StepState::Running && begun {
            let lost = lost(step);
            step.take(&StepDone { asset, run, ..lost }, now);
        }
        stirred |= asked || begun;
    }
    stirred
}

fn lost(step: &StepRow) -> StepDone {
    StepDone {
        asset: Uuid::nil().into(),
        run: Uuid::nil().into(),
        step: step.name,
        lane: step.lane(),
        attempt: step.attempt,
        outcome: Outcome::Failed,
        reason: Some(Reason { code: "lost".into(), detail: "nothing was heard of it".into() }),
        may_retry: step.name != Step::Metadata,
        result: Value::Null,
    }
}

/// Removes the objects of packages that nobody plays; looks again when an hour is over, since a
/// worker that was stopped may have been writing.
pub async fn collect(system: System) -> Result<NoContent> {
    let now = system.now();
    let deleted = now - seconds(DELETED_AFTER_SECONDS);
    let replaced = now - hours(REPLACED_AFTER_HOURS);
    for retired in store::runs::retired(system.db(), deleted, replaced).await? {
        let is_empty = objects::remove_package(retired.package_id).await?;
        if is_empty && retired.retired_at < now - hours(SETTLED_AFTER_HOURS) {
            let ctx = system.in_tenant(retired.tenant_id);
            let forget = store::subtitles::forget_placed(retired.package_id);
            ctx.commit([store::runs::collected(retired.id, now), forget]).await?;
        }
    }
    Ok(NoContent)
}
