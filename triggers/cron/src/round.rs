//! One look at the schedules: what changed is computed, what is due is fired, what was ordered is
//! worked off. Refuses to know time beyond the clock it is given.

use crate::backend::Backend;
use crate::config::{CronConfig, CronLimits};
use crate::entries::synchronise;
use crate::stats::CronStats;
use nexus_storage::Error;
use nexus_storage::schedules::{ScheduleError, Schedules};
use std::time::{Duration, SystemTime};

/// Orders to backfill worked off in one round: each may fire a thousand runs.
const BACKFILLS_MAX: u32 = 4;

/// What goes on from round to round.
pub(crate) struct Rounds<B> {
    backend: B,
    schedules: Schedules,
    limits: CronLimits,
    stats: CronStats,
    /// The generation whose entries are in the database.
    synchronised: Option<u64>,
}

impl<B: Backend> Rounds<B> {
    pub(crate) fn new(backend: B, config: &CronConfig, stats: &CronStats) -> Self {
        Self {
            backend,
            schedules: config.schedules.clone(),
            limits: config.limits.clone(),
            stats: stats.clone(),
            synchronised: None,
        }
    }

    /// One look; returns how long to sleep until the next one.
    ///
    /// # Errors
    ///
    /// When the database is away. What was done before stays done, the rest comes again.
    pub(crate) async fn next(&mut self) -> Result<Duration, Error> {
        let generation = self.backend.generation();
        if self.synchronised != Some(generation) {
            synchronise(&self.schedules, &self.backend.entries()).await?;
            self.synchronised = Some(generation);
        }
        let now = self.backend.now();
        self.compute(now).await?;
        self.work_off(now).await?;
        let then = self.fire(now).await?;
        let until = then.and_then(|then| then.duration_since(self.backend.now()).ok());
        Ok(match then {
            Some(_) => until.unwrap_or_default().min(self.limits.look),
            None => self.limits.look,
        })
    }

    async fn compute(&self, now: SystemTime) -> Result<(), Error> {
        for pending in self.schedules.compute(now, self.limits.rows_max).await? {
            if let Some(reason) = pending.refused {
                let (service, schedule) = (pending.service, pending.name);
                tracing::error!(service, schedule, reason, "the schedule is never due");
            }
        }
        Ok(())
    }

    async fn work_off(&self, now: SystemTime) -> Result<(), Error> {
        match self.schedules.backfills(now, BACKFILLS_MAX).await {
            Ok(_) => Ok(()),
            Err(ScheduleError::Storage(error)) => Err(error),
            // Kept with the order.
            Err(_) => Ok(()),
        }
    }

    /// Fires what is due; returns when the next one will be.
    async fn fire(&self, now: SystemTime) -> Result<Option<SystemTime>, Error> {
        loop {
            let next = self.schedules.due(now, self.limits.rows_max).await?;
            for due in &next.due {
                match self.schedules.fire(due, now).await {
                    Ok(fired) => self.stats.fired(due.service(), &fired, now),
                    Err(ScheduleError::Storage(error)) if error.is_unavailable() => {
                        return Err(error);
                    }
                    Err(error) => {
                        self.stats.failed();
                        let (service, schedule) = (due.service(), due.name());
                        tracing::error!(service, schedule, %error, "the schedule is not fired");
                        // One that cannot be fired must not keep the others from theirs for ever.
                        self.schedules.recompute(due).await?;
                    }
                }
            }
            if next.due.len() < self.limits.rows_max as usize {
                return Ok(next.then);
            }
        }
    }
}
