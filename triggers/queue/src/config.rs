//! What the trigger is made with, and its limits.

use nexus_storage::queue::{Queue, Retention};
use std::sync::Arc;
use std::time::Duration;

/// Everything the trigger needs beside a runtime.
#[derive(Clone)]
pub struct QueueConfig {
    pub queue: Queue,
    /// The name under which this host holds leases.
    pub host: Arc<str>,
    pub limits: QueueLimits,
}

/// Bounds of one host's work on the queues.
#[derive(Debug, Clone)]
pub struct QueueLimits {
    /// Leases this host holds at once: messages that wait here, are being handled, or whose end is
    /// being written. A message takes at most 256 KiB.
    pub leases_max: usize,
    /// Deliveries at once of a queue that has no bound of its own.
    pub per_queue_max: u32,
    /// Of a busy queue, this many deliveries' messages wait here for each that runs, so that the
    /// next is at hand when one ends.
    pub ahead: u32,
    /// Silence after which a lease lapses; none leaves it to each queue.
    pub lease: Option<Duration>,
    /// Ends are written together when so many have come, or so long after the first.
    pub finish_max: usize,
    pub finish_wait: Duration,
    /// How long the host goes without looking when nobody pokes it: between the first, when there
    /// was work a moment ago, and the second. Another host's work is found by this.
    pub poll_min: Duration,
    pub poll_max: Duration,
    /// How often queues are read again that services make at run time.
    pub refresh: Duration,
    /// How often deferred messages are looked at.
    pub promote: Duration,
    /// How often lapsed leases are looked for.
    pub expire: Duration,
    /// How often the rings move on.
    pub rotate: Duration,
    /// How often days are made and dropped, and what is past its time is forgotten.
    pub maintain: Duration,
    /// How often depths are counted for metrics.
    pub depths: Duration,
    /// How long running deliveries get to end when the host goes down.
    pub drain: Duration,
    /// Pause before a message is tried again that this host had no room for, or no component.
    pub release_pause: Duration,
    pub retention: Retention,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            leases_max: 512,
            per_queue_max: 8,
            ahead: 8,
            lease: None,
            finish_max: 200,
            finish_wait: Duration::from_millis(10),
            poll_min: Duration::from_millis(250),
            poll_max: Duration::from_secs(1),
            refresh: Duration::from_secs(2),
            promote: Duration::from_millis(250),
            expire: Duration::from_secs(1),
            rotate: Duration::from_millis(500),
            maintain: Duration::from_secs(60),
            depths: Duration::from_secs(10),
            drain: Duration::from_secs(20),
            release_pause: Duration::from_secs(1),
            retention: Retention::default(),
        }
    }
}
