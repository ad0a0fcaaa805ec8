//! What a controller does by itself, for the journal of operators: how rollouts end, and that they
//! go back. Refuses to keep a rollout waiting for it.

use crate::Inner;
use nexus_storage::audit::{Audit, Entry, Outcome};
use nexus_storage::rollouts::{Move, RolloutRow, State};
use serde_json::json;

pub(crate) async fn note(inner: &Inner, row: &RolloutRow, to: &Move<'_>) {
    let action = match to.to {
        State::Done => "rollout.done",
        State::RollingBack => "rollout.rolling_back",
        State::RolledBack => "rollout.rolled_back",
        State::Failed => "rollout.failed",
        State::Aborted => "rollout.aborted",
        _ => return,
    };
    let mut entry = Entry::new(now(), "rollout", action, Outcome::Done);
    entry.subject = Some(row.component.clone());
    entry.reason = Some(to.words.to_owned());
    entry.facts = Some(json!({ "rollout": row.id, "revision": row.revision }));
    if let Err(error) = Audit::new(inner.rollouts.database().clone()).append(&entry).await {
        tracing::warn!(%error, action, "the journal lacks a move of a rollout");
    }
}

/// RFC 3339, in UTC.
fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
