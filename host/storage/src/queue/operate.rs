//! What an operator sees of the queues and does to them. Everything that lists is bounded, and what
//! is done to many messages at once must say to which.

use super::Queue;
use super::consume::read_message;
use super::message::{Lease, Message, QueueId};
use crate::error::Error;
use serde_json::{Map, Value};
use std::time::SystemTime;
use tokio_postgres::Row;
use uuid::Uuid;

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    Ready,
    Deferred,
    Leased,
    Dead,
    Done,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Deferred => "deferred",
            Self::Leased => "leased",
            Self::Dead => "dead",
            Self::Done => "done",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ready, Self::Deferred, Self::Leased, Self::Dead, Self::Done]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// How much is in a queue: a row of `platform.queue_demand`.
#[derive(Debug, Clone, PartialEq)]
pub struct Depth {
    pub queue: QueueId,
    pub service: String,
    pub name: String,
    /// `subscription`, `schedule`, `service` or `job`.
    pub kind: String,
    pub paused: bool,
    pub retired: bool,
    pub ready: u64,
    pub deferred: u64,
    pub leased: u64,
    pub dead: u64,
    /// How long the oldest ready message has been ready; 0 without one.
    pub oldest_ready_seconds: f64,
}

/// A message that is not done, as it lies in its queue.
#[derive(Debug, Clone)]
pub struct Peeked {
    pub lease: Lease,
    pub message: Message,
    /// Deliveries so far.
    pub attempt: u32,
    pub priority: i16,
    pub group: Option<String>,
    /// Ready since, due at, leased until or dead since, as its state is.
    pub at: SystemTime,
    /// Who holds it.
    pub worker: Option<String>,
    /// `[{at, attempt, reason, worker}]`, the last twenty.
    pub errors: Value,
}

/// A message that is given up, with a full copy of its event.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub queue: QueueId,
    /// Its place in the list: the cursor for the next page.
    pub position: i64,
    pub message: Message,
    pub attempts: u32,
    pub group: Option<String>,
    pub reason: String,
    /// `[{at, attempt, reason, worker}]`, the last twenty.
    pub errors: Value,
    pub died_at: SystemTime,
}

/// Which messages. All that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub ids: Option<Vec<Uuid>>,
    /// A topic or a pattern.
    pub topic: Option<String>,
    pub tenant: Option<Uuid>,
    /// A part of the reason for which it died.
    pub reason: Option<String>,
    /// It died, or was published, before or since.
    pub before: Option<SystemTime>,
    pub since: Option<SystemTime>,
    /// Every message, said in so many words: an empty filter is refused.
    pub all: bool,
}

impl Filter {
    pub fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    pub fn ids(ids: impl IntoIterator<Item = Uuid>) -> Self {
        Self { ids: Some(ids.into_iter().collect()), ..Self::default() }
    }

    /// As `platform.queue_redrive` and `platform.queue_discard` take it.
    pub fn to_json(&self) -> Value {
        let mut filter = Map::new();
        if let Some(ids) = &self.ids {
            filter.insert("ids".into(), ids.iter().map(Uuid::to_string).collect());
        }
        if let Some(topic) = &self.topic {
            filter.insert("topic".into(), topic.as_str().into());
        }
        if let Some(tenant) = self.tenant {
            filter.insert("tenant_id".into(), tenant.to_string().into());
        }
        if let Some(reason) = &self.reason {
            filter.insert("reason".into(), reason.as_str().into());
        }
        for (name, at) in [("before_ms", self.before), ("since_ms", self.since)] {
            if let Some(at) = at {
                let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                filter.insert(name.into(), super::millis(since).into());
            }
        }
        if self.all {
            filter.insert("all".into(), true.into());
        }
        Value::Object(filter)
    }
}

impl Queue {
    /// The depth of each queue, by service and name, at most `rows_max` after `after`
    /// (`service, name`). Counts every row: not for every second.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn list(&self, after: (&str, &str), rows_max: u32) -> Result<Vec<Depth>, Error> {
        let session = self.session().await?;
        let sql = "select * from platform.queue_demand where (service, queue) > ($1, $2) \
                   order by service, queue limit $3";
        let rows = session.query(sql, &[&after.0, &after.1, &i64::from(rows_max)]).await?;
        rows.iter().map(read_depth).collect()
    }

    /// What is ready, deferred, leased or dead in a queue, by position after `after`; at most 1000.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] with 22023 for [`State::Done`], of which no event is kept.
    pub async fn peek(
        &self,
        queue: QueueId,
        state: State,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<Peeked>, Error> {
        let rows = self.peek_rows(queue, state, after, rows_max).await?;
        rows.iter().map(|row| read_peeked(row, queue)).collect()
    }

    async fn peek_rows(
        &self,
        queue: QueueId,
        state: State,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<Row>, Error> {
        let session = self.session().await?;
        let sql = "select * from platform.queue_peek($1, $2, $3, $4)";
        let rows_max = i32::try_from(rows_max).unwrap_or(i32::MAX);
        session.query(sql, &[&queue.0, &state.as_str(), &after, &rows_max]).await
    }

    /// Dead letters of a queue, by position after `after`; at most 1000.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn dead_letters(
        &self,
        queue: QueueId,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<DeadLetter>, Error> {
        let rows = self.peek_rows(queue, State::Dead, after, rows_max).await?;
        rows.iter().map(|row| read_dead(row, queue)).collect()
    }

    /// Sends dead letters back to work, with all their attempts before them and their history kept;
    /// at most 10000. `per_second` spreads them. Returns how many; a dry run only counts.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] with 22023 for an empty filter.
    pub async fn redrive(
        &self,
        queue: QueueId,
        filter: &Filter,
        dry_run: bool,
        per_second: Option<f64>,
    ) -> Result<u64, Error> {
        let session = self.session().await?;
        let sql = "select platform.queue_redrive_dead($1, $2, $3, $4)";
        let rows =
            session.query(sql, &[&queue.0, &filter.to_json(), &dry_run, &per_second]).await?;
        self.frontiers.look_through();
        Ok(rows[0].try_get::<_, i64>(0)?.cast_unsigned())
    }

    /// Takes ready, deferred or dead messages out of a queue, at most 10000; they count as done.
    /// Returns how many; a dry run only counts.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] with 22023 for an empty filter or another state.
    pub async fn purge(
        &self,
        queue: QueueId,
        state: State,
        filter: &Filter,
        dry_run: bool,
    ) -> Result<u64, Error> {
        let session = self.session().await?;
        let sql = "select platform.queue_purge($1, $2, $3, $4)";
        let rows =
            session.query(sql, &[&queue.0, &state.as_str(), &filter.to_json(), &dry_run]).await?;
        Ok(rows[0].try_get::<_, i64>(0)?.cast_unsigned())
    }

    /// A paused queue takes messages and gives none. False when it was paused already.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn pause(&self, queue: QueueId, by: &str) -> Result<bool, Error> {
        let session = self.session().await?;
        let sql = "update platform.queue set paused_at = now(), paused_by = $2 \
                   where id = $1 and paused_at is null";
        Ok(session.execute(sql, &[&queue.0, &by]).await? > 0)
    }

    /// False when it was not paused.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn resume(&self, queue: QueueId) -> Result<bool, Error> {
        let session = self.session().await?;
        let sql = "update platform.queue set paused_at = null, paused_by = null \
                   where id = $1 and paused_at is not null";
        let resumed = session.execute(sql, &[&queue.0]).await? > 0;
        if resumed {
            self.database().work().poke();
        }
        Ok(resumed)
    }

    /// Hands a subscription the events of the store since an instant, or all of them. What it has
    /// done is done again; what is on its way or dead stays as it is. [`Queue::promote`] does the
    /// work, piece by piece.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] with 22023 when it is no subscription.
    pub async fn replay(&self, queue: QueueId, from: Option<SystemTime>) -> Result<(), Error> {
        let session = self.session().await?;
        session.execute("select platform.queue_replay($1, $2)", &[&queue.0, &from]).await?;
        self.database().work().poke();
        Ok(())
    }

    /// In which state a queue has the message with this id, and at which position.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn find(&self, queue: QueueId, id: Uuid) -> Result<Option<(State, i64)>, Error> {
        let session = self.session().await?;
        let sql = "select state, position from platform.queue_find($1, $2)";
        let rows = session.query(sql, &[&queue.0, &id]).await?;
        let Some(word) = rows[0].try_get::<_, Option<&str>>(0)? else { return Ok(None) };
        let position = rows[0].try_get(1)?;
        Ok(State::from_word(word).map(|state| (state, position)))
    }
}

pub(super) fn read_depth(row: &Row) -> Result<Depth, Error> {
    let count = |name: &str| row.try_get::<_, i64>(name).map(i64::cast_unsigned);
    Ok(Depth {
        queue: QueueId(row.try_get("queue_id")?),
        service: row.try_get("service")?,
        name: row.try_get("queue")?,
        kind: row.try_get("kind")?,
        paused: row.try_get("paused")?,
        retired: row.try_get("retired")?,
        ready: count("ready")?,
        deferred: count("deferred")?,
        leased: count("leased")?,
        dead: count("dead")?,
        oldest_ready_seconds: row.try_get("oldest_ready_seconds")?,
    })
}

fn payload_of(row: &Row) -> Result<String, Error> {
    Ok(row.try_get::<_, Value>("payload")?.to_string())
}

fn errors_of(row: &Row) -> Result<Value, Error> {
    let errors = row.try_get::<_, Option<Value>>("errors")?;
    Ok(errors.unwrap_or_else(|| Value::Array(Vec::new())))
}

fn read_peeked(row: &Row, queue: QueueId) -> Result<Peeked, Error> {
    Ok(Peeked {
        lease: Lease { queue, position: row.try_get("position")?, number: row.try_get("number")? },
        message: read_message(row, payload_of(row)?)?,
        attempt: row.try_get::<_, i32>("attempt")?.cast_unsigned(),
        priority: row.try_get("priority")?,
        group: row.try_get("group_key")?,
        at: row.try_get("at")?,
        worker: row.try_get("worker")?,
        errors: errors_of(row)?,
    })
}

pub(super) fn read_dead(row: &Row, queue: QueueId) -> Result<DeadLetter, Error> {
    Ok(DeadLetter {
        queue,
        position: row.try_get("position")?,
        message: read_message(row, payload_of(row)?)?,
        attempts: row.try_get::<_, i32>("attempt")?.cast_unsigned(),
        group: row.try_get("group_key")?,
        reason: row.try_get("reason")?,
        errors: errors_of(row)?,
        died_at: row.try_get("at")?,
    })
}
