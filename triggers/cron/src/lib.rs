//! The cron trigger: keeps the schedules of the database as the manifests say, and fires what is
//! due by the components' clock. Refuses to know who does the work: a fire puts a tick into a
//! queue, and `triggers/queue` delivers it.
//!
//! Any number of hosts may run it on one database; each instant is fired once, by whoever is first
//! (`nexus_storage::schedules`). It sleeps until the next instant by a timer that no clock can
//! turn, but at most a second, and reads the clock anew each time: a step forward is made up for by
//! each schedule's policy, a step back fires nothing again. What a service puts at run time is
//! noticed within that second.

mod backend;
mod chores;
mod config;
mod entries;
mod round;
mod stats;

pub use backend::{Backend, Entries};
pub use config::{CronConfig, CronLimits};
pub use stats::{CronCounts, CronSnapshot, CronStats, LATENESS_BOUNDS};

use nexus_runtime::{Runtime, Shutdown, Trigger};
use round::Rounds;
use std::time::Duration;

/// First and longest pause while the database is away.
const AWAY_MIN: Duration = Duration::from_millis(100);
const AWAY_MAX: Duration = Duration::from_secs(5);

/// The trigger.
pub struct CronTrigger {
    config: CronConfig,
    stats: CronStats,
}

impl Trigger for CronTrigger {
    const NAME: &'static str = "cron";
    type Config = CronConfig;

    fn new(config: CronConfig) -> anyhow::Result<Self> {
        anyhow::ensure!(config.limits.rows_max > 0, "cron may fire nothing");
        anyhow::ensure!(!config.limits.look.is_zero(), "cron may not look all the time");
        Ok(Self { config, stats: CronStats::default() })
    }

    async fn run(self, runtime: Runtime, shutdown: Shutdown) -> anyhow::Result<()> {
        self.serve(runtime, shutdown).await;
        Ok(())
    }
}

impl CronTrigger {
    /// Counters; they stay readable after the trigger has run.
    pub fn stats(&self) -> CronStats {
        self.stats.clone()
    }

    /// Puts the schedules of `backend` in force and looks at them once, so that what becomes due
    /// from now on is noticed; [`CronTrigger::serve`] goes on from there.
    ///
    /// # Errors
    ///
    /// When the database is away.
    pub async fn prepare<B: Backend>(&self, backend: B) -> Result<(), nexus_storage::Error> {
        Rounds::new(backend, &self.config, &self.stats).next().await.map(drop)
    }

    /// Fires for the components of `backend` until shutdown is requested. A fire under way is ended
    /// first; it is one short transaction.
    pub async fn serve<B: Backend>(self, backend: B, mut shutdown: Shutdown) {
        // Ended with this future, so that an abandoned trigger stops as well.
        let _beside = chores::start(&self.config, &self.stats);
        let mut rounds = Rounds::new(backend, &self.config, &self.stats);
        let mut away = AWAY_MIN;
        while !shutdown.is_requested() {
            let pause = match rounds.next().await {
                Ok(pause) => {
                    away = AWAY_MIN;
                    pause
                }
                Err(error) => {
                    self.stats.failed();
                    let pause = away;
                    tracing::warn!(%error, ?pause, "schedules are not fired; trying again");
                    away = (away * 2).min(AWAY_MAX);
                    pause
                }
            };
            tokio::select! {
                () = shutdown.requested() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}
