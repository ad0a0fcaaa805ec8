//! What the tables of `0010_rollouts.sql` hold, as values.

use crate::error::Error;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::SystemTime;
use tokio_postgres::Row;
use uuid::Uuid;

/// Shares of revisions by number, per 10,000 and 10,000 together.
pub type Weights = BTreeMap<u32, u16>;

/// Where a rollout is. Four are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its signature and its grants are judged.
    Verifying,
    /// Every host compiles it.
    Compiling,
    /// The database is made ready for it.
    Migrating,
    /// Every host asks it whether it is well.
    Probing,
    /// It is there, without a share.
    Staged,
    /// It has the share of a step.
    Stepping,
    /// It has all, and every host is told.
    Promoting,
    /// What it took over from finishes its calls.
    Draining,
    Done,
    /// Every host goes back to what was before.
    RollingBack,
    RolledBack,
    Failed,
    Paused,
    Aborted,
}

impl State {
    const ALL: [(Self, &str); 14] = [
        (Self::Verifying, "verifying"),
        (Self::Compiling, "compiling"),
        (Self::Migrating, "migrating"),
        (Self::Probing, "probing"),
        (Self::Staged, "staged"),
        (Self::Stepping, "stepping"),
        (Self::Promoting, "promoting"),
        (Self::Draining, "draining"),
        (Self::Done, "done"),
        (Self::RollingBack, "rolling_back"),
        (Self::RolledBack, "rolled_back"),
        (Self::Failed, "failed"),
        (Self::Paused, "paused"),
        (Self::Aborted, "aborted"),
    ];

    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        let all = Self::ALL.iter();
        all.into_iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }

    /// What a word means, if anything.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
    }

    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::RolledBack | Self::Failed | Self::Aborted)
    }
}

/// A rollout as everybody sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutRow {
    pub id: Uuid,
    pub component: String,
    pub revision: u32,
    /// What had the greatest share before.
    pub baseline: Option<u32>,
    /// The weights before.
    pub before: Option<Weights>,
    pub plan: Value,
    /// `deploy`, `rollback` or `configuration`.
    pub kind: String,
    pub state: State,
    /// Where a paused one goes on, how one that rolls back ends.
    pub onward: Option<State>,
    /// -1 before the first.
    pub step: i32,
    pub weight: u16,
    pub entered_at: SystemTime,
    pub settled_at: Option<SystemTime>,
    /// Of the traffic that it has set last.
    pub sequence: Option<i64>,
    pub reason: String,
    pub note: String,
    pub created_at: SystemTime,
    pub created_by: String,
    pub finished_at: Option<SystemTime>,
}

/// Something that happened in a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    pub at: SystemTime,
    pub state: State,
    pub weight: u16,
    pub words: String,
    pub by: String,
}

/// Nobody changes a component, or any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeRow {
    pub id: Uuid,
    pub component: Option<String>,
    pub reason: String,
    pub created_at: SystemTime,
    pub created_by: String,
}

pub(super) const ROLLOUT: &str = "r.id, r.component, r.revision, r.baseline, r.before, r.plan, \
    r.kind, r.state, r.onward, r.step, r.weight, r.entered_at, r.settled_at, r.sequence, r.reason, \
    r.note, r.created_at, r.created_by, r.finished_at";

pub(super) fn rollout(row: &Row) -> Result<RolloutRow, Error> {
    let baseline: Option<i32> = row.try_get("baseline")?;
    let before: Option<Value> = row.try_get("before")?;
    Ok(RolloutRow {
        id: row.try_get("id")?,
        component: row.try_get("component")?,
        revision: number(row.try_get("revision")?),
        baseline: baseline.map(number),
        before: before.as_ref().map(weights),
        plan: row.try_get("plan")?,
        kind: row.try_get("kind")?,
        state: state(row.try_get("state")?),
        onward: row.try_get::<_, Option<&str>>("onward")?.map(state),
        step: row.try_get("step")?,
        weight: share(row.try_get("weight")?),
        entered_at: row.try_get("entered_at")?,
        settled_at: row.try_get("settled_at")?,
        sequence: row.try_get("sequence")?,
        reason: row.try_get("reason")?,
        note: row.try_get("note")?,
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
        finished_at: row.try_get("finished_at")?,
    })
}

pub(super) fn event(row: &Row) -> Result<EventRow, Error> {
    Ok(EventRow {
        at: row.try_get("at")?,
        state: state(row.try_get("state")?),
        weight: share(row.try_get("weight")?),
        words: row.try_get("words")?,
        by: row.try_get("by")?,
    })
}

pub(super) fn freeze(row: &Row) -> Result<FreezeRow, Error> {
    Ok(FreezeRow {
        id: row.try_get("id")?,
        component: row.try_get("component")?,
        reason: row.try_get("reason")?,
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
    })
}

/// The table's check knows no other words.
fn state(word: &str) -> State {
    State::of(word).unwrap_or(State::Failed)
}

pub(super) fn number(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

pub(super) fn share(weight: i32) -> u16 {
    u16::try_from(weight).unwrap_or_default()
}

pub(super) fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// `{"7": 9000, "8": 1000}`.
pub(super) fn weights(value: &Value) -> Weights {
    let object = value.as_object().into_iter().flatten();
    object
        .filter_map(|(key, weight)| {
            Some((key.parse().ok()?, u16::try_from(weight.as_u64()?).ok()?))
        })
        .collect()
}

pub(super) fn weights_value(weights: &Weights) -> Value {
    let entries = weights.iter().map(|(number, weight)| (number.to_string(), (*weight).into()));
    Value::Object(Map::from_iter(entries))
}
