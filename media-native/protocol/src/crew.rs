//! The loop that every worker runs in: claims as much as there is room for, waits at the host and
//! not here, and lets go of everything within a bound when it is told to end.

use crate::client::{Client, Token};
use crate::errand::{Errand, LAST_WORDS, Phase, STOP_GRACE};
use crate::error::Error;
use crate::scratch::Scratch;
use crate::wire::{ClaimRequest, Claimed, FinishRequest, Offers, Outcome};
use crate::worker::{AnyWorker, Worker};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// How long a claim waits at the host.
const WAIT: Duration = Duration::from_secs(25);
/// The most one claim asks for.
const CLAIM_MAX: usize = 16;
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A job that this machine has no room for.
const NO_ROOM: Duration = Duration::from_secs(30);

/// Where and how a crew works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The host's operators' address, such as `http://127.0.0.1:8081`.
    pub host: String,
    pub token: Token,
    /// For people: which machine and process.
    pub name: String,
    /// Folder under which each job gets one of its own.
    pub scratch: PathBuf,
    /// Only these kinds; None is all that the crew knows.
    pub kinds: Option<Vec<String>>,
    pub offers: Offers,
    /// Jobs at once.
    pub most: usize,
    /// What running jobs may take to finish after the end was asked for; then they are given back.
    pub drain: Duration,
    /// How long nothing may be to do before this ends by itself; None waits for ever.
    pub idle_exit: Option<Duration>,
}

/// Workers by kind.
#[derive(Clone, Default)]
pub struct Crew {
    workers: BTreeMap<&'static str, Arc<dyn AnyWorker>>,
}

impl Crew {
    /// Adds a worker; the last of a kind counts.
    #[must_use]
    pub fn with<W: Worker>(mut self, worker: W) -> Self {
        self.workers.insert(W::KIND, Arc::new(worker));
        self
    }

    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.workers.keys().copied()
    }

    /// Works until `shutdown` is done, then drains; or until nothing was to do for as long as the
    /// settings say.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a kind that nobody here knows; [`Error::Refused`] when the host does
    /// not know the token; [`Error::File`].
    pub async fn run(
        &self,
        settings: Settings,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let request = self.request(&settings)?;
        let (phase, _) = watch::channel(Phase::Open);
        let mut shift = Shift {
            client: Client::new(&settings.host, settings.token.clone())?,
            scratch: Scratch::open(&settings.scratch)?,
            crew: self.clone(),
            slots: Arc::new(Semaphore::new(settings.most.max(1))),
            jobs: JoinSet::new(),
            phase,
        };
        let ended = tokio::select! {
            ended = shift.claim_on(&request, settings.idle_exit) => ended,
            () = shutdown => Ok(()),
        };
        shift.close(settings.drain).await;
        ended
    }

    fn request(&self, settings: &Settings) -> Result<ClaimRequest, Error> {
        let all = || self.kinds().map(str::to_owned).collect();
        let kinds: Vec<String> = settings.kinds.clone().unwrap_or_else(all);
        let unknown = kinds.iter().find(|kind| !self.workers.contains_key(kind.as_str()));
        if let Some(unknown) = unknown {
            let known: Vec<_> = self.kinds().collect();
            let reason = format!("do not have {unknown}; there are {}", known.join(", "));
            return Err(Error::Setting { name: "the kinds", reason });
        }
        Ok(ClaimRequest {
            worker: settings.name.clone(),
            kinds,
            offers: settings.offers.clone(),
            most: 1,
            wait_ms: u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// A crew at work.
struct Shift {
    client: Client,
    scratch: Scratch,
    crew: Crew,
    slots: Arc<Semaphore>,
    jobs: JoinSet<()>,
    phase: watch::Sender<Phase>,
}

impl Shift {
    /// Claims until the host refuses for good, or nothing is to do for `idle_exit`.
    async fn claim_on(
        &mut self,
        request: &ClaimRequest,
        idle_exit: Option<Duration>,
    ) -> Result<(), Error> {
        let mut pause = PAUSE_MIN;
        let mut away = false;
        let mut busy = Instant::now();
        let wait_ms = idle_exit.map_or(request.wait_ms, |idle| {
            request.wait_ms.min(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX))
        });
        loop {
            let mut room = self.room().await;
            let most = u32::try_from(room.len()).unwrap_or(1);
            if !self.jobs.is_empty() {
                busy = Instant::now();
            }
            match self.client.claim(&ClaimRequest { most, wait_ms, ..request.clone() }).await {
                Ok(reply) => {
                    (pause, away) = (PAUSE_MIN, false);
                    if !reply.jobs.is_empty() || self.is_at_work() {
                        busy = Instant::now();
                    } else if idle_exit.is_some_and(|idle| busy.elapsed() >= idle) {
                        tracing::info!("nothing is to be done: the end");
                        return Ok(());
                    }
                    for claimed in reply.jobs {
                        self.begin(claimed, room.pop());
                    }
                }
                Err(error) if error.is_passing() => {
                    if !away {
                        tracing::warn!(%error, "the host is waited for");
                    }
                    away = true;
                    sleep(pause.mul_f64(0.5 + 0.5 * rand::random::<f64>())).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn is_at_work(&mut self) -> bool {
        while self.jobs.try_join_next().is_some() {}
        !self.jobs.is_empty()
    }

    /// Waits for one free place and takes all that are free.
    async fn room(&mut self) -> Vec<OwnedSemaphorePermit> {
        let first = self.slots.clone().acquire_owned().await;
        let mut room: Vec<_> = first.into_iter().collect();
        while room.len() < CLAIM_MAX
            && let Ok(next) = self.slots.clone().try_acquire_owned()
        {
            room.push(next);
        }
        while self.jobs.try_join_next().is_some() {}
        room
    }

    /// A host that gives more than was asked for gets the rest done without a place of its own.
    fn begin(&mut self, claimed: Claimed, place: Option<OwnedSemaphorePermit>) {
        tracing::info!(job = %claimed.id, kind = claimed.kind, attempt = claimed.attempt, "a job");
        let worker = self.crew.workers.get(claimed.kind.as_str()).cloned();
        let folder = self.scratch.for_job(claimed.id, claimed.attempt);
        let (client, phase) = (self.client.within(&claimed), self.phase.subscribe());
        self.jobs.spawn(async move {
            match (worker, folder) {
                (Some(worker), Ok(folder)) => {
                    Errand { client, worker, claimed, folder, phase }.run().await;
                }
                (None, _) => give_back(&client, &claimed, "nobody here does this kind").await,
                (_, Err(error)) => give_back(&client, &claimed, &error.to_string()).await,
            }
            drop(place);
        });
    }

    /// Lets running jobs finish for `drain`, then has them given back.
    async fn close(mut self, drain: Duration) {
        self.phase.send_replace(Phase::Draining);
        if timeout(drain, self.all_done()).await.is_ok() {
            return;
        }
        tracing::info!(jobs = self.jobs.len(), "running jobs are given back");
        self.phase.send_replace(Phase::Closing);
        if timeout(STOP_GRACE + 2 * LAST_WORDS, self.all_done()).await.is_err() {
            tracing::warn!(jobs = self.jobs.len(), "running jobs are left to their leases");
        }
    }

    async fn all_done(&mut self) {
        while self.jobs.join_next().await.is_some() {}
    }
}

async fn give_back(client: &Client, claimed: &Claimed, reason: &str) {
    tracing::warn!(job = %claimed.id, reason, "a job is given back");
    let after_ms = u64::try_from(NO_ROOM.as_millis()).ok();
    let outcome = Outcome::Release { after_ms };
    let request = FinishRequest { lease: claimed.lease.clone(), outcome };
    if let Err(error) = client.finish(claimed.id, &request).await {
        tracing::warn!(job = %claimed.id, %error, "it is left to its lease");
    }
}
