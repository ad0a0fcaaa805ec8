//! Schedules: when something is due, fired once by whichever of the hosts comes first, and what
//! became of it. A schedule is an entry of a component's manifest, or was put by a service.
//!
//! Knows the functions of `migrations/platform/0005_schedules.sql`, which hold the rules of
//! overlap, and calendars, which say when. Refuses to know who does the work: a fire puts a message
//! into a queue, and the run's id is that message's id. Its payload is
//!
//! ```json
//! { "schedule": "purge_archived", "schedule_id": "…", "trigger": "schedule",
//!   "scheduled_at": "2027-01-31T03:15:00.000000Z", "fired_at": "2027-01-31T03:15:00.021000Z",
//!   "payload": {} }
//! ```
//!
//! where `payload` stands only if the schedule has one. The topic of a component's ticks is
//! [`TICK_TOPIC`], in its queue [`TICK_QUEUE`] of kind `schedule`; other schedules name both.
//!
//! # What happens to a fire
//!
//! The next nominal instant is exchanged by comparison, the run gets its row, unique per instant,
//! and its message goes into the queue, all in one transaction. Fires that nobody was there for are
//! made up for by [`Catchup`]; what earlier runs that are not over mean to a fire is [`Overlap`].
//! Fires that are not run have rows, too, with the reason. All instants here are those of the
//! components' clock, which the caller passes in; only `wall` and the leases go by the database's.

mod calendars;
mod fire;
mod operate;
mod plan;
mod spec;

pub use calendars::Pending;
pub use fire::{Due, Fired, FiredRun, Next, Swept};
pub use operate::{Backfill, RunRow, ScheduleRow};
pub use plan::ON_TIME;
pub use spec::{Catchup, Overlap, RunState, RunTrigger, ScheduleSpec};

use crate::database::Database;
use crate::error::Error;
use crate::session::Session;
use calendars::Calendars;
use nexus_calendar::CalendarError;
use serde_json::Value;
use std::sync::Arc;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

/// Topic of the ticks of components' schedules.
pub const TICK_TOPIC: &str = "platform.tick.due.v1";

/// The queue of a component's ticks.
pub const TICK_QUEUE: &str = "schedules";

/// Runs of one backfill.
pub const BACKFILL_RUNS_MAX: usize = 1_000;

/// A name that a service has taken for a schedule of its own stays taken.
const SYNC_TRIES_MAX: usize = 5;

/// What can go wrong beside the database.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    #[error(transparent)]
    Storage(#[from] Error),
    #[error("there is no schedule {0}")]
    Unknown(Uuid),
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    #[error("the stretch holds more than {most} instants: take a shorter one")]
    TooMany { most: usize },
    #[error("a stretch ends after it begins")]
    Backwards,
}

impl From<tokio_postgres::Error> for ScheduleError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Storage(error.into())
    }
}

/// The schedules of one database. Cheap to clone.
#[derive(Clone)]
pub struct Schedules {
    database: Database,
    calendars: Arc<Calendars>,
}

impl Schedules {
    /// Needs the platform's migrations.
    pub fn new(database: Database) -> Self {
        Self { database, calendars: Arc::default() }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    async fn session(&self) -> Result<Session, Error> {
        self.database.host().await
    }

    /// Makes a component's schedules those of its manifest: new ones are made, changed ones get
    /// their definition, those no longer declared are removed. One whose calendar stays the same
    /// keeps its next instant, and what was missed before it. Safe to repeat and to run from many
    /// hosts at once. Schedules that the service has put itself are left alone.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] for words or bounds that the table does not allow (class 22 and 23).
    pub async fn sync(&self, component: &str, entries: &[ScheduleSpec]) -> Result<(), Error> {
        let entries = entries
            .iter()
            .map(|spec| serde_json::json!({ "name": spec.name, "definition": spec.definition() }));
        let entries = Value::Array(entries.collect());
        let session = self.session().await?;
        let sql = "select platform.schedule_sync($1, $2)";
        let mut tries = 0;
        loop {
            tries += 1;
            match session.execute(sql, &[&component, &entries]).await {
                Ok(_) => return Ok(()),
                // Another host makes the same at the same moment.
                Err(e)
                    if e.code() == Some(&SqlState::UNIQUE_VIOLATION) && tries < SYNC_TRIES_MAX => {}
                Err(e) => return Err(e),
            }
        }
    }
}
