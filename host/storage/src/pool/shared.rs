//! What happens when a connection is wanted, comes back, or is gone. Refuses to open any.

use super::ledger::{After, Grant, State, Waiter};
use super::{PoolLimits, PoolStats};
use crate::session::Physical;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

/// How long the first in line may be passed over by users of a connection that is warm for them:
/// below this, handing connections over would close and open them at every turn. The same holds for
/// who waits where a connection is driven: from another thread, each statement wakes two threads.
const PASSED_OVER_MAX: Duration = Duration::from_millis(50);

/// How often hoarders are looked for while somebody waits.
const WATCH: Duration = Duration::from_millis(100);

/// How often connections are looked at otherwise.
const SWEEP: Duration = Duration::from_secs(1);

pub(crate) struct Shared {
    pub(super) limits: PoolLimits,
    state: Mutex<State>,
    wake: Notify,
    runtime: Handle,
    pub(super) saturated: AtomicU64,
    evicted: AtomicU64,
    revoked: AtomicU64,
    pub(super) opened: AtomicU64,
}

impl Shared {
    /// Looked after by a task of the current runtime.
    pub(super) fn watched(limits: PoolLimits) -> Arc<Self> {
        let shared = Arc::new(Self {
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
        shared
    }

    pub(super) fn stats(&self) -> PoolStats {
        let state = self.lock();
        PoolStats {
            open: state.open,
            idle: state.targets.values().map(|t| t.idle.len()).sum(),
            waiting: state.waiters.len(),
            saturated: self.saturated.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
            revoked: self.revoked.load(Ordering::Relaxed),
            opened: self.opened.load(Ordering::Relaxed),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn try_grant(self: &Arc<Self>, key: &Arc<str>) -> Option<Grant> {
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

    pub(super) fn enqueue(self: &Arc<Self>, key: &Arc<str>, grant: oneshot::Sender<Grant>) -> u64 {
        let mut after = After::default();
        let mut state = self.lock();
        state.next += 1;
        let id = state.next;
        let (since, thread) = (Instant::now(), std::thread::current().id());
        state.waiters.push_back(Waiter { id, key: key.clone(), since, thread, grant });
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
        let worn = physical.opened.elapsed() > self.limits.age
            || state.closing.contains(&physical.id)
            || state.retired.contains(&physical.id);
        if worn || physical.client.is_closed() {
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
            let mine = state.next_for(&key, physical.thread, PASSED_OVER_MAX);
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

    pub(super) fn release(self: &Arc<Self>, id: u64, key: &Arc<str>) {
        let mut after = After::default();
        let mut state = self.lock();
        state.open -= 1;
        state.closing.remove(&id);
        state.retired.remove(&id);
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
            let next =
                state.waiters.iter().position(|w| state.below_own_bound(&w.key, &self.limits));
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

    /// Cuts off what has been held beyond its limits; if somebody waits, also the connection that
    /// has been held longest without use.
    fn revoke(&self, state: &mut State) {
        let waiting = state.waiters.iter().find(|w| !w.grant.is_closed());
        let waiting = waiting.map(|w| (w.key.clone(), state.below_own_bound(&w.key, &self.limits)));
        let mut ids: Vec<u64> = Vec::new();
        let mut stillest: Option<(Duration, u64)> = None;
        for (id, out) in state.out.iter().filter(|(id, _)| !state.closing.contains(id)) {
            let (settled, still) = (out.wire.is_settled(), out.wire.still_for());
            let limit = match (settled, out.wire.in_transaction()) {
                (false, _) => self.limits.running,
                (true, true) => self.limits.in_transaction,
                (true, false) => Duration::MAX,
            };
            let of_use = waiting.as_ref().is_some_and(|(key, any)| *any || out.key == *key);
            if still >= limit {
                ids.push(*id);
            } else if of_use && settled && still >= self.limits.still {
                stillest = stillest.max(Some((still, *id)));
            }
        }
        if ids.is_empty() && state.closing.is_empty() {
            ids.extend(stillest.map(|(_, id)| id));
        }
        for id in ids {
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
