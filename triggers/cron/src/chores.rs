//! What every host does for the runs beside firing: seeing which have ended, forgetting the old
//! ones. Any number of hosts may do each of it at once.

use crate::config::CronConfig;
use crate::stats::CronStats;
use nexus_storage::Error;
use nexus_storage::schedules::Schedules;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Runs looked at in one go.
const SWEEP_ROWS_MAX: u32 = 1_000;

/// Runs forgotten in one go.
const PURGE_ROWS_MAX: u32 = 10_000;

/// Starts both; they end with the set.
pub(crate) fn start(config: &CronConfig, stats: &CronStats) -> JoinSet<()> {
    let mut chores = JoinSet::new();
    chores.spawn(sweep(config.schedules.clone(), config.limits.sweep, stats.clone()));
    chores.spawn(purge(config.schedules.clone(), config.limits.purge, stats.clone()));
    chores
}

async fn sweep(schedules: Schedules, pace: Duration, stats: CronStats) {
    let mut pace = paced(pace);
    let mut cursor = None;
    loop {
        pace.tick().await;
        match schedules.sweep(cursor, SWEEP_ROWS_MAX).await {
            Ok(swept) => {
                cursor = swept.cursor;
                stats.ended(swept.ended);
            }
            Err(error) => failed(&stats, &error, "see which runs have ended"),
        }
    }
}

async fn purge(schedules: Schedules, pace: Duration, stats: CronStats) {
    let mut pace = paced(pace);
    loop {
        pace.tick().await;
        if let Err(error) = schedules.purge(PURGE_ROWS_MAX).await {
            failed(&stats, &error, "forget old runs");
        }
    }
}

fn paced(pace: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(pace);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The next time may fare better; that the database is away is said by those who fire.
fn failed(stats: &CronStats, error: &Error, chore: &str) {
    stats.failed();
    if !error.is_unavailable() {
        tracing::error!(%error, "cannot {chore}");
    }
}
