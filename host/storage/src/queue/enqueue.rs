//! Putting one message into one queue: ticks, jobs, and what tests need. Refuses to know facts that
//! services publish; those are fanned out by `platform.publish`.

use super::message::QueueId;
use super::{Queue, millis};
use crate::error::Error;
use crate::session::Session;
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// One message for one queue.
#[derive(Debug, Clone)]
pub struct EnqueueRequest {
    pub queue: QueueId,
    /// The message's id, which is also its event's.
    pub id: Uuid,
    /// `context.entity.past_tense.vN`.
    pub topic: String,
    /// Who it comes from: a service's name.
    pub source: String,
    pub subject: Option<String>,
    pub tenant: Option<Uuid>,
    pub payload: Value,
    /// W3C `traceparent`.
    pub trace: Option<String>,
    /// Not before so much time from now; at most 30 days.
    pub delay: Option<Duration>,
    /// Not before this instant of the database's clock; wins over `delay`.
    pub run_at: Option<SystemTime>,
    /// Higher goes first.
    pub priority: i16,
    /// At most one of a group is in flight. Only for queues that are grouped.
    pub group: Option<String>,
    /// Within 24 hours, only the first of a key is put in.
    pub dedup_key: Option<String>,
}

impl EnqueueRequest {
    /// A message that is ready at once.
    pub fn new(queue: QueueId, topic: &str, source: &str, payload: Value) -> Self {
        Self {
            queue,
            id: Uuid::now_v7(),
            topic: topic.into(),
            source: source.into(),
            subject: None,
            tenant: None,
            payload,
            trace: None,
            delay: None,
            run_at: None,
            priority: 0,
            group: None,
            dedup_key: None,
        }
    }

    fn options(&self) -> Value {
        let mut options = Map::new();
        if let Some(delay) = self.delay {
            options.insert("delay_ms".into(), millis(delay).into());
        }
        if let Some(at) = self.run_at {
            // PostgreSQL has no instants before its own first one worth waiting for.
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            options.insert("run_at_ms".into(), millis(since).into());
        }
        if self.priority != 0 {
            options.insert("priority".into(), self.priority.into());
        }
        if let Some(group) = &self.group {
            options.insert("group".into(), group.as_str().into());
        }
        if let Some(key) = &self.dedup_key {
            options.insert("dedup_key".into(), key.as_str().into());
        }
        Value::Object(options)
    }
}

impl Queue {
    /// Puts a message into its queue; returns the id of the first with its `dedup_key`.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] with 22023 for what is no message, 54000 for one that is too large, 23505
    /// for an id used before.
    pub async fn enqueue(&self, request: &EnqueueRequest) -> Result<Uuid, Error> {
        Self::enqueue_in(&self.session().await?, request).await
    }

    /// As [`Queue::enqueue`], in whatever transaction is open on the host's `session`.
    ///
    /// # Errors
    ///
    /// As [`Queue::enqueue`].
    pub async fn enqueue_in(session: &Session, request: &EnqueueRequest) -> Result<Uuid, Error> {
        let sql = "select platform.queue_insert($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let r = request;
        let options = r.options();
        let params: [crate::session::Param<'_>; 9] = [
            &r.queue.0, &r.source, &r.id, &r.topic, &r.subject, &r.tenant, &r.payload, &r.trace,
            &options,
        ];
        let rows = session.query(sql, &params).await?;
        Ok(rows[0].try_get(0)?)
    }
}
