//! Who has what, and who waits for what: the part of a pool that stands under its lock. Refuses
//! to decide; `shared.rs` does.

use super::{PoolLimits, Shared};
use crate::session::Physical;
use crate::wire::Wire;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

#[derive(Default)]
pub(super) struct State {
    pub(super) open: usize,
    pub(super) next: u64,
    pub(super) targets: HashMap<Arc<str>, PerTarget>,
    pub(super) waiters: VecDeque<Waiter>,
    /// Connections in use.
    pub(super) out: HashMap<u64, Out>,
    /// Connections being closed to make room.
    pub(super) closing: HashSet<u64>,
    /// Connections in use that are to be closed when they come back.
    pub(super) retired: HashSet<u64>,
}

#[derive(Default)]
pub(super) struct PerTarget {
    pub(super) open: usize,
    pub(super) idle: Vec<(Physical, Instant)>,
}

pub(super) struct Waiter {
    pub(super) id: u64,
    pub(super) key: Arc<str>,
    pub(super) since: Instant,
    /// Where it waits.
    pub(super) thread: ThreadId,
    pub(super) grant: oneshot::Sender<Grant>,
}

pub(super) struct Out {
    pub(super) key: Arc<str>,
    pub(super) wire: Arc<Wire>,
    pub(super) driver: AbortHandle,
    /// Where it is driven.
    pub(super) thread: ThreadId,
}

pub(super) enum Grant {
    Ready(Box<Physical>),
    Open(Permit),
}

/// The right to one connection; lives in the task that drives the socket.
pub(super) struct Permit {
    pub(super) id: u64,
    pub(super) key: Arc<str>,
    pub(super) pool: Weak<Shared>,
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
pub(super) struct After {
    pub(super) closed: Vec<Physical>,
    pub(super) unwanted: Vec<Grant>,
}

impl State {
    pub(super) fn below_own_bound(&self, key: &Arc<str>, limits: &PoolLimits) -> bool {
        self.targets.get(key).map_or(0, |target| target.open) < limits.per_target_max
    }

    pub(super) fn has_room(&self, key: &Arc<str>, limits: &PoolLimits) -> bool {
        self.open < limits.connections_max && self.below_own_bound(key, limits)
    }

    pub(super) fn in_need(&self, limits: &PoolLimits) -> usize {
        let waits = |w: &&Waiter| !w.grant.is_closed() && self.below_own_bound(&w.key, limits);
        self.waiters.iter().filter(waits).count()
    }

    pub(super) fn permit(&mut self, key: &Arc<str>, pool: &Arc<Shared>) -> Permit {
        self.open += 1;
        self.next += 1;
        self.targets.entry(key.clone()).or_default().open += 1;
        Permit { id: self.next, key: key.clone(), pool: Arc::downgrade(pool) }
    }

    /// Who is given a connection of `thread`: the first in line for it, or the first of those on
    /// that thread, while the former has a connection to wait for where it is and has not waited
    /// for `farther_max`.
    pub(super) fn next_for(
        &self,
        key: &Arc<str>,
        thread: ThreadId,
        farther_max: Duration,
    ) -> Option<usize> {
        let waits = |w: &Waiter| w.key == *key && !w.grant.is_closed();
        let at = self.waiters.iter().position(waits)?;
        let first = &self.waiters[at];
        let can_wait = first.thread == thread
            || first.since.elapsed() < farther_max && self.drives(key, first.thread);
        let near = |w: &Waiter| w.thread == thread && waits(w);
        match can_wait {
            true => self.waiters.iter().position(near).or(Some(at)),
            false => Some(at),
        }
    }

    /// Whether a connection is driven on `thread`.
    fn drives(&self, key: &Arc<str>, thread: ThreadId) -> bool {
        let idle = self.targets.get(key).into_iter().flat_map(|target| &target.idle);
        self.out.values().any(|out| out.thread == thread && out.key == *key)
            || idle.into_iter().any(|(physical, _)| physical.thread == thread)
    }

    /// The most recently used idle connection, of this thread if there is one.
    pub(super) fn take_idle(&mut self, key: &Arc<str>, after: &mut After) -> Option<Physical> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_goes_to_who_waits_beside_it_while_the_others_have_their_own() {
        let here = std::thread::current().id();
        let there = std::thread::spawn(|| std::thread::current().id()).join().unwrap();
        let (mine, other): (Arc<str>, Arc<str>) = ("mine".into(), "other".into());
        let mut state = State::default();
        let mut grants = Vec::new();
        let now = Instant::now();
        for (id, key, thread) in [(1, &other, here), (2, &mine, there), (3, &mine, here)] {
            let (grant, granted) = oneshot::channel();
            grants.push(granted);
            state.waiters.push_back(Waiter { id, key: key.clone(), since: now, thread, grant });
        }
        let next = |state: &State, thread, farther_max| {
            state.next_for(&mine, thread, farther_max).map(|at| state.waiters[at].id)
        };
        let long = Duration::from_secs(3600);
        assert_eq!(next(&state, there, long), Some(2));
        assert_eq!(next(&state, here, long), Some(2), "none is driven where the first waits");
        let driver = tokio::spawn(async {}).abort_handle();
        let out = |key: &Arc<str>| Out {
            key: key.clone(),
            wire: Arc::new(Wire::new()),
            driver: driver.clone(),
            thread: there,
        };
        state.out.insert(1, out(&other));
        assert_eq!(next(&state, here, long), Some(2), "nor is another's");
        state.out.insert(2, out(&mine));
        assert_eq!(next(&state, here, long), Some(3));
        assert_eq!(next(&state, here, Duration::ZERO), Some(2), "the first has waited long enough");
        // The one beside it has left.
        grants.pop();
        assert_eq!(next(&state, here, long), Some(2));
        grants.pop();
        assert_eq!(next(&state, here, long), None);
    }
}
