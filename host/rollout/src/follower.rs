//! A host follows: what the database says that is served is loaded and served, what was replaced
//! finishes its calls or is cut off, and what became of it is written down, with what was counted.
//! Knows nothing of why traffic changes.

use crate::load::{Loaded, component_id};
use crate::registrar::lead;
use crate::{Error, Inner, Running, stages};
use nexus_runtime::{ComponentId, Revision, RevisionSnapshot, Served, Shutdown, Weighted};
use nexus_storage::rollouts::{Applied, Desired, RolloutRow, Sample};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Between two looks: a change is in force on every host within this, and the time to load it.
const LOOK: Duration = Duration::from_millis(500);
/// While a rollout is open, when seconds matter.
const LOOK_OPEN: Duration = Duration::from_millis(200);
/// While a revision that was replaced finishes its calls: its count is looked at, nothing else.
const DRAIN_LOOK: Duration = Duration::from_millis(10);
/// Others take a host for dead after 15 seconds.
const BEAT: Duration = Duration::from_secs(2);
/// A revision that could not be loaded is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// One who follows.
pub(crate) struct Follower {
    inner: Arc<Inner>,
    /// What the last look saw as a whole.
    seen: Option<i64>,
    /// By component.
    applied: HashMap<String, Settled>,
    draining: Vec<Draining>,
    /// Components of which something new is to be written down.
    unsaid: BTreeSet<String>,
    /// What was said or is being found out of rollouts, by stage.
    said: Arc<Mutex<HashSet<(Uuid, &'static str)>>>,
    stages: JoinSet<()>,
    beaten: Option<Instant>,
    /// Another process has this one's name: it follows still, until it ends, and says nothing.
    is_replaced: bool,
}

/// What was made of a component's traffic.
struct Settled {
    sequence: i64,
    failure: Option<String>,
    tried: Instant,
}

/// A revision that was replaced.
struct Draining {
    component: String,
    revision: Arc<Revision>,
    until: Instant,
    is_cut: bool,
}

pub(crate) async fn run(inner: Arc<Inner>, mut shutdown: Shutdown) {
    let Some(running) = inner.running.get() else { return };
    let mut follower = Follower::new(inner.clone());
    let mut is_away = false;
    let mut stirred = inner.stirred().listen();
    while !shutdown.is_requested() {
        let pause = match follower.look(running).await {
            Ok(()) => {
                is_away = false;
                if follower.said.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                    LOOK
                } else {
                    LOOK_OPEN
                }
            }
            Err(error) => {
                // Without a database nothing changes, and others say that it is away.
                if !is_away && !error.is_away() {
                    tracing::warn!(%error, "what is to be served is not known; looking again");
                }
                is_away = true;
                LOOK
            }
        };
        tokio::select! {
            () = shutdown.requested() => {}
            () = crate::doze(&mut stirred, pause) => {}
            () = follower.has_drained(), if !is_away => {}
        }
    }
}

impl Follower {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            seen: None,
            applied: HashMap::new(),
            draining: Vec::new(),
            unsaid: BTreeSet::new(),
            said: Arc::default(),
            stages: JoinSet::new(),
            beaten: None,
            is_replaced: false,
        }
    }

    /// One look: serves what is new, and says so.
    pub(crate) async fn look(&mut self, running: &Running) -> Result<(), Error> {
        self.beat(running).await?;
        let (sequence, open) = self.inner.rollouts.news().await?;
        let failed =
            |settled: &Settled| settled.failure.is_some() && settled.tried.elapsed() > AGAIN;
        if self.seen != Some(sequence) || self.applied.values().any(failed) {
            let desired = self.inner.rollouts.desired().await?;
            self.follow(running, &desired).await;
            self.say().await?;
            self.seen = Some(sequence);
            if open == 0 {
                let keys = desired.iter().flat_map(|one| {
                    one.weights.keys().map(|number| (one.component.clone(), *number))
                });
                running.shelf.keep(&keys.collect());
            }
        }
        self.drain();
        self.say().await?;
        match open {
            _ if self.is_replaced => {}
            0 => self.said.lock().unwrap_or_else(PoisonError::into_inner).clear(),
            _ => {
                let open = self.inner.rollouts.open().await?;
                self.work_on(&open);
                self.count(running, &open).await?;
            }
        }
        Ok(())
    }

    async fn beat(&mut self, running: &Running) -> Result<(), Error> {
        if self.beaten.is_some_and(|beaten| beaten.elapsed() < BEAT) {
            return Ok(());
        }
        let (inner, generation) = (&self.inner, running.runtime.generation());
        if !inner.rollouts.beat(inner.id, generation).await? {
            // Taken for dead, and whatever was said forgotten; or followed by another process.
            let again = inner.rollouts.rejoin(inner.id, &inner.host, &inner.version).await?;
            self.is_replaced = !again;
            self.applied.clear();
            self.seen = None;
            self.said.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.beaten = Some(Instant::now());
        Ok(())
    }

    /// Serves what differs.
    async fn follow(&mut self, running: &Running, desired: &[Desired]) {
        for one in desired {
            let settled = self.applied.get(&one.component);
            let is_done = settled.is_some_and(|settled| {
                settled.sequence == one.sequence
                    && (settled.failure.is_none() || settled.tried.elapsed() < AGAIN)
            });
            if is_done {
                continue;
            }
            let failure = self.apply(running, one).await.err();
            if let Some(failure) = &failure {
                tracing::warn!(component = one.component, failure, "traffic is not applied");
            }
            let settled = Settled { sequence: one.sequence, failure, tried: Instant::now() };
            self.applied.insert(one.component.clone(), settled);
            self.unsaid.insert(one.component.clone());
        }
    }

    async fn apply(&mut self, running: &Running, desired: &Desired) -> Result<(), String> {
        let id = component_id(&desired.component)?;
        if is_served(running, &id, desired) {
            return Ok(());
        }
        let mut all = Vec::new();
        for (number, weight) in &desired.weights {
            let name = &desired.component;
            let loaded = running.shelf.load(&self.inner, &running.runtime, name, *number).await;
            match loaded {
                Ok(loaded) => all.push((*weight, loaded)),
                // One without a share keeps nobody waiting.
                Err(reason) if *weight == 0 => {
                    tracing::info!(component = name, number, reason, "a revision is not here");
                }
                Err(reason) => return Err(format!("revision {number}: {reason}")),
            }
        }
        let before = served(running, &id);
        let lead = lead(&desired.weights);
        let routes = all.iter().find(|(_, loaded)| Some(loaded.revision.number()) == lead);
        let routes = routes.map(|(_, loaded)| loaded.routes.clone()).unwrap_or_default();
        let weighted = |(weight, Loaded { revision, .. }): &(u16, Loaded)| Weighted {
            revision: revision.clone(),
            weight: *weight,
        };
        let served = Served { routes, revisions: all.iter().map(weighted).collect() };
        running.runtime.serve(&id, served).map_err(|error| error.to_string())?;
        let is_kept =
            |old: &Arc<Revision>| all.iter().any(|(_, loaded)| Arc::ptr_eq(&loaded.revision, old));
        for revision in before.into_iter().filter(|old| !is_kept(old)) {
            let (component, until) = (desired.component.clone(), Instant::now() + self.inner.drain);
            self.draining.push(Draining { component, revision, until, is_cut: false });
        }
        // What is served again drains no more.
        self.draining.retain(|one| {
            !all.iter().any(|(_, loaded)| Arc::ptr_eq(&loaded.revision, &one.revision))
        });
        Ok(())
    }

    /// Waits until something that was replaced has finished its calls.
    async fn has_drained(&self) {
        if self.draining.is_empty() {
            std::future::pending::<()>().await;
        }
        while self.draining.iter().all(|one| one.revision.inflight() > 0) {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }

    /// Lets go of what has finished, cuts off what takes too long.
    fn drain(&mut self) {
        let unsaid = &mut self.unsaid;
        self.draining.retain_mut(|one| {
            if one.revision.inflight() == 0 {
                unsaid.insert(one.component.clone());
                return false;
            }
            if Instant::now() >= one.until && !one.is_cut {
                let (component, number) = (&one.component, one.revision.number());
                tracing::info!(component, number, "a revision did not finish in time: cut off");
                one.revision.cut_off();
                one.is_cut = true;
            }
            true
        });
    }

    /// Writes down what was applied. What cannot be written now is written with the next look.
    async fn say(&mut self) -> Result<(), Error> {
        let said = self.unsaid.iter().filter_map(|component| {
            let settled = self.applied.get(component)?;
            let draining = self.draining.iter().filter(|one| one.component == *component);
            Some(Applied {
                component,
                sequence: settled.sequence,
                draining: u32::try_from(draining.count()).unwrap_or(u32::MAX),
                failure: settled.failure.as_deref(),
            })
        });
        let said: Vec<_> = said.collect();
        if !said.is_empty() && !self.is_replaced {
            self.inner.rollouts.applied(self.inner.id, &said).await?;
            self.inner.stir();
        }
        self.unsaid.clear();
        Ok(())
    }

    /// Does this host's part in the stages of rollouts, each once, beside everything else.
    fn work_on(&mut self, open: &[RolloutRow]) {
        while self.stages.try_join_next().is_some() {}
        for rollout in open {
            let Some(stage) = stages::of(rollout.state) else { continue };
            let key = (rollout.id, stage);
            let is_new = self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
            if !is_new {
                continue;
            }
            let (inner, said, rollout) = (self.inner.clone(), self.said.clone(), rollout.clone());
            self.stages.spawn(async move {
                match stages::take_part(&inner, &rollout, stage).await {
                    Ok(()) => inner.stir(),
                    Err(error) => {
                        tracing::debug!(%error, "a stage is not reported; trying again");
                        said.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                    }
                }
            });
        }
    }

    /// Writes down what the revisions of rolling components have counted.
    async fn count(&self, running: &Running, open: &[RolloutRow]) -> Result<(), Error> {
        let rolling = |one: &RevisionSnapshot| {
            one.number > 0 && open.iter().any(|row| row.component == one.component.as_str())
        };
        let all = running.runtime.revisions();
        let samples: Vec<Sample> = all.iter().filter(|one| rolling(one)).map(sample).collect();
        self.inner.rollouts.count(self.inner.id, &samples).await?;
        Ok(())
    }
}

/// Whether the runtime serves exactly this.
fn is_served(running: &Running, id: &ComponentId, desired: &Desired) -> bool {
    let active = running.runtime.active();
    let Some(Ok(fleet)) = active.components.get(id) else { return false };
    let now = fleet.revisions().iter().map(|one| (one.revision.number(), one.weight));
    now.collect::<std::collections::BTreeMap<_, _>>() == desired.weights
}

fn served(running: &Running, id: &ComponentId) -> Vec<Arc<Revision>> {
    let active = running.runtime.active();
    let fleet = active.components.get(id).and_then(|state| state.as_ref().ok());
    let all = fleet.map(|fleet| fleet.revisions()).unwrap_or_default();
    all.iter().map(|one| one.revision.clone()).collect()
}

fn sample(snapshot: &RevisionSnapshot) -> Sample {
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let counts = &snapshot.counts;
    Sample {
        component: snapshot.component.to_string(),
        number: snapshot.number,
        calls: whole(counts.calls),
        server_errors: whole(counts.server_errors),
        failures: whole(counts.failures),
        traps: whole(counts.traps),
        timeouts: whole(counts.timeouts),
        cpu_kills: whole(counts.cpu_kills),
        refused: whole(counts.refused),
        latency: snapshot.latency.counts.iter().map(|count| whole(*count)).collect(),
    }
}
