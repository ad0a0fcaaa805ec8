//! Rollouts as a stream tells them: each time one is in another state or has another share, and for
//! who asks what those under way have counted. Looked up in the database, so that a stream tells of
//! every host's.

use crate::Facts;
use crate::deploy::figures;
use crate::operate::instant;
use nexus_storage::rollouts::{RolloutRow, Rollouts, State};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

/// Between two looks: a step takes longer.
const EVERY: Duration = Duration::from_secs(1);
/// The latest ones; those that are under way are among them.
const LOOKED_AT: u32 = 50;

/// What one stream has told.
#[derive(Default)]
pub(super) struct Told {
    known: BTreeMap<Uuid, (State, u16)>,
    looked: Option<Instant>,
}

impl Told {
    /// What is new since the last look; nothing while it is not time yet, or the database is away.
    pub(super) async fn news(&mut self, facts: &Facts) -> Vec<Value> {
        if self.looked.is_some_and(|looked| looked.elapsed() < EVERY) {
            return Vec::new();
        }
        let Some(stores) = facts.operated() else { return Vec::new() };
        let rollouts = Rollouts::new(stores.database().clone());
        match rollouts.list(None, None, None, LOOKED_AT).await {
            Ok(mut rows) => {
                rows.reverse();
                self.compare(rows)
            }
            Err(error) => {
                tracing::debug!(%error, "a stream finds no database");
                Vec::new()
            }
        }
    }

    /// At the first look, what is over already is no news.
    fn compare(&mut self, rows: Vec<RolloutRow>) -> Vec<Value> {
        let is_first = self.looked.replace(Instant::now()).is_none();
        let before = std::mem::take(&mut self.known);
        let mut news = Vec::new();
        for row in rows {
            let now = (row.state, row.weight);
            self.known.insert(row.id, now);
            if before.get(&row.id) != Some(&now) && !(is_first && row.state.is_final()) {
                news.push(describe(&row));
            }
        }
        news
    }
}

/// What one stream has told of the figures of rollouts under way.
#[derive(Default)]
pub(super) struct Figures {
    known: BTreeMap<Uuid, Value>,
    looked: Option<Instant>,
}

impl Figures {
    /// Figures that are others than at the last look, each with its rollout.
    pub(super) async fn news(&mut self, facts: &Facts, component: Option<&str>) -> Vec<Value> {
        if self.looked.is_some_and(|looked| looked.elapsed() < EVERY) {
            return Vec::new();
        }
        self.looked = Some(Instant::now());
        let Some(stores) = facts.operated() else { return Vec::new() };
        match under_way(&Rollouts::new(stores.database().clone()), component).await {
            Ok(found) => self.compare(found),
            Err(error) => {
                tracing::debug!(%error, "a stream finds no figures");
                Vec::new()
            }
        }
    }

    fn compare(&mut self, found: Vec<(Uuid, Value)>) -> Vec<Value> {
        let before = std::mem::take(&mut self.known);
        let mut news = Vec::new();
        for (id, mut figures) in found {
            self.known.insert(id, figures.clone());
            if before.get(&id) != Some(&figures) {
                figures["rollout"] = id.to_string().into();
                news.push(figures);
            }
        }
        news
    }
}

async fn under_way(
    store: &Rollouts,
    component: Option<&str>,
) -> Result<Vec<(Uuid, Value)>, nexus_storage::Error> {
    let mut found = Vec::new();
    for row in store.open().await? {
        if component.is_none_or(|wanted| wanted == row.component) {
            found.push((row.id, figures::of(store, &row).await?));
        }
    }
    Ok(found)
}

fn describe(row: &RolloutRow) -> Value {
    json!({
        "at": instant::text(SystemTime::now()),
        "id": row.id,
        "component": row.component,
        "revision": row.revision,
        "from": row.baseline,
        "kind": row.kind,
        "state": row.state.as_str(),
        "weight": row.weight,
        "step": row.step,
        "reason": row.reason,
        "by": row.created_by,
        "created_at": instant::text(row.created_at),
        "finished_at": instant::maybe(row.finished_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u128, state: State, weight: u16) -> RolloutRow {
        RolloutRow {
            id: Uuid::from_u128(id),
            component: "catalog".into(),
            revision: 2,
            baseline: Some(1),
            before: None,
            plan: Value::Null,
            kind: "deploy".into(),
            state,
            onward: None,
            step: 0,
            weight,
            entered_at: SystemTime::UNIX_EPOCH,
            settled_at: None,
            sequence: None,
            reason: String::new(),
            note: String::new(),
            created_at: SystemTime::UNIX_EPOCH,
            created_by: "root".into(),
            finished_at: None,
        }
    }

    #[test]
    fn a_rollout_is_told_when_it_moves_and_not_when_it_was_over_before() {
        let mut told = Told::default();
        let first = told.compare(vec![row(1, State::Done, 10_000), row(2, State::Stepping, 100)]);
        assert_eq!(first.len(), 1);
        assert_eq!((&first[0]["state"], &first[0]["weight"]), (&json!("stepping"), &json!(100)));
        assert!(told.compare(vec![row(2, State::Stepping, 100)]).is_empty());
        assert_eq!(told.compare(vec![row(2, State::Stepping, 1_000)]).len(), 1);
        let over = told.compare(vec![row(2, State::Done, 10_000), row(3, State::Failed, 0)]);
        assert_eq!(over.len(), 2, "what began and ended between two looks is told, too");
    }

    #[test]
    fn figures_are_told_again_only_when_they_are_others() {
        let mut told = Figures::default();
        let (id, figures) = (Uuid::from_u128(7), |calls: u32| json!({ "new": { "calls": calls } }));
        let first = told.compare(vec![(id, figures(1))]);
        assert_eq!(first[0]["rollout"], id.to_string());
        assert!(told.compare(vec![(id, figures(1))]).is_empty());
        assert_eq!(told.compare(vec![(id, figures(2))])[0]["new"]["calls"], 2);
    }
}
