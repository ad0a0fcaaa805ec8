//! One queue in this host: what waits, what runs, and how much of it the host takes on. Refuses to
//! know other queues and the database.

use crate::call::Claimed;
use nexus_runtime::ComponentId;
use nexus_storage::queue::{Lease, Registered};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After a refusal for want of room, the width grows again by one in each such time.
const RECOVER: Duration = Duration::from_millis(500);

/// How many deliveries run at once: halved when the component has no room, and growing back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Width {
    now: u32,
    most: u32,
    changed: Instant,
}

impl Width {
    pub(crate) fn new(most: u32, at: Instant) -> Self {
        Self { now: most.max(1), most: most.max(1), changed: at }
    }

    fn set_most(&mut self, most: u32) {
        if self.most != most.max(1) {
            *self = Self::new(most, self.changed);
        }
    }

    /// One delivery was refused for want of room. Those that ran beside it may be refused, too:
    /// together they halve it once.
    pub(crate) fn narrow(&mut self, at: Instant) {
        if self.now == self.most || at >= self.changed + RECOVER / 10 {
            self.now = (self.now / 2).max(1);
            self.changed = at;
        }
    }

    pub(crate) fn at(&mut self, at: Instant) -> u32 {
        while self.now < self.most && at >= self.changed + RECOVER {
            self.now += 1;
            self.changed += RECOVER;
        }
        self.now
    }
}

/// The messages of one queue in this host.
pub(crate) struct Lane {
    pub(crate) queue: Arc<Registered>,
    pub(crate) component: ComponentId,
    pub(crate) waiting: VecDeque<Claimed>,
    /// Deliveries that run.
    pub(crate) running: u32,
    pub(crate) width: Width,
    /// The last claim took all it had asked for: there is more.
    pub(crate) is_busy: bool,
    /// What the claim under way may bring.
    pub(crate) asked: u32,
}

impl Lane {
    pub(crate) fn new(queue: Arc<Registered>, component: ComponentId, per_queue: u32) -> Self {
        let most = queue.settings.concurrency_max.unwrap_or(per_queue);
        Self {
            queue,
            component,
            waiting: VecDeque::new(),
            running: 0,
            width: Width::new(most, Instant::now()),
            is_busy: false,
            asked: 0,
        }
    }

    /// The queue as it is now.
    pub(crate) fn update(&mut self, queue: Arc<Registered>, per_queue: u32) {
        self.width.set_most(queue.settings.concurrency_max.unwrap_or(per_queue));
        self.queue = queue;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running == 0 && self.asked == 0
    }

    /// Whether messages may be claimed for it.
    pub(crate) fn is_open(&self) -> bool {
        self.queue.paused.is_none() && self.queue.retired_at.is_none()
    }

    /// How many messages more this queue may have here. A busy one gets some ahead.
    pub(crate) fn room(&mut self, ahead: u32, now: Instant) -> u32 {
        if !self.is_open() {
            return 0;
        }
        let batch = self.queue.settings.batch_max;
        let width = self.width.at(now);
        let ahead = if self.is_busy && width == self.width.most { ahead } else { 0 };
        let wanted = width.saturating_mul(1 + ahead).saturating_mul(batch);
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        wanted.saturating_sub(waiting.saturating_add(self.running.saturating_mul(batch)))
    }

    /// The next delivery, if one may begin now.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Vec<Claimed>> {
        if self.running >= self.width.at(now) || self.waiting.is_empty() {
            return None;
        }
        let batch = usize::try_from(self.queue.settings.batch_max).unwrap_or(usize::MAX);
        let settings = &self.queue.settings;
        let full_at = self.waiting.front().map(|first| first.since + settings.batch_wait);
        if self.waiting.len() < batch && full_at.is_some_and(|at| now < at) {
            return None;
        }
        let some = self.waiting.len().min(batch);
        self.running += 1;
        Some(self.waiting.drain(..some).collect())
    }

    /// When a batch that waits to be filled has waited long enough.
    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        let wait = self.queue.settings.batch_wait;
        let first = self.waiting.front().filter(|_| !wait.is_zero())?;
        Some(first.since + wait)
    }

    /// Gives up what has not begun.
    pub(crate) fn give_up(&mut self) -> Vec<Lease> {
        self.waiting.drain(..).map(|claimed| claimed.leased.lease).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_halves_once_per_refusal_of_many_and_grows_back() {
        let start = Instant::now();
        let mut width = Width::new(8, start);
        width.narrow(start);
        width.narrow(start);
        assert_eq!(width.at(start), 4);
        let later = start + RECOVER / 5;
        width.narrow(later);
        assert_eq!(width.at(later), 2);
        for n in 0..10 {
            let later = later + RECOVER * n;
            width.narrow(later);
        }
        let last = later + RECOVER * 9;
        assert_eq!(width.at(last), 1);
        assert_eq!(width.at(last + RECOVER * 3), 4);
        assert_eq!(width.at(last + RECOVER * 100), 8);
    }
}
