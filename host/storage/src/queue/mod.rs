//! The lease queue on PostgreSQL: queues and subscriptions, messages that are claimed under a lease
//! and end in one of four outcomes, dead letters, and the upkeep of the tables.
//!
//! Knows the functions of `migrations/platform/0004_queue.sql` and its successors, which hold the
//! rules; each method here is a call of one of them, in a transaction of its own. Refuses to know
//! who does the work: a component that the host calls and a worker that calls the host hold the
//! same leases.
//!
//! Delivery is at least once. A message is counted when it is claimed, so that one which kills its
//! process reaches its limit too. Every claim raises the message's fencing number, and whoever says
//! something about a message with an older number is told that it is stale.

mod browse;
mod consume;
mod enqueue;
mod frontier;
mod message;
mod operate;
mod pattern;
mod settings;
mod upkeep;

pub use browse::{DeadCursor, DeadFilter, DeadIn, Pace};
pub use consume::{Claim, ClaimRequest, Expired};
pub use enqueue::EnqueueRequest;
pub use message::{Ended, Lease, Leased, Message, Outcome, QueueId};
pub use operate::{DeadLetter, Depth, Filter, Peeked, State};
pub use pattern::{is_pattern, topic_matches};
pub use settings::{Kind, Paused, Registered, Settings, Start, SubscriptionSpec};
pub use upkeep::{Retention, Upkeep};

use crate::database::Database;
use crate::error::Error;
use crate::session::Session;
use frontier::Frontiers;
use settings::{COLUMNS, registered};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;

/// How long [`Queue::subscribe`] tries to get between the publishers. Each try holds them up for a
/// tenth of a second at most; a transaction that has published may stay open for 15 seconds.
const SUBSCRIBE_WAIT: Duration = Duration::from_secs(60);

/// Time between two tries, in which publishers go on.
const SUBSCRIBE_PAUSE: Duration = Duration::from_millis(150);

/// The queues of one database. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    database: Database,
    /// Where the circle through a queue's groups goes on.
    turns: Arc<Mutex<HashMap<QueueId, String>>>,
    /// Where the next claims of queues begin that take no turns.
    frontiers: Arc<Frontiers>,
}

impl Queue {
    /// Needs the platform's migrations.
    pub fn new(database: Database) -> Self {
        Self { database, turns: Arc::default(), frontiers: Arc::default() }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    async fn session(&self) -> Result<Session, Error> {
        self.database.host().await
    }

    /// Makes a component's subscriptions those of `wanted`: new ones are made, changed ones get
    /// their settings, those no longer declared are retired and keep their messages. Safe to repeat
    /// and to run from many hosts at once. No event falls between: one published before is replayed
    /// to a new subscription that starts at the earliest, one published after is handed to it.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] with 22023 for a topic or setting that is none; with 55P03 when a
    /// publisher's transaction stayed open for a minute.
    pub async fn subscribe(
        &self,
        component: &str,
        wanted: &[SubscriptionSpec],
    ) -> Result<(), Error> {
        let wanted = settings::wanted(wanted);
        let session = self.session().await?;
        let deadline = Instant::now() + SUBSCRIBE_WAIT;
        let sql = "select platform.queue_subscribe($1, $2)";
        loop {
            match session.execute(sql, &[&component, &wanted]).await {
                Ok(_) => return Ok(()),
                Err(e) if may_try_again(&e) && Instant::now() < deadline => {
                    tokio::time::sleep(SUBSCRIBE_PAUSE).await;
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Makes a queue that is no subscription, or changes its handler and settings.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] with 42710 when a queue of that name is of another kind.
    pub async fn ensure(
        &self,
        service: &str,
        name: &str,
        kind: Kind,
        handler: &str,
        settings: &Settings,
    ) -> Result<QueueId, Error> {
        let session = self.session().await?;
        let sql = "select platform.queue_ensure($1, $2, $3, $4, $5)";
        let (kind, settings) = (kind.as_str(), settings.to_json());
        let rows = session.query(sql, &[&service, &name, &kind, &handler, &settings]).await?;
        Ok(QueueId(rows[0].try_get(0)?))
    }

    /// Every queue that was not retired, and every retired one, by id; at most `rows_max` after
    /// `after`.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn registered(
        &self,
        after: QueueId,
        rows_max: u32,
    ) -> Result<Vec<Registered>, Error> {
        let session = self.session().await?;
        let sql = format!(
            "select {COLUMNS} from platform.queue q where q.id > $1 order by q.id limit $2"
        );
        let rows = session.query(&sql, &[&after.0, &i64::from(rows_max)]).await?;
        rows.iter().map(registered).collect()
    }

    /// The queue of a service by its name.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn named(&self, service: &str, name: &str) -> Result<Option<Registered>, Error> {
        let session = self.session().await?;
        let sql =
            format!("select {COLUMNS} from platform.queue q where q.service = $1 and q.name = $2");
        let rows = session.query(&sql, &[&service, &name]).await?;
        rows.first().map(registered).transpose()
    }
}

/// Whether a failure only says that another transaction was in the way.
fn may_try_again(error: &Error) -> bool {
    let codes = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::UNIQUE_VIOLATION,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

/// Whole milliseconds, as the functions take them.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
