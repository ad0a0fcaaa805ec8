//! What a rollout under way has counted and what its gates make of that, as its controller sees it
//! at the same moment. Refuses to judge: that is `nexus_rollout::judge`.

use nexus_rollout::{Judgement, Plan, Tally, judge};
use nexus_storage::Error;
use nexus_storage::rollouts::{RolloutRow, Rollouts};
use serde_json::{Value, json};

/// The new revision since its step began, beside the one that served before since the first step;
/// null before any step and where nothing served before.
///
/// # Errors
///
/// When the database does not answer.
pub(crate) async fn of(store: &Rollouts, row: &RolloutRow) -> Result<Value, Error> {
    let marks = store.marks(row.id).await?;
    let Some(baseline) = row.baseline.filter(|_| row.step >= 0) else { return Ok(Value::Null) };
    let now = store.samples(&row.component).await?;
    let new = Tally::between(row.revision, &marks.step, &now);
    let before = Tally::between(baseline, &marks.first, &now);
    let plan: Plan = serde_json::from_value(row.plan.clone()).unwrap_or_default();
    let (verdict, words) = match plan.gates.as_ref().map(|gates| judge(&new, &before, gates)) {
        None => ("none", "No gate watches it.".to_owned()),
        Some(Judgement::Pass) => ("pass", "Nothing speaks against it.".to_owned()),
        Some(Judgement::TooFew(missing)) => {
            ("too_few", format!("{missing} more calls are needed before that can be said."))
        }
        Some(Judgement::Fail(reason)) => ("fail", reason),
    };
    Ok(json!({
        "new": tally(&new), "baseline": tally(&before), "verdict": verdict, "words": words,
    }))
}

fn tally(tally: &Tally) -> Value {
    let rate = (tally.calls > 0).then(|| tally.errors as f64 / tally.calls as f64);
    json!({
        "calls": tally.calls,
        "errors": tally.errors,
        "error_rate": rate,
        "traps": tally.traps,
        "p50_seconds": tally.latency.quantile(0.5),
        "p99_seconds": tally.latency.quantile(0.99),
    })
}

/// Which living hosts serve what the rollout asks for by now.
///
/// # Errors
///
/// As [`of`].
pub(super) async fn hosts(store: &Rollouts, row: &RolloutRow) -> Result<Value, Error> {
    let found = store.followers(row.id, &row.component, row.sequence).await?;
    let one = |follower: &nexus_storage::rollouts::Follower| {
        json!({
            "name": follower.host,
            "applied": follower.has_applied,
            "draining": follower.draining,
            "failure": follower.failure,
        })
    };
    Ok(found.iter().map(one).collect())
}
