//! What the trigger counts. Refuses to know how numbers are rendered.

use nexus_storage::schedules::{Fired, FiredRun, RunState, RunTrigger};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Upper bounds of the lateness of fires, in seconds; beyond the last is the rest.
pub const LATENESS_BOUNDS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A handle on the counters; clones share them, and they stay readable after the trigger has run.
#[derive(Clone, Default)]
pub struct CronStats(Arc<Mutex<CronSnapshot>>);

/// Everything at one moment. Counters only grow while the host runs.
#[derive(Debug, Clone, Default)]
pub struct CronSnapshot {
    /// By service.
    pub services: BTreeMap<String, CronCounts>,
    /// Runs that this host has seen to have ended.
    pub ended: u64,
    /// Rounds and chores that failed: the database was away, or worse.
    pub failures: u64,
}

/// What this host has fired for one service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CronCounts {
    /// Runs whose message was put into the queue at once.
    pub fired: u64,
    /// Of these, those that made up for a time when nobody was there.
    pub caught_up: u64,
    /// Runs that wait for an earlier one.
    pub held: u64,
    /// Runs left out by overlap, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Instants that nobody was there for and that are not made up for, by reason.
    pub missed: BTreeMap<String, u64>,
    /// Fires that another host was faster with.
    pub lost: u64,
    /// From the instant, with its jitter, to the fire, where it was on time: by bucket of
    /// [`LATENESS_BOUNDS`], and in all.
    pub lateness_buckets: [u64; LATENESS_BOUNDS.len() + 1],
    pub lateness_seconds: f64,
}

impl CronStats {
    pub fn snapshot(&self) -> CronSnapshot {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, CronSnapshot> {
        // Counters are never half-changed in a way that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fired(&self, service: &str, fired: &Fired, now: SystemTime) {
        let mut all = self.lock();
        let counts = all.services.entry(service.to_owned()).or_default();
        counts.lost += u64::from(fired.runs.is_empty());
        for run in &fired.runs {
            counts.run(run, now);
        }
    }

    pub(crate) fn ended(&self, runs: u64) {
        self.lock().ended += runs;
    }

    pub(crate) fn failed(&self) {
        self.lock().failures += 1;
    }
}

impl CronCounts {
    fn run(&mut self, run: &FiredRun, now: SystemTime) {
        let reason = || run.reason.clone().unwrap_or_default();
        match run.state {
            RunState::Due => self.fired += 1,
            RunState::Held => self.held += 1,
            RunState::Skipped => *self.skipped.entry(reason()).or_default() += 1,
            RunState::Missed => *self.missed.entry(reason()).or_default() += run.fires,
            _ => self.lost += 1,
        }
        let made = matches!(run.state, RunState::Due | RunState::Held);
        match run.trigger {
            RunTrigger::Catchup => self.caught_up += u64::from(made),
            _ if run.state != RunState::Missed => {
                let late = now.duration_since(run.due_at).unwrap_or_default().as_secs_f64();
                let bucket = LATENESS_BOUNDS.iter().position(|bound| late <= *bound);
                self.lateness_buckets[bucket.unwrap_or(LATENESS_BOUNDS.len())] += 1;
                self.lateness_seconds += late;
            }
            _ => {}
        }
    }
}
