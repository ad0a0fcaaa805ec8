//! The one task that decides: what to claim next, what to begin, when to look again, and how to
//! stop. Everything it starts reports back to it, so nothing here is locked.

use crate::backend::Backend;
use crate::call::{Addressee, Answered, Claimed};
use crate::config::QueueConfig;
use crate::finish::Verdict;
use crate::held::Held;
use crate::lane::Lane;
use crate::round::{Found, Round};
use crate::stats::QueueStats;
use nexus_runtime::{ComponentId, Outcome as Said, Shutdown};
use nexus_storage::Listening;
use nexus_storage::queue::{Claim, Lease, Outcome, QueueId, Registered};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

/// First pause when the database is away; it doubles up to the second.
const AWAY_MIN: Duration = Duration::from_millis(100);
const AWAY_MAX: Duration = Duration::from_secs(5);

/// Queues are not read again more often than this, however often the host is poked.
const REFRESH_MIN: Duration = Duration::from_millis(250);

/// Pokes are heard at most so often: a busy service makes thousands a second, each would wake this
/// thread, and one round finds whatever was made until then.
const POKE_GAP: Duration = Duration::from_millis(2);

pub(crate) struct Dispatcher<B> {
    pub(crate) backend: B,
    pub(crate) config: QueueConfig,
    pub(crate) stats: QueueStats,
    pub(crate) held: Held,
    pub(crate) verdicts: mpsc::UnboundedSender<Verdict>,
    pub(crate) committed: Arc<Notify>,
    lanes: BTreeMap<QueueId, Lane>,
    deliveries: JoinSet<Answered>,
    /// Which messages each of them has.
    begun: HashMap<tokio::task::Id, (QueueId, Vec<Lease>)>,
    /// Begins the round of small claims, so that no queue is always the last.
    turn: usize,
    generation: Option<u64>,
    refreshed: Option<Instant>,
    /// There may be something to claim.
    is_due: bool,
    poked: bool,
    /// No claim before then: the database is away.
    away: Option<(Instant, Duration)>,
    idle: Duration,
}

/// Waits for a poke, and hears none before `then`.
async fn poked_after(then: tokio::time::Instant, work: &mut Listening) {
    if tokio::time::Instant::now() < then {
        tokio::time::sleep_until(then).await;
    }
    work.poked().await;
}

/// A delivery that has ended, or broke down.
type Ended = Result<(tokio::task::Id, Answered), tokio::task::JoinError>;

impl<B: Backend> Dispatcher<B> {
    pub(crate) fn new(
        backend: B,
        config: QueueConfig,
        stats: QueueStats,
        held: Held,
        verdicts: mpsc::UnboundedSender<Verdict>,
        committed: Arc<Notify>,
    ) -> Self {
        let idle = config.limits.poll_min;
        Self {
            backend,
            config,
            stats,
            held,
            verdicts,
            committed,
            lanes: BTreeMap::new(),
            deliveries: JoinSet::new(),
            begun: HashMap::new(),
            turn: 0,
            generation: None,
            refreshed: None,
            is_due: true,
            poked: false,
            away: None,
            idle,
        }
    }

    /// Works until shutdown is requested; then ends what runs, within the bound, and gives the rest
    /// back.
    pub(crate) async fn run(mut self, mut shutdown: Shutdown) {
        let mut work = self.config.queue.database().work().listen();
        let mut rounds: JoinSet<Found> = JoinSet::new();
        let committed = self.committed.clone();
        let mut heard = tokio::time::Instant::now();
        loop {
            self.begin_all();
            if rounds.is_empty()
                && let Some(round) = self.next_round()
            {
                rounds.spawn(round.run());
            }
            let wake = tokio::time::Instant::from_std(self.wakes_at());
            tokio::select! {
                () = shutdown.requested() => break,
                Some(found) = rounds.join_next() => self.take(found),
                Some(ended) = self.deliveries.join_next_with_id() => self.ended(ended),
                () = committed.notified() => self.is_due = true,
                () = poked_after(heard + POKE_GAP, &mut work) => {
                    heard = tokio::time::Instant::now();
                    self.is_due = true;
                    self.poked = true;
                    self.idle = self.config.limits.poll_min;
                }
                () = tokio::time::sleep_until(wake) => self.woke(),
            }
        }
        // A claim under way holds leases by the time it ends.
        while let Some(found) = rounds.join_next().await {
            self.take(found);
        }
        self.drain().await;
    }

    fn woke(&mut self) {
        let now = Instant::now();
        if self.away.is_some_and(|(until, _)| now < until) {
            return;
        }
        self.is_due = true;
        self.idle = (self.idle * 2).min(self.config.limits.poll_max);
    }

    /// When to look again if nothing happens until then.
    fn wakes_at(&self) -> Instant {
        let now = Instant::now();
        let poll = now + self.idle.mul_f64(rand::random_range(0.75..1.25));
        let poll = self.away.map_or(poll, |(until, _)| poll.max(until));
        let batch = self.lanes.values().filter_map(Lane::wakes_at).min();
        // A batch that is due but finds no room is begun when one ends.
        batch.filter(|at| *at > now).map_or(poll, |at| at.min(poll))
    }

    fn next_round(&mut self) -> Option<Round<B>> {
        let now = Instant::now();
        if !self.is_due || self.away.is_some_and(|(until, _)| now < until) {
            return None;
        }
        self.is_due = false;
        let age = self.refreshed.map(|at| now.duration_since(at));
        let refresh = age.is_none_or(|age| {
            age >= self.config.limits.refresh || self.poked && age >= REFRESH_MIN
        });
        let claims = self.claims(now);
        let moved_on = self.generation != Some(self.backend.generation());
        if claims.is_empty() && !refresh && !moved_on {
            return None;
        }
        Some(Round {
            backend: self.backend.clone(),
            queue: self.config.queue.clone(),
            host: self.config.host.clone(),
            lease: self.config.limits.lease,
            generation: self.generation,
            refresh,
            claims,
        })
    }

    /// One message for every queue that has room, in turn; what is left of the bound goes to the
    /// queues that are busy, in equal parts.
    fn claims(&mut self, now: Instant) -> Vec<Claim> {
        let limits = &self.config.limits;
        let bound = u32::try_from(limits.leases_max).unwrap_or(u32::MAX);
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        let mut left = bound.saturating_sub(held);
        let mut claims = Vec::new();
        let count = self.lanes.len().max(1);
        self.turn = (self.turn + 1) % count;
        let busy = self.lanes.values().filter(|lane| lane.is_busy).count();
        let spare = left.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        let share = spare / u32::try_from(busy.max(1)).unwrap_or(u32::MAX);
        let (front, back): (Vec<_>, Vec<_>) =
            self.lanes.values_mut().enumerate().partition(|(place, _)| *place >= self.turn);
        for (_, lane) in front.into_iter().chain(back) {
            let room = lane.room(limits.ahead, now);
            let wanted = if lane.is_busy { 1 + share } else { lane.queue.settings.batch_max };
            let most = room.min(wanted).min(left);
            if most > 0 {
                left -= most;
                lane.asked = most;
                claims.push(lane.queue.claim(most));
            }
        }
        claims
    }

    fn take(&mut self, found: Result<Found, tokio::task::JoinError>) {
        let found = match found {
            Ok(found) => found,
            Err(error) => return tracing::error!(%error, "a round of claims came to nothing"),
        };
        self.generation = found.generation;
        if let Some(queues) = found.queues {
            self.refreshed = Some(Instant::now());
            self.poked = false;
            self.know(queues);
        }
        for claim in &found.asked {
            if let Some(lane) = self.lanes.get_mut(&claim.queue) {
                lane.asked = 0;
                let got = found.leased.iter().filter(|l| l.lease.queue == claim.queue).count();
                lane.is_busy = u32::try_from(got).unwrap_or(u32::MAX) >= claim.most;
                self.is_due |= lane.is_busy;
            }
        }
        for leased in found.leased {
            self.held.add(&leased, found.since);
            if let Some(lane) = self.lanes.get_mut(&leased.lease.queue) {
                self.stats.claimed(&lane.queue, &leased);
                lane.waiting.push_back(Claimed { leased, since: found.since });
                self.idle = self.config.limits.poll_min;
            }
        }
        self.stats.holds(self.held.len());
        match found.error {
            None => self.away = None,
            Some(error) => {
                let pause = self.away.map_or(AWAY_MIN, |(_, pause)| (pause * 2).min(AWAY_MAX));
                let pause_now = pause.mul_f64(rand::random_range(0.75..1.25));
                self.away = Some((Instant::now() + pause_now, pause));
                self.is_due = true;
                self.stats.failed();
                tracing::warn!(%error, ?pause, "no messages could be claimed");
            }
        }
    }

    /// Takes over what the database says about the queues.
    fn know(&mut self, queues: Vec<(Registered, ComponentId)>) {
        let per_queue = self.config.limits.per_queue_max;
        let mut gone: Vec<QueueId> = self.lanes.keys().copied().collect();
        for (queue, component) in queues {
            gone.retain(|id| *id != queue.id);
            let queue = Arc::new(queue);
            match self.lanes.get_mut(&queue.id) {
                Some(lane) => lane.update(queue, per_queue),
                None => {
                    let id = queue.id;
                    self.lanes.insert(id, Lane::new(queue, component, per_queue));
                    self.is_due = true;
                }
            }
        }
        // Those of a component that is not active any more end what they have begun.
        for id in gone {
            if self.lanes.get(&id).is_some_and(Lane::is_empty) {
                self.lanes.remove(&id);
            }
        }
    }

    fn begin_all(&mut self) {
        let now = Instant::now();
        for lane in self.lanes.values_mut() {
            while let Some(claimed) = lane.next(now) {
                let addressee = Addressee {
                    backend: self.backend.clone(),
                    component: lane.component.clone(),
                    queue: lane.queue.clone(),
                    release_pause: self.config.limits.release_pause,
                };
                let queue = lane.queue.id;
                let leases = claimed.iter().map(|claimed| claimed.leased.lease).collect();
                let task =
                    self.deliveries.spawn(async move { addressee.hand_over(&claimed).await });
                self.begun.insert(task.id(), (queue, leases));
            }
        }
    }

    fn ended(&mut self, ended: Ended) {
        let (task, answered) = match ended {
            Ok((task, answered)) => (task, Some(answered)),
            Err(error) => {
                tracing::error!(%error, "a delivery broke down");
                (error.id(), None)
            }
        };
        let Some((queue, leases)) = self.begun.remove(&task) else { return };
        let Some(lane) = self.lanes.get_mut(&queue) else { return };
        lane.running = lane.running.saturating_sub(1);
        self.is_due |= lane.is_busy;
        if answered.as_ref().is_some_and(|answered| answered.saturated) {
            lane.width.narrow(Instant::now());
        }
        let queue = lane.queue.clone();
        let broken = || Outcome::Retry { after: None, reason: "the delivery broke down".into() };
        let mut outcomes =
            answered.map(|answered| answered.outcomes).unwrap_or_default().into_iter();
        for lease in leases {
            self.settle(&queue, lease, outcomes.next().map_or_else(broken, kept));
        }
    }

    fn settle(&self, queue: &Arc<Registered>, lease: Lease, outcome: Outcome) {
        if !self.held.contains(&lease) {
            // Lost while it was worked on; the statement would only say so again.
            let ended = nexus_storage::queue::Ended::Stale;
            return self.stats.ended(queue, &outcome, ended);
        }
        let verdict = Verdict { queue: queue.clone(), lease, outcome };
        // The finisher lives until this task lets go of the sender.
        let _written = self.verdicts.send(verdict);
    }

    /// Gives back what has not begun, waits for what runs, and gives that back, too, when it takes
    /// too long.
    async fn drain(&mut self) {
        let mut given_up: Vec<_> = self
            .lanes
            .values_mut()
            .flat_map(|lane| lane.give_up().into_iter().map(|lease| (lane.queue.clone(), lease)))
            .collect();
        self.release(&mut given_up);
        let until = tokio::time::Instant::now() + self.config.limits.drain;
        while let Ok(Some(ended)) =
            tokio::time::timeout_at(until, self.deliveries.join_next_with_id()).await
        {
            self.ended(ended);
        }
        if self.begun.is_empty() {
            return;
        }
        tracing::warn!(deliveries = self.begun.len(), "deliveries were cut short by the shutdown");
        self.deliveries.shutdown().await;
        for (queue, leases) in std::mem::take(&mut self.begun).into_values() {
            if let Some(lane) = self.lanes.get(&queue) {
                given_up.extend(leases.into_iter().map(|lease| (lane.queue.clone(), lease)));
            }
        }
        self.release(&mut given_up);
    }

    fn release(&self, leases: &mut Vec<(Arc<Registered>, Lease)>) {
        for (queue, lease) in leases.drain(..) {
            self.settle(&queue, lease, Outcome::Release { after: None });
        }
    }
}

/// The runtime's word for it as the queue's.
fn kept(said: Said) -> Outcome {
    match said {
        Said::Ack => Outcome::Ack,
        Said::Retry { after, reason } => Outcome::Retry { after, reason },
        Said::Release { after } => Outcome::Release { after },
        Said::Reject { reason } => Outcome::Reject { reason },
    }
}
