//! What is claimed and what becomes of it. Refuses to know where it is kept.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// A row of `platform.queue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub i32);

/// The right to say what becomes of a message, until somebody else is given it. Written as
/// `queue.position.number`, it can travel to a worker and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease {
    pub queue: QueueId,
    /// With the queue, the message's name: its event's position in the store.
    pub position: i64,
    /// The fencing number: every claim of the message raises it.
    pub number: i32,
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.queue.0, self.position, self.number)
    }
}

/// The text is no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a lease is written as queue.position.number")]
pub struct NoLease;

impl FromStr for Lease {
    type Err = NoLease;

    fn from_str(text: &str) -> Result<Self, NoLease> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(NoLease);
        let (queue, position, number) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(NoLease);
        }
        Ok(Self {
            queue: QueueId(queue.parse().map_err(|_| NoLease)?),
            position: position.parse().map_err(|_| NoLease)?,
            number: number.parse().map_err(|_| NoLease)?,
        })
    }
}

/// An event as its publisher wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: Uuid,
    pub topic: Arc<str>,
    /// The service that published it.
    pub source: Arc<str>,
    pub subject: Option<Arc<str>>,
    pub tenant: Option<Uuid>,
    /// JSON.
    pub payload: String,
    /// W3C `traceparent`.
    pub trace: Option<Arc<str>>,
    pub published_at: SystemTime,
}

/// A message under a lease.
#[derive(Debug, Clone)]
pub struct Leased {
    pub lease: Lease,
    pub message: Message,
    /// 1 at the first delivery.
    pub attempt: u32,
    pub priority: i16,
    pub group: Option<Arc<str>>,
    /// Since when it could have been claimed; by the database's clock, like the other times.
    pub ready_at: SystemTime,
    pub claimed_at: SystemTime,
    /// When the lease lapses unless it is extended.
    pub expires_at: SystemTime,
    /// When it can no longer be extended.
    pub deadline: SystemTime,
}

impl Leased {
    /// From the claim to the lapse, whatever this machine's clock says.
    pub fn lease_time(&self) -> Duration {
        self.expires_at.duration_since(self.claimed_at).unwrap_or_default()
    }

    /// From the claim to the deadline.
    pub fn wall(&self) -> Duration {
        self.deadline.duration_since(self.claimed_at).unwrap_or_default()
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Ack,
    /// An attempt is used up; again after `after`, or the queue's backoff. The last attempt ends
    /// among the dead letters.
    Retry { after: Option<Duration>, reason: Arc<str> },
    /// No attempt is used up; again after `after`, or at once.
    Release { after: Option<Duration> },
    /// It can never succeed: to the dead letters at once.
    Reject { reason: Arc<str> },
}

/// What [`super::Queue::finish`] has made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    Done,
    /// Released, and ready again.
    Ready,
    /// Waits for another attempt.
    Deferred,
    Dead,
    /// The lease was no longer the holder's; nothing has changed.
    Stale,
}

impl Ended {
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "done" => Self::Done,
            "ready" => Self::Ready,
            "deferred" => Self::Deferred,
            "dead" => Self::Dead,
            _ => Self::Stale,
        }
    }

    pub fn is_stale(self) -> bool {
        self == Self::Stale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_comes_back_from_its_text_and_nothing_else_does() {
        let lease = Lease { queue: QueueId(7), position: i64::MAX, number: 3 };
        assert_eq!(lease.to_string().parse(), Ok(lease));
        for text in ["", "1.2", "1.2.3.4", "1.2.x", "1..3", "1.2.99999999999"] {
            assert_eq!(text.parse::<Lease>(), Err(NoLease), "{text:?}");
        }
    }
}
