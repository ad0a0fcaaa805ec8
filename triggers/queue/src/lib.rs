//! The queue trigger: claims messages and ticks from the lease queue, hands them to components, and
//! writes down what became of them. Refuses to know schedules (a tick is a message like any other)
//! and native workers, which claim for themselves.
//!
//! `dispatch` decides, `round` talks to the database for it, `lane` is one queue's share, `call` is
//! one delivery, `held` keeps leases alive, `finish` writes ends, `chores` is what runs beside.

mod backend;
mod call;
mod chores;
mod config;
mod dispatch;
mod finish;
mod held;
mod lane;
mod round;
mod stats;
mod subscriptions;

pub use backend::{Backend, Consumer};
pub use config::{QueueConfig, QueueLimits};
pub use stats::{CLAIM_BOUNDS, QueueCounts, QueueSnapshot, QueueStats};

use dispatch::Dispatcher;
use finish::Finisher;
use held::Held;
use nexus_runtime::{Runtime, Shutdown, Trigger};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// How long the last ends may take to be written when the host goes down. Past it their leases
/// lapse, and their messages come again.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The trigger.
pub struct QueueTrigger {
    config: QueueConfig,
    stats: QueueStats,
}

impl Trigger for QueueTrigger {
    const NAME: &'static str = "queue";
    type Config = QueueConfig;

    fn new(config: QueueConfig) -> anyhow::Result<Self> {
        let limits = &config.limits;
        anyhow::ensure!(limits.leases_max > 0, "the queue may hold no lease");
        anyhow::ensure!(limits.per_queue_max > 0, "the queue may deliver nothing");
        anyhow::ensure!(limits.finish_max > 0, "the queue may finish nothing");
        Ok(Self { config, stats: QueueStats::default() })
    }

    async fn run(self, runtime: Runtime, shutdown: Shutdown) -> anyhow::Result<()> {
        self.serve(runtime, shutdown).await;
        Ok(())
    }
}

impl QueueTrigger {
    /// Counters; they stay readable after the trigger has run.
    pub fn stats(&self) -> QueueStats {
        self.stats.clone()
    }

    /// Puts the subscriptions of `backend` in force. Whoever does so before the first request comes
    /// in misses no event of it; [`QueueTrigger::serve`] does it again, and whenever they change.
    ///
    /// # Errors
    ///
    /// When the database is away, or a publisher's transaction stays open for long.
    pub async fn prepare<B: Backend>(&self, backend: &B) -> Result<(), nexus_storage::Error> {
        subscriptions::synchronise(&self.config.queue, &backend.consumers()).await
    }

    /// Delivers to `backend` until shutdown is requested, then drains.
    pub async fn serve<B: Backend>(self, backend: B, shutdown: Shutdown) {
        let held = Held::default();
        let (verdicts, to_write) = mpsc::unbounded_channel();
        let committed = Arc::new(Notify::new());
        // Ended with this future, so that an abandoned trigger stops as well.
        let mut beside = chores::start(&self.config, &self.stats);
        beside.spawn(held.clone().renew(self.config.queue.clone()));
        let finisher = Finisher {
            queue: self.config.queue.clone(),
            held: held.clone(),
            stats: self.stats.clone(),
            verdicts: to_write,
            committed: committed.clone(),
            most: self.config.limits.finish_max,
            wait: self.config.limits.finish_wait,
        };
        let mut finishing = tokio::task::JoinSet::new();
        finishing.spawn(finisher.run());
        let dispatcher =
            Dispatcher::new(backend, self.config, self.stats, held, verdicts, committed);
        dispatcher.run(shutdown).await;
        if tokio::time::timeout(LAST_WORDS, finishing.join_next()).await.is_err() {
            tracing::warn!("the database was away at the end: some messages will come again");
        }
    }
}
