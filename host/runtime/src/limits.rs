//! What one component may use: names, units, defaults, and the meter that counts its memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// Limits of one component; the manifest's `[component.X.tool.nexus]` overrides each by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `wall_ms`: a whole call, streaming and work after the response included. Five minutes is
    /// longer than any proxy in front of us waits.
    pub wall: Duration,
    /// `cpu_ms`: CPU time of one call. A request that computes for ten seconds belongs in a job.
    pub cpu: Duration,
    /// `first_byte_ms`: until the response's head. Thirty seconds is what browsers' users endure.
    pub first_byte: Duration,
    /// `stream_idle_ms`: between two chunks of a response. Event streams send a comment each 15 s.
    pub stream_idle: Duration,
    /// `memory_mib`: all linear memories of one instance; four times that for all instances of the
    /// component in one host.
    pub memory_mib: u32,
    /// `body_in_bytes`: request body. Uploads go to the object store, not through a function.
    pub body_in_bytes: u64,
    /// `body_out_bytes`: response body.
    pub body_out_bytes: u64,
    /// `inflight_max`: calls running at once in this host.
    pub inflight_max: u32,
    /// `queue_max`: calls waiting beyond that; more are refused with 429.
    pub queue_max: u32,
    /// `outbound_max`: outbound requests one call may make.
    pub outbound_max: u32,
    /// `reuse_max`: calls one instance serves before it is replaced.
    pub reuse_max: u32,
    /// `concurrency_max`: calls one instance serves at once.
    pub concurrency_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(300),
            cpu: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            stream_idle: Duration::from_secs(60),
            memory_mib: 128,
            body_in_bytes: 10 << 20,
            body_out_bytes: 1 << 30,
            inflight_max: 256,
            queue_max: 1024,
            outbound_max: 50,
            reuse_max: 100_000,
            concurrency_max: 32,
        }
    }
}

/// Instances of one component together may use this many times `memory_mib`.
const INSTANCES_FULL_GROWN: u64 = 4;

/// Table elements of one instance: far above what compilers emit, far below what hurts.
const TABLE_ELEMENTS_MAX: usize = 200_000;

impl Limits {
    pub(crate) fn checked(self) -> Result<Self, String> {
        let positive = [
            ("wall_ms", !self.wall.is_zero()),
            ("cpu_ms", !self.cpu.is_zero()),
            ("first_byte_ms", !self.first_byte.is_zero()),
            ("stream_idle_ms", !self.stream_idle.is_zero()),
            ("inflight_max", self.inflight_max > 0),
            ("reuse_max", self.reuse_max > 0),
            ("concurrency_max", self.concurrency_max > 0),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, ok)| !ok) {
            return Err(format!("{name} must be at least 1"));
        }
        if !(1..=4096).contains(&self.memory_mib) {
            return Err(format!("memory_mib is {}, allowed are 1 to 4096", self.memory_mib));
        }
        Ok(self)
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        u64::from(self.memory_mib) << 20
    }

    pub(crate) fn memory_bytes_total(&self) -> u64 {
        self.memory_bytes() * INSTANCES_FULL_GROWN
    }
}

/// Bytes of linear memory that all instances of one component hold.
#[derive(Debug, Default)]
pub(crate) struct MemoryPool(AtomicU64);

impl MemoryPool {
    pub(crate) fn used(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts the memory of one instance and refuses growth beyond its share.
pub(crate) struct Meter {
    limits: Arc<Limits>,
    pool: Arc<MemoryPool>,
    used: u64,
    elements: usize,
    /// Growth was refused: a trap that follows is the limit's doing.
    pub(crate) refused: bool,
    /// More than half its share: reuse leaks, so the instance is replaced before it hurts.
    pub(crate) bloated: Arc<AtomicBool>,
}

impl Meter {
    pub(crate) fn new(limits: Arc<Limits>, pool: Arc<MemoryPool>) -> Self {
        Self { limits, pool, used: 0, elements: 0, refused: false, bloated: Arc::default() }
    }

    fn grow(&mut self, bytes: u64) -> bool {
        let pooled = self.pool.0.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let fits = self.used + bytes <= self.limits.memory_bytes()
            && pooled <= self.limits.memory_bytes_total();
        if fits {
            self.used += bytes;
            let bloated = self.used > self.limits.memory_bytes() / 2;
            self.bloated.store(bloated, Ordering::Relaxed);
        } else {
            self.pool.0.fetch_sub(bytes, Ordering::Relaxed);
            self.refused = true;
        }
        fits
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.pool.0.fetch_sub(self.used, Ordering::Relaxed);
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // A guest's own maximum is refused without counting: it is no fault of our limit.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current) as u64))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let grown = self.elements + desired.saturating_sub(current);
        if grown > TABLE_ELEMENTS_MAX {
            self.refused = true;
            return Ok(false);
        }
        self.elements = grown;
        Ok(true)
    }
}
