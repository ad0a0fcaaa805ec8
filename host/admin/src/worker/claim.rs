//! Claims: what a worker may have, waited for a while.

use super::wire::{self, Claim};
use super::{JobParts, Workers, failure, json};
use crate::problems;
use nexus_runtime::{Problem, Response};
use nexus_storage::Error;
use nexus_storage::jobs::{ClaimedJob, Ending, Jobs, meets};
use serde_json::{Value, json as object};
use std::time::{Duration, Instant};

/// Longer waits would outlive what stands between a worker and its host.
const WAIT_MAX: Duration = Duration::from_secs(30);
const MOST_MAX: u32 = 16;
const KINDS_MAX: usize = 64;
/// The first look after one that found nothing, and the slowest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

impl Workers {
    pub(super) async fn claim(&self, parts: &JobParts, asked: Claim) -> Result<Response, Problem> {
        check(&asked).map_err(|reason| problems::WORKER_REQUEST.detail(reason))?;
        let _place = self.waiting.try_acquire().map_err(|_| problems::WORKERS_WAIT)?;
        let _counted = self.facts.counts().waiting();
        let wait = Duration::from_millis(asked.wait_ms).min(WAIT_MAX);
        let (began, mut pause) = (Instant::now(), PAUSE_MIN);
        let mut shutdown = self.shutdown.clone();
        let mut news = parts.jobs.listen();
        loop {
            let looked = Instant::now();
            let held = self.look(parts, &asked).await.map_err(|error| failure(&error))?;
            let left = wait.saturating_sub(began.elapsed());
            if !held.0.is_empty() || left.is_zero() || shutdown.is_requested() {
                return Ok(self.hand_over(held));
            }
            let nap = pause.mul_f64(0.5 + 0.5 * rand::random::<f64>()).min(left);
            pause = (pause * 2).min(PAUSE_MAX);
            // News may be about anything: on a busy host they are no reason to look all the time.
            let told = async {
                news.poked().await;
                tokio::time::sleep(PAUSE_MIN.saturating_sub(looked.elapsed())).await;
            };
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                () = told => {}
                () = shutdown.requested() => {}
            }
        }
    }

    async fn look(&self, parts: &JobParts, asked: &Claim) -> Result<Held, Error> {
        let mut queues = parts.jobs.queues(&asked.kinds).await?;
        queues.retain(|queue| meets(&queue.requires, &asked.offers));
        if queues.is_empty() {
            return Ok(Held(Vec::new(), parts.jobs.clone()));
        }
        let queues: Vec<i32> = queues.iter().map(|queue| queue.id).collect();
        let (jobs, worker) = (parts.jobs.clone(), asked.worker.clone());
        let most = asked.most;
        // A worker that goes away meanwhile must not take jobs along: this goes on to its end.
        let claim = tokio::spawn(async move {
            let claimed = jobs.claim(&queues, most, &worker).await?;
            Ok::<_, Error>(Held(claimed, jobs))
        });
        claim.await.unwrap_or_else(|_| Ok(Held(Vec::new(), parts.jobs.clone())))
    }

    fn hand_over(&self, mut held: Held) -> Response {
        let claimed = std::mem::take(&mut held.0);
        for job in &claimed {
            self.facts.counts().claimed(&job.kind);
            tracing::debug!(job = %job.id, kind = job.kind, attempt = job.attempt, "taken");
        }
        let jobs: Vec<Value> = claimed.iter().map(wire::claimed).collect();
        json(&object!({ "jobs": jobs }))
    }
}

/// Claimed jobs that nobody was told of; given back when dropped.
struct Held(Vec<ClaimedJob>, Jobs);

impl Drop for Held {
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let (claimed, jobs) = (std::mem::take(&mut self.0), self.1.clone());
        tokio::spawn(async move {
            for job in claimed {
                let release = Ending::Release { after: None };
                if let Err(error) = jobs.finish(job.id, job.lease, &release).await {
                    tracing::debug!(%error, job = %job.id, "a job is left to its lease");
                }
            }
        });
    }
}

fn check(asked: &Claim) -> Result<(), String> {
    let name = asked.worker.as_bytes();
    if !(1..=100).contains(&name.len()) || !name.iter().all(u8::is_ascii_graphic) {
        return Err("worker is 1 to 100 visible ASCII characters".into());
    }
    if !(1..=KINDS_MAX).contains(&asked.kinds.len()) {
        return Err(format!("kinds are 1 to {KINDS_MAX}"));
    }
    if !(1..=MOST_MAX).contains(&asked.most) {
        return Err(format!("most is 1 to {MOST_MAX}"));
    }
    Ok(())
}
