//! Work that arrives without an HTTP request: messages of the queue and ticks of schedules, and the
//! four ways they can end. Refuses to know leases, attempts' limits and where work is kept.

use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// Messages of one subscription for one call of a component.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The topic or pattern as the component declares it.
    pub subscription: Arc<str>,
    /// One for a single delivery, several for a batch; never empty.
    pub messages: Vec<Message>,
    /// Time for the whole call.
    pub wall: Duration,
    /// Call the batch export even for one message.
    pub batch: bool,
}

/// A CloudEvents 1.0 event on its way to one subscriber; see `wit/nexus-triggers@0.1.0`.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: Uuid,
    pub topic: Arc<str>,
    pub source: Arc<str>,
    pub subject: Option<Arc<str>>,
    pub tenant: Option<Uuid>,
    /// JSON.
    pub payload: Bytes,
    pub published_at: SystemTime,
    /// 1 at the first delivery.
    pub attempt: u32,
    pub group: Option<Arc<str>>,
    /// W3C `traceparent` of the work that published it.
    pub trace: Option<Arc<str>>,
}

/// One run of a schedule.
#[derive(Debug, Clone)]
pub struct Tick {
    pub id: Uuid,
    /// The schedule's name in the component.
    pub name: Arc<str>,
    pub scheduled_at: SystemTime,
    pub fired_at: SystemTime,
    pub attempt: u32,
    pub trace: Option<Arc<str>>,
    /// Time for the call.
    pub wall: Duration,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Ack,
    /// An attempt is used up; again after `after`, or the queue's own backoff.
    Retry { after: Option<Duration>, reason: Arc<str> },
    /// No attempt is used up; again after `after`, or at once.
    Release { after: Option<Duration> },
    /// It can never succeed: to the dead letters.
    Reject { reason: Arc<str> },
}

impl Outcome {
    /// The guest could not do what was asked.
    pub(crate) fn is_a_failure(&self) -> bool {
        matches!(self, Self::Retry { .. } | Self::Reject { .. })
    }
}
