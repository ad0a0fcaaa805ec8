//! One bound over all connections. Idle ones are kept per target and closed when another target
//! needs the room; who waits is served in order; who hoards is cut off when others wait.
//!
//! Knows counts, keys and time. Refuses to know roles and statements.

mod ledger;
mod shared;
mod target;

pub(crate) use shared::Shared;
pub use target::Target;

use crate::error::Error;
use crate::rows::Answer;
use crate::session::{Param, Physical, Session};
use ledger::{After, Grant, Out, Permit};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

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
    /// As `still`, inside a transaction, and whether others wait or not: what it has locked, and
    /// what the server keeps for it, is in everybody's way. Above the session's own timeout, which
    /// a guest can turn off.
    pub in_transaction: Duration,
    /// Running one statement for this long, it is closed. Above the session's own timeout.
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
            in_transaction: Duration::from_secs(20),
            running: Duration::from_secs(35),
            age: Duration::from_secs(1800),
        }
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

/// A statement with a connection to run on.
pub struct Reading<'s> {
    sql: &'s str,
    session: Session,
    target: Arc<Target>,
    /// Others may read over it at the same time.
    shares: bool,
}

impl Reading<'_> {
    /// Runs the statement.
    ///
    /// # Errors
    ///
    /// As [`Session::query`].
    pub async fn all(self, params: &[Param<'_>]) -> Result<Answer, Error> {
        let sql = self.sql;
        let began = Instant::now();
        let answer = match self.shares {
            true => self.session.read_together(sql, params).await,
            false => self.session.read_alone(sql, params).await,
        };
        let bytes = answer.as_ref().ok().map(Answer::bytes);
        self.target.together.ran(sql, began.elapsed(), bytes);
        answer
    }
}

impl Pool {
    /// Must be called inside a runtime that lives as long as the pool: connections that come back
    /// in use are put in order there.
    pub fn new(limits: PoolLimits) -> Self {
        Self(Shared::watched(limits))
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
        physical.wire.handed_out();
        self.0.lock().out.insert(
            physical.id,
            Out {
                key: target.key.clone(),
                wire: physical.wire.clone(),
                driver: physical.driver.clone(),
                thread: physical.thread,
            },
        );
        Ok(Session::new(physical, self.0.clone()))
    }

    /// A connection for one statement that stands by itself and whose rows are read at once:
    /// plain reads that were quick until now share one (`together.rs`).
    ///
    /// # Errors
    ///
    /// As [`Pool::acquire`].
    pub async fn reading<'s>(
        &self,
        target: &Arc<Target>,
        sql: &'s str,
    ) -> Result<Reading<'s>, Error> {
        let may_share = target.together.may_share(sql, target.rules);
        if let Some(session) = may_share.then(|| target.together.join()).flatten() {
            return Ok(Reading { sql, session, target: target.clone(), shares: true });
        }
        let session = self.acquire(target).await?;
        let shares = may_share && target.together.open(&session);
        Ok(Reading { sql, session, target: target.clone(), shares })
    }

    async fn open(&self, target: &Arc<Target>, permit: Permit) -> Result<Physical, Error> {
        target.check_away()?;
        let opened = match target.endpoint.connect().await {
            Err(error) => {
                if let Error::Unreachable { reason, .. } | Error::StartingUp { reason, .. } = &error
                {
                    target.set_away(reason);
                }
                return Err(error);
            }
            Ok(opened) => opened,
        };
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

    /// Closes the idle connections of some targets, and those in use when they come back: for
    /// instance before a database is dropped.
    pub fn retire(&self, of: impl Fn(&str) -> bool) {
        let mut after = After::default();
        let mut state = self.0.lock();
        for (key, target) in &mut state.targets {
            if of(key) {
                after.closed.extend(target.idle.drain(..).map(|(physical, _)| physical));
            }
        }
        let out = state.out.iter().filter(|(_, out)| of(&out.key)).map(|(id, _)| *id);
        let out: Vec<u64> = out.collect();
        state.retired.extend(out);
        drop(state);
    }

    pub fn stats(&self) -> PoolStats {
        self.0.stats()
    }
}
