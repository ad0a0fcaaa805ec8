//! Writing down what has become of messages: many together, reported only once committed, and tried
//! again for as long as the database is away. Refuses to decide outcomes.

use crate::held::Held;
use crate::stats::QueueStats;
use nexus_storage::queue::{Lease, Outcome, Queue, Registered};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

/// First and last pause when the database is away.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// One message's end.
pub(crate) struct Verdict {
    pub(crate) queue: Arc<Registered>,
    pub(crate) lease: Lease,
    pub(crate) outcome: Outcome,
}

/// Writes ends until the other side of `verdicts` is gone and everything is written.
pub(crate) struct Finisher {
    pub(crate) queue: Queue,
    pub(crate) held: Held,
    pub(crate) stats: QueueStats,
    pub(crate) verdicts: mpsc::UnboundedReceiver<Verdict>,
    /// Told after every commit: there is room again, and groups have moved on.
    pub(crate) committed: Arc<Notify>,
    pub(crate) most: usize,
    pub(crate) wait: Duration,
}

impl Finisher {
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(self.most);
        while let Some(first) = self.verdicts.recv().await {
            batch.push(first);
            self.fill(&mut batch).await;
            self.write(&mut batch).await;
        }
    }

    /// More of them, until enough have come or the first has waited long enough.
    async fn fill(&mut self, batch: &mut Vec<Verdict>) {
        let until = tokio::time::Instant::now() + self.wait;
        while batch.len() < self.most {
            // Nobody else is at work: waiting would gain nothing.
            if self.verdicts.is_empty() && self.held.len() <= batch.len() {
                return;
            }
            match tokio::time::timeout_at(until, self.verdicts.recv()).await {
                Ok(Some(verdict)) => batch.push(verdict),
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn write(&self, batch: &mut Vec<Verdict>) {
        let outcomes: Vec<_> = batch.iter().map(|v| (v.lease, v.outcome.clone())).collect();
        let (began, mut pause) = (Instant::now(), PAUSE_MIN);
        let ended = loop {
            match self.queue.finish(&outcomes).await {
                Ok(ended) => break ended,
                Err(error) if error.is_unavailable() => {
                    self.stats.failed();
                    tracing::warn!(%error, messages = outcomes.len(),
                        waited = ?began.elapsed(), "ends of messages wait for the database");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(error) => {
                    // Their leases lapse, and they come again: at least once, as promised.
                    self.stats.failed();
                    tracing::error!(%error, messages = outcomes.len(),
                        "ends of messages could not be written");
                    for verdict in batch.drain(..) {
                        self.held.remove(&verdict.lease);
                    }
                    self.committed.notify_one();
                    return;
                }
            }
        };
        for (verdict, ended) in batch.drain(..).zip(ended) {
            self.held.remove(&verdict.lease);
            self.stats.ended(&verdict.queue, &verdict.outcome, ended);
        }
        self.stats.holds(self.held.len());
        self.committed.notify_one();
    }
}
