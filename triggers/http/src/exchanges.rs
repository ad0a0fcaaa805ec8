//! How many requests one connection has begun, ended and abandoned. Shared between the
//! connection's task and its requests; refuses to know what they were.

use futures::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The window in which abandoned requests are counted.
const ABANDON_WINDOW: Duration = Duration::from_secs(10);

/// The requests of one connection.
pub(crate) struct Exchanges {
    accepted: Instant,
    begun: AtomicU64,
    ended: AtomicU64,
    /// Milliseconds after `accepted` when the last one ended.
    last_end: AtomicU64,
    abandoned: AtomicU32,
    /// Milliseconds after `accepted` when the current window of `abandoned` began.
    window: AtomicU64,
    abandoned_max: u32,
    flooded: Notify,
    waker: AtomicWaker,
}

/// One request between its head and the end of its response.
pub(crate) struct Exchange {
    exchanges: Arc<Exchanges>,
    /// A response was made for it.
    pub(crate) answered: bool,
    /// When it ended, where that is known already.
    pub(crate) over: Option<Instant>,
}

impl Exchanges {
    pub(crate) fn new(abandoned_max: u32) -> Arc<Self> {
        Arc::new(Self {
            accepted: Instant::now(),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            last_end: AtomicU64::new(0),
            abandoned: AtomicU32::new(0),
            window: AtomicU64::new(0),
            abandoned_max,
            flooded: Notify::new(),
            waker: AtomicWaker::new(),
        })
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Exchange {
        self.begun.fetch_add(1, AcqRel);
        Exchange { exchanges: self.clone(), answered: false, over: None }
    }

    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Acquire)
    }

    /// Since when nothing has been in progress; None while something is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let idle = self.begun.load(Acquire) == self.ended();
        idle.then(|| self.accepted + Duration::from_millis(self.last_end.load(Acquire)))
    }

    /// Resolves when the client abandons more requests than anybody needs to.
    pub(crate) async fn flooded(&self) {
        self.flooded.notified().await;
    }

    /// Wakes `waker` at the next end.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    fn abandon(&self, now: u64) {
        if now.saturating_sub(self.window.load(Acquire)) > ABANDON_WINDOW.as_millis() as u64 {
            self.window.store(now, Release);
            self.abandoned.store(0, Release);
        }
        if self.abandoned.fetch_add(1, AcqRel) >= self.abandoned_max {
            self.flooded.notify_one();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let exchanges = &self.exchanges;
        let now = self.over.unwrap_or_else(Instant::now);
        let now = now.saturating_duration_since(exchanges.accepted).as_millis() as u64;
        if !self.answered {
            exchanges.abandon(now);
        }
        exchanges.last_end.fetch_max(now, AcqRel);
        exchanges.ended.fetch_add(1, AcqRel);
        exchanges.wake();
    }
}
