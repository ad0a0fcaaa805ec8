//! What the data plane counts: plain atomics, one set per shard, summed when somebody looks.
//! Refuses to know how numbers are rendered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the duration histogram, in seconds; beyond the last is the rest.
pub const DURATION_BOUNDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The label of answers that no component gave.
pub const HOST: &str = "host";

/// A handle on every shard's counters; clones share them.
#[derive(Clone, Default)]
pub struct HttpMetrics {
    shards: Arc<Mutex<Vec<Arc<ShardMetrics>>>>,
}

/// One shard's counters.
#[derive(Default)]
pub(crate) struct ShardMetrics {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_open: AtomicI64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) tls_errors: AtomicU64,
    pub(crate) rate_limited: AtomicU64,
    pub(crate) rate_alone: AtomicU64,
    pub(crate) unauthenticated: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) floods: AtomicU64,
    components: Mutex<BTreeMap<Arc<str>, Arc<Traffic>>>,
}

/// Requests of one component on one shard.
#[derive(Default)]
pub(crate) struct Traffic {
    /// By class: 1xx to 5xx.
    responses: [AtomicU64; 5],
    /// Responses that ended early: the client went away, or the component failed mid-stream.
    broken: AtomicU64,
    buckets: [AtomicU64; DURATION_BOUNDS.len() + 1],
    nanos: AtomicU64,
    bytes_out: AtomicU64,
}

impl Traffic {
    pub(crate) fn count(&self, status: u16, took: Duration, bytes: u64, whole: bool) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.responses[class].fetch_add(1, Relaxed);
        let seconds = took.as_secs_f64();
        let bucket = DURATION_BOUNDS.iter().position(|bound| seconds <= *bound);
        self.buckets[bucket.unwrap_or(DURATION_BOUNDS.len())].fetch_add(1, Relaxed);
        self.nanos.fetch_add(took.as_nanos() as u64, Relaxed);
        self.bytes_out.fetch_add(bytes, Relaxed);
        if !whole {
            self.broken.fetch_add(1, Relaxed);
        }
    }
}

impl ShardMetrics {
    /// The counters of one component, or of [`HOST`].
    pub(crate) fn traffic(&self, component: &str) -> Arc<Traffic> {
        let mut components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        components.entry(component.into()).or_default().clone()
    }
}

/// All shards' counters at one moment. Counters only grow while the host runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HttpSnapshot {
    /// Connections accepted.
    pub connections: u64,
    pub connections_open: u64,
    /// Closed at once: too many, or from a denied network.
    pub connections_refused: u64,
    pub tls_errors: u64,
    /// Requests answered 429 by a rate class.
    pub rate_limited: u64,
    /// Requests counted by this host alone because Redis did not answer at once.
    pub rate_alone: u64,
    /// Requests answered 401.
    pub unauthenticated: u64,
    /// Heads and bodies that did not arrive in time.
    pub timeouts: u64,
    /// HTTP/2 connections closed for abandoning too many requests.
    pub floods: u64,
    /// By component; [`HOST`] stands for the data plane itself.
    pub components: BTreeMap<String, ComponentTraffic>,
}

/// What one component's clients saw.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ComponentTraffic {
    /// By class: 1xx to 5xx.
    pub responses: [u64; 5],
    /// Responses that ended before they were whole.
    pub broken: u64,
    /// Requests per bucket of [`DURATION_BOUNDS`] (not cumulative), the rest last.
    pub buckets: [u64; DURATION_BOUNDS.len() + 1],
    pub seconds: f64,
    pub bytes_out: u64,
}

impl HttpMetrics {
    pub(crate) fn add_shard(&self) -> Arc<ShardMetrics> {
        let shard = Arc::new(ShardMetrics::default());
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).push(shard.clone());
        shard
    }

    /// The sum over all shards.
    pub fn snapshot(&self) -> HttpSnapshot {
        let mut sum = HttpSnapshot::default();
        let mut open = 0;
        for shard in self.shards.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            sum.connections += shard.connections.load(Relaxed);
            open += shard.connections_open.load(Relaxed);
            sum.connections_refused += shard.connections_refused.load(Relaxed);
            sum.tls_errors += shard.tls_errors.load(Relaxed);
            sum.rate_limited += shard.rate_limited.load(Relaxed);
            sum.rate_alone += shard.rate_alone.load(Relaxed);
            sum.unauthenticated += shard.unauthenticated.load(Relaxed);
            sum.timeouts += shard.timeouts.load(Relaxed);
            sum.floods += shard.floods.load(Relaxed);
            let components = shard.components.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, traffic) in components.iter() {
                sum.components.entry(name.to_string()).or_default().add(traffic);
            }
        }
        sum.connections_open = open.max(0) as u64;
        sum
    }
}

impl ComponentTraffic {
    fn add(&mut self, traffic: &Traffic) {
        for (sum, n) in self.responses.iter_mut().zip(&traffic.responses) {
            *sum += n.load(Relaxed);
        }
        for (sum, n) in self.buckets.iter_mut().zip(&traffic.buckets) {
            *sum += n.load(Relaxed);
        }
        self.broken += traffic.broken.load(Relaxed);
        self.seconds += traffic.nanos.load(Relaxed) as f64 / 1e9;
        self.bytes_out += traffic.bytes_out.load(Relaxed);
    }

    /// Requests in all.
    pub fn requests(&self) -> u64 {
        self.responses.iter().sum()
    }
}

/// A connection's share of `connections_open`.
pub(crate) struct Open(Arc<ShardMetrics>);

impl Open {
    pub(crate) fn new(metrics: &Arc<ShardMetrics>) -> Self {
        metrics.connections.fetch_add(1, Relaxed);
        metrics.connections_open.fetch_add(1, Relaxed);
        Self(metrics.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections_open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_add_up_and_every_request_is_in_one_bucket() {
        let metrics = HttpMetrics::default();
        let (a, b) = (metrics.add_shard(), metrics.add_shard());
        a.traffic("catalog").count(200, Duration::from_micros(400), 10, true);
        b.traffic("catalog").count(503, Duration::from_secs(60), 5, false);
        b.traffic(HOST).count(404, Duration::from_millis(1), 1, true);
        let open = Open::new(&a);
        let snapshot = metrics.snapshot();
        let catalog = &snapshot.components["catalog"];
        assert_eq!(catalog.responses, [0, 1, 0, 0, 1]);
        assert_eq!((catalog.requests(), catalog.broken, catalog.bytes_out), (2, 1, 15));
        assert_eq!((catalog.buckets[0], catalog.buckets[DURATION_BOUNDS.len()]), (1, 1));
        assert_eq!(snapshot.components[HOST].buckets[1], 1, "a bound belongs to its bucket");
        assert_eq!(snapshot.connections_open, 1);
        drop(open);
        assert_eq!(metrics.snapshot().connections_open, 0);
    }
}
