//! What the trigger counts. Refuses to know how numbers are rendered.

use nexus_storage::queue::{Depth, Ended, Expired, Leased, Outcome, Registered};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the claim latency, in seconds; beyond the last is the rest.
pub const CLAIM_BOUNDS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0];

/// A handle on the counters; clones share them, and they stay readable after the trigger has run.
#[derive(Clone, Default)]
pub struct QueueStats(Arc<Mutex<QueueSnapshot>>);

/// Everything at one moment. Counters only grow while the host runs.
#[derive(Debug, Clone, Default)]
pub struct QueueSnapshot {
    /// By service and queue.
    pub queues: BTreeMap<(String, String), QueueCounts>,
    /// What all hosts together have in each queue, as last counted.
    pub depths: Vec<Depth>,
    /// Leases this host holds.
    pub leases: usize,
    /// Statements that failed: the database was away, or worse.
    pub failures: u64,
}

/// One queue's counters in this host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueueCounts {
    pub claimed: u64,
    /// Claims of messages that were claimed before.
    pub redelivered: u64,
    pub acked: u64,
    pub retried: u64,
    pub released: u64,
    pub rejected: u64,
    /// Those that ended among the dead letters by this host's word, rejected ones included.
    pub dead: u64,
    /// Ends that came too late: another holder had the message.
    pub stale: u64,
    /// Leases that lapsed, whoever held them, and this host noticed.
    pub expired: u64,
    /// From ready to claimed: by bucket of [`CLAIM_BOUNDS`], and in all.
    pub claim_buckets: [u64; CLAIM_BOUNDS.len() + 1],
    pub claim_seconds: f64,
}

impl QueueStats {
    pub fn snapshot(&self) -> QueueSnapshot {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, QueueSnapshot> {
        // Counters are never half-changed in a way that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, queue: &Registered, count: impl FnOnce(&mut QueueCounts)) {
        let mut all = self.lock();
        let key = (queue.service.clone(), queue.name.clone());
        count(all.queues.entry(key).or_default());
    }

    pub(crate) fn claimed(&self, queue: &Registered, leased: &Leased) {
        let waited = leased.claimed_at.duration_since(leased.ready_at).unwrap_or(Duration::ZERO);
        let seconds = waited.as_secs_f64();
        let bucket = CLAIM_BOUNDS.iter().position(|bound| seconds <= *bound);
        self.of(queue, |counts| {
            counts.claimed += 1;
            counts.redelivered += u64::from(leased.attempt > 1);
            counts.claim_buckets[bucket.unwrap_or(CLAIM_BOUNDS.len())] += 1;
            counts.claim_seconds += seconds;
        });
    }

    pub(crate) fn ended(&self, queue: &Registered, outcome: &Outcome, ended: Ended) {
        self.of(queue, |counts| {
            if ended.is_stale() {
                counts.stale += 1;
                return;
            }
            match outcome {
                Outcome::Ack => counts.acked += 1,
                Outcome::Retry { .. } => counts.retried += 1,
                Outcome::Release { .. } => counts.released += 1,
                Outcome::Reject { .. } => counts.rejected += 1,
            }
            counts.dead += u64::from(ended == Ended::Dead);
        });
    }

    pub(crate) fn expired(&self, queue: &Registered, expired: &Expired) {
        self.of(queue, |counts| {
            counts.expired += expired.expired;
            counts.dead += expired.dead;
        });
    }

    pub(crate) fn failed(&self) {
        self.lock().failures += 1;
    }

    pub(crate) fn holds(&self, leases: usize) {
        self.lock().leases = leases;
    }

    pub(crate) fn counted(&self, depths: Vec<Depth>) {
        self.lock().depths = depths;
    }
}
