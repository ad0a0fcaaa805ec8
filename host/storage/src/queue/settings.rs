//! What a queue is like: its kind, its bounds and its pace. Refuses to know messages.

use super::message::QueueId;
use super::millis;
use crate::error::Error;
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};
use tokio_postgres::Row;

/// Who puts messages into a queue and who takes them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An entry of a component's `subscribe`; events are fanned out to it.
    Subscription,
    /// The ticks of a component's schedules.
    Schedule,
    /// Made by a service at run time.
    Service,
    /// Claimed by native workers over HTTP, never by a host.
    Job,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Schedule => "schedule",
            Self::Service => "service",
            Self::Job => "job",
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "subscription" => Self::Subscription,
            "schedule" => Self::Schedule,
            "job" => Self::Job,
            _ => Self::Service,
        }
    }
}

/// The bounds of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Deliveries at once, over all hosts; none leaves it to each host.
    pub concurrency_max: Option<u32>,
    /// Messages per delivery, 1 to 100.
    pub batch_max: u32,
    /// How long a host may wait for a batch to fill; at most a minute.
    pub batch_wait: Duration,
    /// Time for one delivery. Past it the lease cannot be extended. At most a day.
    pub wall: Duration,
    /// How long a holder may be silent.
    pub lease: Duration,
    /// Deliveries before a message is dead.
    pub attempts_max: u32,
    /// The step after the first failure; it doubles with each, and the wait is anywhere between at
    /// once and the step (full jitter).
    pub backoff_first: Duration,
    pub backoff_max: Duration,
    /// The ordering group of a subscription's messages: `subject`, or a dotted path of the payload.
    pub ordered_by: Option<String>,
    /// Whether messages may carry a group of their own. What was grouped once stays so.
    pub grouped: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency_max: None,
            batch_max: 1,
            batch_wait: Duration::ZERO,
            wall: Duration::from_secs(300),
            lease: Duration::from_secs(60),
            attempts_max: 8,
            backoff_first: Duration::from_secs(5),
            backoff_max: Duration::from_secs(900),
            ordered_by: None,
            grouped: false,
        }
    }
}

impl Settings {
    /// As `platform.queue_set` and `platform.queue_put` take them.
    pub fn to_json(&self) -> Value {
        json!({
            "concurrency_max": self.concurrency_max,
            "batch_max": self.batch_max,
            "batch_wait_ms": millis(self.batch_wait),
            "wall_ms": millis(self.wall),
            "lease_ms": millis(self.lease),
            "attempts_max": self.attempts_max,
            "backoff_first_ms": millis(self.backoff_first),
            "backoff_max_ms": millis(self.backoff_max),
            "ordered_by": self.ordered_by,
            "grouped": self.grouped,
        })
    }
}

/// Where a new subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With what is published after it was made.
    #[default]
    Now,
    /// With the oldest event that the store still has.
    Earliest,
}

/// One entry of a component's `subscribe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionSpec {
    /// A topic or a pattern; see [`super::topic_matches`].
    pub topic: String,
    pub from: Start,
    pub settings: Settings,
}

pub(super) fn wanted(specs: &[SubscriptionSpec]) -> Value {
    let line = |spec: &SubscriptionSpec| {
        let mut line = Map::new();
        line.insert("topic".into(), spec.topic.as_str().into());
        let from = match spec.from {
            Start::Now => "now",
            Start::Earliest => "earliest",
        };
        line.insert("from".into(), from.into());
        line.insert("settings".into(), spec.settings.to_json());
        Value::Object(line)
    };
    Value::Array(specs.iter().map(line).collect())
}

/// Who has paused a queue, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    pub at: SystemTime,
    pub by: String,
}

/// A queue as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    pub id: QueueId,
    pub service: String,
    pub name: String,
    pub kind: Kind,
    /// Which of the service's functions handles its messages.
    pub handler: String,
    pub settings: Settings,
    pub paused: Option<Paused>,
    pub retired_at: Option<SystemTime>,
}

/// The columns that [`registered`] reads.
pub(super) const COLUMNS: &str = "q.id, q.service, q.name, q.kind, q.handler, q.concurrency_max, \
    q.batch_max, q.batch_wait_ms, q.wall_ms, q.lease_ms, q.attempts_max, q.backoff_first_ms, \
    q.backoff_max_ms, q.ordered_by, q.grouped, q.paused_at, q.paused_by, q.retired_at";

pub(super) fn registered(row: &Row) -> Result<Registered, Error> {
    let count = |name: &str| row.try_get::<_, i32>(name).map(i32::cast_unsigned);
    let short = |name: &str| {
        let ms = row.try_get::<_, i32>(name)?;
        Ok::<_, Error>(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    };
    let long = |name: &str| {
        let ms = row.try_get::<_, i64>(name)?;
        Ok::<_, Error>(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    };
    let paused = match row.try_get::<_, Option<SystemTime>>("paused_at")? {
        Some(at) => {
            let by = row.try_get::<_, Option<String>>("paused_by")?.unwrap_or_default();
            Some(Paused { at, by })
        }
        None => None,
    };
    Ok(Registered {
        id: QueueId(row.try_get("id")?),
        service: row.try_get("service")?,
        name: row.try_get("name")?,
        kind: Kind::from_word(row.try_get("kind")?),
        handler: row.try_get("handler")?,
        settings: Settings {
            concurrency_max: row
                .try_get::<_, Option<i32>>("concurrency_max")?
                .map(i32::cast_unsigned),
            batch_max: count("batch_max")?,
            batch_wait: short("batch_wait_ms")?,
            wall: long("wall_ms")?,
            lease: short("lease_ms")?,
            attempts_max: count("attempts_max")?,
            backoff_first: long("backoff_first_ms")?,
            backoff_max: long("backoff_max_ms")?,
            ordered_by: row.try_get("ordered_by")?,
            grouped: row.try_get("grouped")?,
        },
        paused,
        retired_at: row.try_get("retired_at")?,
    })
}
