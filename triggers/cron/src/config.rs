//! What the trigger is made with, and its limits.

use nexus_storage::schedules::Schedules;
use std::time::Duration;

/// Everything the trigger needs beside a runtime.
#[derive(Clone)]
pub struct CronConfig {
    pub schedules: Schedules,
    pub limits: CronLimits,
}

/// Bounds and paces of one host.
#[derive(Debug, Clone)]
pub struct CronLimits {
    /// Schedules read, fired or computed by one statement.
    pub rows_max: u32,
    /// The longest sleep: how late a change of clock or a new schedule is noticed.
    pub look: Duration,
    /// How often it is looked at which runs have ended.
    pub sweep: Duration,
    /// How often runs of more than 30 days ago are forgotten.
    pub purge: Duration,
}

impl Default for CronLimits {
    fn default() -> Self {
        Self {
            rows_max: 200,
            look: Duration::from_secs(1),
            sweep: Duration::from_secs(1),
            purge: Duration::from_secs(60),
        }
    }
}
