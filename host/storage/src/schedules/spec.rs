//! What a schedule says about itself, in the words of manifests and of the database.

use nexus_calendar::{Gap, rfc3339};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// An enum whose variants have a word each.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What a word means, if anything.
            pub fn of(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// What a fire does while an earlier run of the same schedule is not over.
    Overlap {
        /// It is skipped, and says so.
        Skip = "skip",
        /// It waits, unless another one waits already.
        BufferOne = "buffer_one",
        /// It waits for all before it; at most 100 wait.
        BufferAll = "buffer_all",
        /// It takes the place of the others. One that is running is not reached: its lease is
        /// revoked, so that its answer is stale, but what it has committed stays.
        CancelOther = "cancel_other",
        /// It runs beside them.
        Allow = "allow",
    }
}

words! {
    /// Which fires are made up for that nobody was there for: the host was down, or its clock has
    /// jumped.
    Catchup {
        None = "none",
        /// The last of them, if none is on time.
        Latest = "latest",
        All = "all",
    }
}

words! {
    /// Why a run was made.
    RunTrigger {
        Schedule = "schedule",
        Catchup = "catchup",
        Manual = "manual",
        Backfill = "backfill",
    }
}

words! {
    /// Where a run is; those in a queue are where their message is.
    RunState {
        /// Waits for an earlier run.
        Held = "held",
        /// In the queue.
        Due = "due",
        Ready = "ready",
        Deferred = "deferred",
        Leased = "leased",
        Done = "done",
        Dead = "dead",
        /// Taken out of the queue.
        Cancelled = "cancelled",
        /// Left out by overlap.
        Skipped = "skipped",
        /// Left out by catch-up.
        Missed = "missed",
        /// Its instant was fired before: no run was made.
        Duplicate = "duplicate",
        /// Its message is not known any more.
        Unknown = "unknown",
    }
}

/// One schedule.
#[derive(Debug, Clone)]
pub struct ScheduleSpec {
    /// 1 to 120 characters.
    pub name: String,
    /// As [`nexus_calendar::Calendar`] reads it.
    pub expression: String,
    /// An IANA name.
    pub zone: String,
    pub gap: Gap,
    pub overlap: Overlap,
    pub catchup: Catchup,
    /// How old a fire may be to be made up for, 10 s to 31 days. An hour for [`Catchup::All`] if
    /// absent, 31 days for [`Catchup::Latest`]: one run cannot be too many.
    pub catchup_window: Option<Duration>,
    /// How many, 1 to 1000.
    pub catchup_max: u32,
    /// Each fire is late by a fixed, random-looking part of this; at most a day.
    pub jitter: Duration,
    pub starts_at: Option<SystemTime>,
    pub ends_at: Option<SystemTime>,
    /// Where `every` counts from.
    pub anchor_at: Option<SystemTime>,
    /// Pause when a run is dead.
    pub pause_on_failure: bool,
    /// A run that is not over so long after its fire is ended; 1 s to 31 days.
    pub wall: Option<Duration>,
    /// Fewer than the queue's own.
    pub attempts_max: Option<u32>,
}

impl ScheduleSpec {
    /// A schedule with all defaults: in UTC, `skip`, `latest`, no jitter.
    pub fn new(name: impl Into<String>, expression: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            expression: expression.into(),
            zone: "UTC".into(),
            gap: Gap::default(),
            overlap: Overlap::Skip,
            catchup: Catchup::Latest,
            catchup_window: None,
            catchup_max: 100,
            jitter: Duration::ZERO,
            starts_at: None,
            ends_at: None,
            anchor_at: None,
            pause_on_failure: false,
            wall: None,
            attempts_max: None,
        }
    }

    /// The `definition` that `platform.schedule_put` takes.
    pub fn definition(&self) -> Value {
        let mut parts = Map::new();
        let mut put = |key: &str, value: Value| drop(parts.insert(key.into(), value));
        put("expression", self.expression.clone().into());
        put("zone", self.zone.clone().into());
        put("gap", self.gap.word().into());
        put("overlap", self.overlap.as_str().into());
        put("catchup", self.catchup.as_str().into());
        put("catchup_max", self.catchup_max.into());
        put("jitter_ms", millis(self.jitter).into());
        put("pause_on_failure", self.pause_on_failure.into());
        put("catchup_window_ms", self.catchup_window.map(millis).into());
        put("wall_ms", self.wall.map(millis).into());
        put("attempts_max", self.attempts_max.into());
        put("starts_at", self.starts_at.map(rfc3339).into());
        put("ends_at", self.ends_at.map(rfc3339).into());
        put("anchor_at", self.anchor_at.map(rfc3339).into());
        Value::Object(parts)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
