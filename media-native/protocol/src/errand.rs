//! One attempt at one job: the work on a thread of its own, heartbeats beside it, and its end told
//! to the host. Knows when a lease counts as lost; refuses to know how jobs are found.

use crate::client::Client;
use crate::context::{Context, Stopping, Why};
use crate::error::Error;
use crate::scratch::JobFolder;
use crate::wire::{Claimed, FinishRequest, HeartbeatRequest, Outcome, Progress, Stop};
use crate::worker::{AnyWorker, Failure, short};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep, timeout};

/// A third of the lease would do for the lease; somebody who cancels should not wait so long.
const BEAT_EVERY_MAX: Duration = Duration::from_secs(5);
/// Progress is told this often at most.
const BEAT_EVERY_MIN: Duration = Duration::from_secs(1);
/// What work that was told to stop may take to return, when the process is about to end: a
/// program's ten seconds to obey, and a little.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(12);
/// How long the host may be away before the end of a job is told no more: the lease is over then.
const FINISH_MAX: Duration = Duration::from_secs(300);
/// The same, when the process is about to end.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Whether this process goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    /// Running jobs may finish.
    Draining,
    /// They may not.
    Closing,
}

pub(crate) struct Errand {
    pub(crate) client: Client,
    pub(crate) worker: Arc<dyn AnyWorker>,
    pub(crate) claimed: Claimed,
    pub(crate) folder: JobFolder,
    pub(crate) phase: watch::Receiver<Phase>,
}

type Worked = Result<Result<Value, Failure>, JoinError>;

impl Errand {
    /// Works until the host knows how it ended, or the lease is lost.
    pub(crate) async fn run(mut self) {
        let (stop, _) = watch::channel(None);
        let (progress, told) = watch::channel(Progress::default());
        let cx = self.context(&stop, progress);
        let (worker, claimed) = (self.worker.clone(), self.claimed.clone());
        let mut work = tokio::task::spawn_blocking(move || worker.work(&claimed, &cx));
        let mut phase = self.phase.clone();
        let closing = async { drop(phase.wait_for(|phase| *phase == Phase::Closing).await) };
        let worked = tokio::select! {
            worked = &mut work => Some(worked),
            () = self.beat(&stop, told) => {
                // The lease is lost; the work has been told, and holds its place until it returns.
                Some((&mut work).await)
            }
            () = closing => {
                tell(&stop, Why::ShutDown);
                timeout(STOP_GRACE, &mut work).await.ok()
            }
        };
        let why = *stop.borrow();
        if let Some(outcome) = self.outcome(worked, why) {
            self.finish(outcome).await;
        }
    }

    fn context(&self, stop: &Stopping, progress: watch::Sender<Progress>) -> Context {
        Context {
            client: self.client.clone(),
            handle: Handle::current(),
            job: self.claimed.id,
            lease: self.claimed.lease.clone(),
            folder: self.folder.path().to_owned(),
            checkpoint: self.claimed.checkpoint.clone(),
            stop: stop.clone(),
            progress,
            fetched: AtomicU32::new(0),
        }
    }

    /// Keeps the lease and tells progress; returns when the lease is lost.
    async fn beat(&self, stop: &Stopping, mut told: watch::Receiver<Progress>) {
        let lease = Duration::from_millis(self.claimed.lease_ms);
        let every = (lease / 3).clamp(BEAT_EVERY_MIN, BEAT_EVERY_MAX);
        let mut ends = Instant::now() + lease;
        let mut pause = every;
        loop {
            let news = async {
                sleep(BEAT_EVERY_MIN.min(pause)).await;
                // An attempt that has ended tells nothing new; the pause decides.
                if told.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = news => {}
            }
            let progress = told.borrow_and_update().clone();
            let request = HeartbeatRequest { lease: self.claimed.lease.clone(), progress };
            let sent = Instant::now();
            match timeout(every, self.client.heartbeat(self.claimed.id, &request)).await {
                Ok(Ok(reply)) => {
                    ends = sent + Duration::from_millis(reply.lease_ms);
                    pause = every;
                    match reply.stop {
                        Some(Stop::Cancelled) => tell(stop, Why::Cancelled),
                        Some(Stop::Deadline) => tell(stop, Why::Deadline),
                        None => {}
                    }
                }
                Ok(Err(error)) if !error.is_passing() => {
                    tracing::warn!(job = %self.claimed.id, %error, "the work is dropped");
                    return tell(stop, Why::Lost);
                }
                _ if Instant::now() >= ends => {
                    tracing::warn!(job = %self.claimed.id, "the host is away: the work is dropped");
                    return tell(stop, Why::Lost);
                }
                _ => pause = BEAT_EVERY_MIN,
            }
        }
    }

    /// What the host is to be told; None when it would not listen.
    fn outcome(&self, worked: Option<Worked>, why: Option<Why>) -> Option<Outcome> {
        if why == Some(Why::Lost) {
            return None;
        }
        let again = |reason: String| Outcome::Retry { after_ms: None, reason };
        let failure = match worked {
            Some(Ok(Ok(output))) => return Some(Outcome::Ack { output }),
            Some(Ok(Err(failure))) => failure,
            Some(Err(error)) => Failure::retry(format!("the worker failed: {error}")),
            None => Failure::Stopped,
        };
        let ms = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        Some(match (failure, why) {
            (Failure::Reject(reason), _) => Outcome::Reject { reason: short(&reason) },
            (_, Some(Why::Deadline)) => {
                again(format!("not done within {} ms", self.claimed.wall_ms))
            }
            // A job that was cancelled ends with this; one that has to move on is charged nothing.
            (_, Some(_)) | (Failure::Stopped, None) => Outcome::Release { after_ms: None },
            (Failure::Retry { after, reason }, None) => {
                Outcome::Retry { after_ms: after.map(ms), reason: short(&reason) }
            }
            (Failure::Release { after, reason }, None) => {
                tracing::info!(job = %self.claimed.id, reason, "the job is given back");
                Outcome::Release { after_ms: after.map(ms) }
            }
        })
    }

    /// Tells the end, patiently while the host is away.
    async fn finish(&mut self, outcome: Outcome) {
        let id = self.claimed.id;
        let mut request = FinishRequest { lease: self.claimed.lease.clone(), outcome };
        let (mut pause, began) = (PAUSE_MIN, Instant::now());
        loop {
            let last = *self.phase.borrow() == Phase::Closing;
            let patience = if last { LAST_WORDS } else { FINISH_MAX };
            match self.client.finish(id, &request).await {
                Ok(()) => {
                    return tracing::info!(job = %id, kind = self.claimed.kind, "done with a job");
                }
                Err(Error::Refused { reason, .. })
                    if matches!(request.outcome, Outcome::Ack { .. }) =>
                {
                    // An output that the host does not take will not be taken next time either.
                    request.outcome = Outcome::Reject { reason: short(&reason) };
                }
                Err(error) if error.is_passing() && began.elapsed() < patience => {
                    sleep(pause.mul_f64(0.5 + 0.5 * rand::random::<f64>())).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(error) => {
                    return tracing::warn!(job = %id, %error, "the end of a job was not told");
                }
            }
        }
    }
}

/// The first reason counts, but for a lost lease, which ends everything.
fn tell(stop: &Stopping, why: Why) {
    stop.send_if_modified(|known| {
        let news = known.is_none() || (why == Why::Lost && *known != Some(Why::Lost));
        if news {
            *known = Some(why);
        }
        news
    });
}
