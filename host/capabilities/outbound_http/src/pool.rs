//! Open connections waiting for their next request, one pool per thread: a shard's connections
//! are driven by the shard's own runtime, so no request wakes another core.
//! Refuses to know how connections are opened, and whom they may reach: a pool's key names the
//! revision whose grants were checked when the connection was opened.

use crate::config::Bounds;
use crate::connection::{Connection, Http1, Http2};
use crate::destination::Destination;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// A connection whose response has ended gets this long to finish sending the request; then it is
/// not worth keeping.
const SETTLE: Duration = Duration::from_secs(5);

/// How often unused connections are looked through, as a part of their time to live.
const SWEEPS_PER_IDLE: u32 = 2;

/// The connections of one revision to one destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) egress: u64,
    pub(crate) destination: Destination,
}

thread_local! {
    static HERE: RefCell<Vec<(u64, Weak<Shard>)>> = const { RefCell::new(Vec::new()) };
}

/// All shards of one client.
pub(crate) struct Pool {
    id: u64,
    bounds: Bounds,
    shards: Mutex<Vec<Arc<Shard>>>,
}

impl Pool {
    pub(crate) fn new(bounds: Bounds) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), bounds, shards: Mutex::default() }
    }

    /// The calling thread's shard.
    pub(crate) fn here(&self) -> Arc<Shard> {
        HERE.with_borrow_mut(|here| {
            let known = here.iter().find(|(id, _)| *id == self.id);
            if let Some(shard) = known.and_then(|(_, shard)| shard.upgrade()) {
                return shard;
            }
            // Pools of clients that are gone leave an empty reference behind.
            here.retain(|(_, shard)| shard.strong_count() > 0);
            let shard = Arc::new(Shard::new(self.bounds.clone()));
            here.push((self.id, Arc::downgrade(&shard)));
            self.shards.lock().unwrap_or_else(PoisonError::into_inner).push(shard.clone());
            shard
        })
    }
}

/// One thread's connections. (The lock is never contended; it is there because a multi-threaded
/// runtime may finish a request on another thread than it began on.)
pub(crate) struct Shard {
    bounds: Bounds,
    exchanges: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    hosts: HashMap<Key, Host>,
    idle: usize,
    sweeping: bool,
}

struct Host {
    idle: VecDeque<Resting>,
    shared: Option<Shared>,
    exchanges: Arc<Semaphore>,
    /// Held while a connection to a host that speaks HTTP/2 is opened: one is enough for all.
    opening: Arc<tokio::sync::Mutex<()>>,
    multiplexes: bool,
}

struct Resting {
    connection: Http1,
    since: Instant,
}

struct Shared {
    connection: Http2,
    used: Instant,
}

impl Shard {
    fn new(bounds: Bounds) -> Self {
        let exchanges = Arc::new(Semaphore::new(bounds.exchanges_max));
        Self { bounds, exchanges, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room for one more exchange with this destination, and on this shard.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        key: &Key,
    ) -> (OwnedSemaphorePermit, OwnedSemaphorePermit) {
        const OPEN: &str = "a shard's semaphores are never closed";
        let exchanges = {
            let mut state = self.state();
            self.keep_swept(&mut state);
            state.host(key, &self.bounds).exchanges.clone()
        };
        let host = exchanges.acquire_owned().await.expect(OPEN);
        let shard = self.exchanges.clone().acquire_owned().await.expect(OPEN);
        (host, shard)
    }

    /// An open connection that can take a request now.
    pub(crate) fn take(&self, key: &Key) -> Option<Connection> {
        let now = Instant::now();
        let mut state = self.state();
        let host = state.hosts.get_mut(key)?;
        match &mut host.shared {
            Some(shared) if !shared.connection.is_closed() => {
                shared.used = now;
                return Some(Connection::Http2(shared.connection.clone()));
            }
            shared => *shared = None,
        }
        let mut found = None;
        let mut taken = 0;
        // The one used last is the least likely to have been closed by the server.
        while let Some(resting) = host.idle.pop_back() {
            taken += 1;
            let fresh = now.duration_since(resting.since) < self.bounds.idle;
            if fresh && !resting.connection.is_closed() && resting.connection.is_ready() {
                found = Some(Connection::Http1(resting.connection));
                break;
            }
        }
        state.idle -= taken;
        found
    }

    /// Closes what waits for this destination: one of its connections turned out to be dead.
    pub(crate) fn forget(&self, key: &Key) {
        let mut state = self.state();
        let Some(host) = state.hosts.get_mut(key) else { return };
        let dropped = host.idle.len();
        host.idle.clear();
        host.shared = None;
        state.idle -= dropped;
    }

    /// The lock to hold while opening, if this destination is known to need one connection only.
    pub(crate) fn opening(&self, key: &Key) -> Option<Arc<tokio::sync::Mutex<()>>> {
        let state = self.state();
        state.hosts.get(key).filter(|host| host.multiplexes).map(|host| host.opening.clone())
    }

    /// Offers a new connection to the requests that come after this one.
    pub(crate) fn share(&self, key: &Key, connection: &Connection) {
        let mut state = self.state();
        let host = state.host(key, &self.bounds);
        let Connection::Http2(connection) = connection else {
            host.multiplexes = false;
            return;
        };
        host.multiplexes = true;
        if host.shared.as_ref().is_none_or(|shared| shared.connection.is_closed()) {
            host.shared = Some(Shared { connection: connection.clone(), used: Instant::now() });
        }
    }

    /// Keeps a connection for the next request.
    fn rest(&self, key: &Key, connection: Http1) {
        if self.bounds.idle_max == 0 || self.bounds.idle_per_host_max == 0 {
            return;
        }
        let mut state = self.state();
        if state.idle >= self.bounds.idle_max {
            state.drop_oldest();
        }
        let host = state.host(key, &self.bounds);
        host.idle.push_back(Resting { connection, since: Instant::now() });
        let dropped = host.idle.len().saturating_sub(self.bounds.idle_per_host_max);
        host.idle.drain(..dropped);
        state.idle += 1;
        state.idle -= dropped;
    }

    /// Starts the task that closes unused connections and forgets destinations, unless it runs.
    fn keep_swept(self: &Arc<Self>, state: &mut State) {
        if state.sweeping {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        state.sweeping = true;
        let sweep = Sweep(Arc::downgrade(self));
        let pause = self.bounds.idle / SWEEPS_PER_IDLE;
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(shard) = sweep.0.upgrade() else { return };
                let mut state = shard.state();
                state.sweep(shard.bounds.idle);
                if state.hosts.is_empty() {
                    state.sweeping = false;
                    return;
                }
            }
        });
    }
}

/// Says that no sweeper runs any more, also when its runtime was stopped.
struct Sweep(Weak<Shard>);

impl Drop for Sweep {
    fn drop(&mut self) {
        if let Some(shard) = self.0.upgrade() {
            shard.state().sweeping = false;
        }
    }
}

impl State {
    fn host(&mut self, key: &Key, bounds: &Bounds) -> &mut Host {
        self.hosts.entry(key.clone()).or_insert_with(|| Host {
            idle: VecDeque::new(),
            shared: None,
            exchanges: Arc::new(Semaphore::new(bounds.exchanges_per_host_max)),
            opening: Arc::default(),
            multiplexes: false,
        })
    }

    fn drop_oldest(&mut self) {
        let age = |host: &Host| host.idle.front().map(|resting| resting.since);
        let oldest = self.hosts.values_mut().filter(|host| !host.idle.is_empty());
        if let Some(host) = oldest.min_by_key(|host| age(host)) {
            host.idle.pop_front();
            self.idle -= 1;
        }
    }

    /// Closes what has been unused for `idle`, and forgets destinations with nothing open.
    fn sweep(&mut self, idle: Duration) {
        let now = Instant::now();
        for host in self.hosts.values_mut() {
            host.idle.retain(|resting| {
                now.duration_since(resting.since) < idle && !resting.connection.is_closed()
            });
            let keep = |shared: &Shared| {
                let unused = shared.connection.is_unused();
                let expired = unused && now.duration_since(shared.used) >= idle;
                !expired && !shared.connection.is_closed()
            };
            host.shared = host.shared.take().filter(keep);
        }
        self.hosts.retain(|_, host| !host.is_dormant());
        self.idle = self.hosts.values().map(|host| host.idle.len()).sum();
    }
}

impl Host {
    fn is_dormant(&self) -> bool {
        self.idle.is_empty()
            && self.shared.is_none()
            && Arc::strong_count(&self.exchanges) == 1
            && Arc::strong_count(&self.opening) == 1
    }
}

/// A connection in use by one exchange. Dropped, it closes the connection (or, on HTTP/2, leaves
/// it to the other exchanges).
pub(crate) struct Lease {
    pub(crate) shard: Weak<Shard>,
    pub(crate) key: Key,
    pub(crate) connection: Connection,
}

impl Lease {
    /// Ends the exchange in good order: the connection may serve another.
    pub(crate) fn give_back(self) {
        let Connection::Http1(mut connection) = self.connection else { return };
        let (shard, key) = (self.shard, self.key);
        let keep = move |connection| {
            if let Some(shard) = shard.upgrade() {
                shard.rest(&key, connection);
            }
        };
        if connection.is_closed() {
            return;
        }
        if connection.is_ready() {
            return keep(connection);
        }
        // The server answered before it had the whole request.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let ready = tokio::time::timeout(SETTLE, connection.ready()).await;
                if ready == Ok(true) {
                    keep(connection);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Target;

    fn key(uri: &str) -> Key {
        match Target::of(&uri.parse().expect(uri)) {
            Ok(Target::Remote(destination)) => Key { egress: 0, destination },
            other => panic!("{uri} is not remote: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_destination_that_never_answered_is_forgotten() {
        let bounds = Bounds { idle: Duration::from_millis(4), ..Bounds::default() };
        let shard = Arc::new(Shard::new(bounds));
        for host in 0..100 {
            drop(shard.begin(&key(&format!("http://host-{host}.example/"))).await);
        }
        let held = shard.begin(&key("http://held.example/")).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while shard.state().hosts.len() > 1 {
            assert!(Instant::now() < deadline, "{} are remembered", shard.state().hosts.len());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(shard.state().hosts.contains_key(&key("http://held.example/")));
        drop(held);
        while shard.state().sweeping {
            assert!(Instant::now() < deadline, "the sweeper outlives its work");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
