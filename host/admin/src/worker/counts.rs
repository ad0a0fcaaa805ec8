//! What workers have done on this host, for the page of metrics.

use nexus_observability::Exposition;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Kinds are at most 500, outcomes four, problems a handful.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: u64,
    claimed: BTreeMap<String, u64>,
    finished: BTreeMap<&'static str, u64>,
    refused: BTreeMap<&'static str, u64>,
}

/// A claim that waits at this host; it ends with this value, also when its worker goes away.
pub(crate) struct Waiting<'a>(&'a Counts);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl Counts {
    pub(crate) fn waiting(&self) -> Waiting<'_> {
        self.lock().waiting += 1;
        Waiting(self)
    }

    pub(crate) fn claimed(&self, kind: &str) {
        *self.lock().claimed.entry(kind.to_owned()).or_default() += 1;
    }

    pub(crate) fn finished(&self, outcome: &'static str) {
        *self.lock().finished.entry(outcome).or_default() += 1;
    }

    pub(crate) fn refused(&self, problem: &'static str) {
        *self.lock().refused.entry(problem).or_default() += 1;
    }

    pub(crate) fn measure(&self, page: &mut Exposition) {
        let counts = self.lock();
        let help = "Claims of workers that wait at this host for a job.";
        page.gauge("nexus_jobs_claims_waiting", help).sample(&[], counts.waiting as f64);
        let mut family = page.counter("nexus_jobs_claimed_total", "Jobs handed to workers.");
        for (kind, number) in &counts.claimed {
            family.sample(&[("queue", kind)], *number as f64);
        }
        let help = "Attempts that workers have ended, by outcome.";
        let mut family = page.counter("nexus_jobs_finished_total", help);
        for (outcome, number) in &counts.finished {
            family.sample(&[("outcome", outcome)], *number as f64);
        }
        let help = "Calls of workers that were refused, by problem; lease-lost is a stale lease.";
        let mut family = page.counter("nexus_jobs_calls_refused_total", help);
        for (problem, number) in &counts.refused {
            family.sample(&[("problem", problem)], *number as f64);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
