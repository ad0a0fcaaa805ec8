//! Who has what, and who waits for what: the part of a pool that stands under its lock. Refuses
//! to decide; `shared.rs` does.

use super::{PoolLimits, Shared};
use crate::session::Physical;
use crate::wire::Wire;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Instant;
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
    pub(super) grant: oneshot::Sender<Grant>,
}

pub(super) struct Out {
    pub(super) key: Arc<str>,
    pub(super) wire: Arc<Wire>,
    pub(super) driver: AbortHandle,
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
