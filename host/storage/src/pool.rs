//! One bound over all connections. Idle ones are kept per target and closed when another target
//! needs the room; who waits is served in order; who hoards is cut off when others wait.
//!
//! Knows counts, keys and time. Refuses to know roles and statements.

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::session::{Physical, Session};
use crate::statement::Rules;
use crate::wire::Wire;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

/// How long the first in line may be passed over by users of a connection that is warm for them:
/// below this, handing connections over would close and open them at every turn.
const PASSED_OVER_MAX: Duration = Duration::from_millis(50);

/// How often hoarders are looked for while somebody waits.
const WATCH: Duration = Duration::from_millis(100);

/// How often idle connections are looked at.
const SWEEP: Duration = Duration::from_secs(5);

/// What bounds a pool.
#[derive(Debug, Clone)]
pub struct PoolLimits {
    /// Connections, open or being opened, over all targets.
    pub connections_max: usize,
    /// Connections of one target, so that one hoarder leaves room for others.
    pub per_target_max: usize,
    /// How long a caller waits for one.
    pub wait: Duration,
    /// How long an unused one is kept.
    pub idle: Duration,
    /// Checked out and without a statement for this long, it is closed when others wait.
    pub still: Duration,
    /// Running one statement for this long, it is closed when others wait. Above the statement
    /// timeout of the session, which a guest can turn off.
    pub running: Duration,
    /// A connection older than this is not used again: the server's memory for it only grows.
    pub age: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            connections_max: 40,
            per_target_max: 16,
            wait: Duration::from_secs(3),
            idle: Duration::from_secs(60),
            still: Duration::from_secs(5),
            running: Duration::from_secs(35),
            age: Duration::from_secs(1800),
        }
    }
}

/// What connections are interchangeable: one login on one server.
pub struct Target {
    key: Arc<str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) rules: Rules,
}

impl Target {
    /// `key` must tell this login and server from every other in the pool.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] when the endpoint's certificates are not usable.
    pub fn new(key: &str, endpoint: Endpoint, rules: Rules) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self { key: key.into(), endpoint: endpoint.ready()?, rules }))
    }
}

/// A count at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStats {
    pub open: usize,
    pub idle: usize,
    pub waiting: usize,
    /// Since the start: callers turned away, idle connections closed to make room, connections
    /// taken from who hoarded them, connections opened.
    pub saturated: u64,
    pub evicted: u64,
    pub revoked: u64,
    pub opened: u64,
}

/// A bounded set of connections to any number of targets.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

pub(crate) struct Shared {
    limits: PoolLimits,
    state: Mutex<State>,
    wake: Notify,
    runtime: Handle,
    saturated: AtomicU64,
    evicted: AtomicU64,
    revoked: AtomicU64,
    opened: AtomicU64,
}

#[derive(Default)]
struct State {
    open: usize,
    next: u64,
    targets: HashMap<Arc<str>, PerTarget>,
    waiters: VecDeque<Waiter>,
    /// Connections in use.
    out: HashMap<u64, Out>,
    /// Connections being closed to make room.
    closing: HashSet<u64>,
}

#[derive(Default)]
struct PerTarget {
    open: usize,
    idle: Vec<(Physical, Instant)>,
}

struct Waiter {
    id: u64,
    key: Arc<str>,
    since: Instant,
    grant: oneshot::Sender<Grant>,
}

struct Out {
    key: Arc<str>,
    wire: Arc<Wire>,
    driver: AbortHandle,
}

enum Grant {
    Ready(Box<Physical>),
    Open(Permit),
}

/// The right to one connection; lives in the task that drives the socket.
struct Permit {
    id: u64,
    key: Arc<str>,
    pool: Weak<Shared>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.release(self.id, &self.key);
        }
    }
}

/// What to drop once the lock is free: dropping either takes it again.
#[derive(Default)]
struct After {
    closed: Vec<Physical>,
    unwanted: Vec<Grant>,
}

impl Pool {
    /// Must be called inside a runtime that lives as long as the pool: connections that come back
    /// in use are put in order there.
    pub fn new(limits: PoolLimits) -> Self {
        let shared = Arc::new(Shared {
            limits,
            state: Mutex::default(),
            wake: Notify::new(),
            runtime: Handle::current(),
            saturated: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            revoked: AtomicU64::new(0),
            opened: AtomicU64::new(0),
        });
        shared.runtime.spawn(watch(Arc::downgrade(&shared)));
        Self(shared)
    }

    /// A connection to `target`: an idle one, a new one, or the next that comes free.
    ///
    /// # Errors
    ///
    /// [`Error::Saturated`] when none came free in time, and whatever connecting says.
    pub async fn acquire(&self, target: &Arc<Target>) -> Result<Session, Error> {
        let grant = match self.0.try_grant(&target.key) {
            Some(grant) => grant,
            None => self.wait(target).await?,
        };
        let physical = match grant {
            Grant::Ready(physical) => *physical,
            Grant::Open(permit) => self.open(target, permit).await?,
        };
        self.0.lock().out.insert(
            physical.id,
            Out {
                key: target.key.clone(),
                wire: physical.wire.clone(),
                driver: physical.driver.clone(),
            },
        );
        Ok(Session::new(physical, self.0.clone()))
    }

    async fn open(&self, target: &Arc<Target>, permit: Permit) -> Result<Physical, Error> {
        let opened = target.endpoint.connect().await?;
        let (id, driver) = (permit.id, opened.driver);
        let task = tokio::spawn(async move {
            driver.await;
            drop(permit);
        });
        self.0.opened.fetch_add(1, Ordering::Relaxed);
        let abort = task.abort_handle();
        Ok(Physical::new(id, opened.client, opened.wire, target.clone(), abort))
    }

    async fn wait(&self, target: &Arc<Target>) -> Result<Grant, Error> {
        let (grant, mut granted) = oneshot::channel();
        let began = Instant::now();
        let id = self.0.enqueue(&target.key, grant);
        if let Ok(Ok(grant)) = tokio::time::timeout(self.0.limits.wait, &mut granted).await {
            return Ok(grant);
        }
        let limits = &self.0.limits;
        let bound = {
            let mut state = self.0.lock();
            state.waiters.retain(|waiter| waiter.id != id);
            let own = state.targets.get(&target.key).map_or(0, |t| t.open);
            if own >= limits.per_target_max { own } else { limits.connections_max }
        };
        // It may have come between the deadline and the lock.
        if let Ok(grant) = granted.try_recv() {
            return Ok(grant);
        }
        self.0.saturated.fetch_add(1, Ordering::Relaxed);
        let waited_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Err(Error::Saturated { bound, waited_ms })
    }

    /// Closes all idle connections of a target, for instance before its database is dropped.
    pub fn close_idle(&self, mut of: impl FnMut(&str) -> bool) {
        let mut after = After::default();
        for (key, target) in &mut self.0.lock().targets {
            if of(key) {
                after.closed.extend(target.idle.drain(..).map(|(physical, _)| physical));
            }
        }
    }

    pub fn stats(&self) -> PoolStats {
        let state = self.0.lock();
        PoolStats {
            open: state.open,
            idle: state.targets.values().map(|t| t.idle.len()).sum(),
            waiting: state.waiters.len(),
            saturated: self.0.saturated.load(Ordering::Relaxed),
            evicted: self.0.evicted.load(Ordering::Relaxed),
            revoked: self.0.revoked.load(Ordering::Relaxed),
            opened: self.0.opened.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.runtime
    }

    fn try_grant(self: &Arc<Self>, key: &Arc<str>) -> Option<Grant> {
        let mut after = After::default();
        let mut state = self.lock();
        if let Some(physical) = state.take_idle(key, &mut after) {
            return Some(Grant::Ready(Box::new(physical)));
        }
        let free = state.has_room(key, &self.limits);
        let grant = free.then(|| Grant::Open(state.permit(key, self)));
        drop(state);
        grant
    }

    fn enqueue(self: &Arc<Self>, key: &Arc<str>, grant: oneshot::Sender<Grant>) -> u64 {
        let mut after = After::default();
        let mut state = self.lock();
        state.next += 1;
        let id = state.next;
        state.waiters.push_back(Waiter { id, key: key.clone(), since: Instant::now(), grant });
        // A connection may have come free since this caller looked.
        self.serve(&mut state, &mut after);
        self.make_room(&mut state, &mut after);
        drop(state);
        self.wake.notify_one();
        id
    }

    /// Takes back a connection that is as good as new.
    pub(crate) fn check_in(self: &Arc<Self>, physical: Physical) {
        let mut after = After::default();
        let mut state = self.lock();
        state.out.remove(&physical.id);
        let worn = physical.opened.elapsed() > self.limits.age;
        if worn || physical.client.is_closed() || state.closing.contains(&physical.id) {
            after.closed.push(physical);
        } else {
            self.pass_on(&mut state, physical, &mut after);
        }
        drop(state);
    }

    /// Takes back a connection that is not to be used again.
    pub(crate) fn discard(&self, physical: Physical) {
        self.lock().out.remove(&physical.id);
    }

    fn pass_on(self: &Arc<Self>, state: &mut State, mut physical: Physical, after: &mut After) {
        let key = physical.target.key.clone();
        loop {
            let mine = state.waiters.iter().position(|w| w.key == key && !w.grant.is_closed());
            let other = state.waiters.iter().position(|w| {
                w.key != key && !w.grant.is_closed() && state.below_own_bound(&w.key, &self.limits)
            });
            let starves = other.is_some_and(|at| {
                mine.is_none_or(|mine| at < mine)
                    && state.waiters[at].since.elapsed() > PASSED_OVER_MAX
            });
            let at = match mine {
                Some(at) if !starves => at,
                _ => break,
            };
            let waiter = state.waiters.remove(at).expect("just found there");
            match waiter.grant.send(Grant::Ready(Box::new(physical))) {
                Ok(()) => return,
                Err(Grant::Ready(back)) => physical = *back,
                Err(Grant::Open(_)) => unreachable!("what comes back is what was sent"),
            }
        }
        let target = state.targets.entry(key).or_default();
        target.idle.push((physical, Instant::now()));
        self.make_room(state, after);
    }

    fn release(self: &Arc<Self>, id: u64, key: &Arc<str>) {
        let mut after = After::default();
        let mut state = self.lock();
        state.open -= 1;
        state.closing.remove(&id);
        state.out.remove(&id);
        if let Some(target) = state.targets.get_mut(key) {
            target.open -= 1;
            let dead = |physical: &Physical| physical.id == id;
            if let Some(at) = target.idle.iter().position(|(physical, _)| dead(physical)) {
                after.closed.push(target.idle.swap_remove(at).0);
            }
            if target.open == 0 && target.idle.is_empty() {
                state.targets.remove(key);
            }
        }
        self.serve(&mut state, &mut after);
        self.make_room(&mut state, &mut after);
        drop(state);
    }

    /// Hands free places to those in line who may have one.
    fn serve(self: &Arc<Self>, state: &mut State, after: &mut After) {
        while state.open < self.limits.connections_max {
            let next = state.waiters.iter().position(|w| state.below_own_bound(&w.key, &self.limits));
            let Some(waiter) = next.and_then(|at| state.waiters.remove(at)) else { return };
            let permit = state.permit(&waiter.key, self);
            if let Err(unwanted) = waiter.grant.send(Grant::Open(permit)) {
                after.unwanted.push(unwanted);
            }
        }
    }

    /// Closes as many idle connections, the longest unused first, as there are callers in line
    /// who may have a new one.
    fn make_room(&self, state: &mut State, after: &mut After) {
        while state.in_need(&self.limits) > state.closing.len() {
            let oldest = state.targets.iter().flat_map(|(key, target)| {
                target.idle.iter().map(move |(physical, since)| (*since, key.clone(), physical.id))
            });
            let Some((_, key, id)) = oldest.min_by_key(|(since, ..)| *since) else { return };
            let idle = &mut state.targets.get_mut(&key).expect("just found there").idle;
            if let Some(at) = idle.iter().position(|(physical, _)| physical.id == id) {
                after.closed.push(idle.swap_remove(at).0);
                state.closing.insert(id);
                self.evicted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Cuts off the connection that has been held longest without use, or has run one statement
    /// beyond reason, if somebody waits for it.
    fn revoke(&self, state: &mut State) {
        let Some(waiter) = state.waiters.iter().find(|w| !w.grant.is_closed()) else { return };
        if !state.closing.is_empty() {
            return;
        }
        let own_only = !state.below_own_bound(&waiter.key, &self.limits);
        let held = state.out.iter().filter(|(_, out)| !own_only || out.key == waiter.key);
        let too_long = held.filter(|(_, out)| {
            let settled = out.wire.is_settled();
            out.wire.still_for() >= if settled { self.limits.still } else { self.limits.running }
        });
        let worst = too_long.max_by_key(|(_, out)| out.wire.still_for()).map(|(id, _)| *id);
        if let Some(id) = worst {
            let out = &state.out[&id];
            tracing::warn!(target = &*out.key, "a database connection was held too long: closed");
            out.wire.revoke();
            out.driver.abort();
            state.closing.insert(id);
            self.revoked.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn sweep(&self, state: &mut State, after: &mut After) {
        for target in state.targets.values_mut() {
            let spent = |(physical, since): &(Physical, Instant)| {
                since.elapsed() >= self.limits.idle || physical.client.is_closed()
            };
            after.closed.extend(target.idle.extract_if(.., |idle| spent(idle)).map(|idle| idle.0));
        }
    }
}

impl State {
    fn below_own_bound(&self, key: &Arc<str>, limits: &PoolLimits) -> bool {
        self.targets.get(key).map_or(0, |target| target.open) < limits.per_target_max
    }

    fn has_room(&self, key: &Arc<str>, limits: &PoolLimits) -> bool {
        self.open < limits.connections_max && self.below_own_bound(key, limits)
    }

    fn in_need(&self, limits: &PoolLimits) -> usize {
        let waits = |w: &&Waiter| !w.grant.is_closed() && self.below_own_bound(&w.key, limits);
        self.waiters.iter().filter(waits).count()
    }

    fn permit(&mut self, key: &Arc<str>, pool: &Arc<Shared>) -> Permit {
        self.open += 1;
        self.next += 1;
        self.targets.entry(key.clone()).or_default().open += 1;
        Permit { id: self.next, key: key.clone(), pool: Arc::downgrade(pool) }
    }

    /// The most recently used idle connection, of this thread if there is one.
    fn take_idle(&mut self, key: &Arc<str>, after: &mut After) -> Option<Physical> {
        let idle = &mut self.targets.get_mut(key)?.idle;
        after.closed.extend(
            idle.extract_if(.., |(physical, _)| physical.client.is_closed()).map(|idle| idle.0),
        );
        let here = std::thread::current().id();
        let at = idle.iter().rposition(|(physical, _)| physical.thread == here);
        match at {
            Some(at) => Some(idle.remove(at).0),
            None => idle.pop().map(|(physical, _)| physical),
        }
    }
}

async fn watch(pool: Weak<Shared>) {
    loop {
        let Some(shared) = pool.upgrade() else { return };
        let waiting = {
            let mut after = After::default();
            let mut state = shared.lock();
            state.waiters.retain(|waiter| !waiter.grant.is_closed());
            shared.sweep(&mut state, &mut after);
            shared.make_room(&mut state, &mut after);
            shared.revoke(&mut state);
            let waiting = !state.waiters.is_empty();
            drop(state);
            waiting
        };
        // A timeout is the usual outcome of both.
        if waiting {
            tokio::time::sleep(WATCH).await;
        } else {
            let _ = tokio::time::timeout(SWEEP, shared.wake.notified()).await;
        }
    }
}
