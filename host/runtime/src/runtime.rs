//! What is active now, and the one door through which every trigger calls it.

use crate::body::{Request, Response};
use crate::call::{Call, CallError, DEPTH_MAX};
use crate::capability::{AnyCapability, Capability};
use crate::engine::{EngineSettings, Machine};
use crate::instance::ClockOffset;
use crate::manifest::{ComponentId, HttpRoute, Manifest};
use crate::pool::Pool;
use crate::revision::{Revision, RevisionError, Workshop};
use crate::work::{Delivery, Outcome, Tick};
use arc_swap::ArcSwap;
use http::HeaderValue;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

thread_local! {
    /// The shard this thread belongs to; threads that never entered one share the last.
    static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// A handle on everything that can be called.
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

/// A handle that does not keep the runtime alive; for what lives inside it.
#[derive(Clone)]
pub struct WeakRuntime(Weak<Inner>);

struct Inner {
    workshop: Workshop,
    active: ArcSwap<Active>,
    /// One map per shard, and one for threads outside the shards.
    pools: Vec<Mutex<HashMap<ComponentId, Arc<Pool>>>>,
    closing: AtomicBool,
}

/// A snapshot of what is active. `generation` changes with every activation.
pub struct Active {
    pub generation: u64,
    pub application: String,
    pub version: String,
    /// In the manifest's order.
    pub routes: Vec<HttpRoute>,
    /// Each component: ready, or why it is not.
    pub components: HashMap<ComponentId, Result<Arc<Revision>, Arc<str>>>,
}

/// Counters of one component since the host started; for metrics and the admin API.
#[derive(Debug, Clone)]
pub struct ComponentSnapshot {
    pub component: ComponentId,
    /// SHA-256 of its bytes, hex; empty when it never loaded.
    pub revision: String,
    /// Why it is not active, if it is not.
    pub inactive_reason: Option<Arc<str>>,
    pub calls: u64,
    pub failures: u64,
    pub traps: u64,
    /// Calls that waited too long, for their first byte or their end.
    pub timeouts: u64,
    /// Calls that computed longer than `cpu_ms`.
    pub cpu_kills: u64,
    pub refused: u64,
    pub inflight: u32,
    pub queued: u32,
    pub instances: u32,
    pub instances_created: u64,
    pub memory_bytes: u64,
    pub cpu_seconds: f64,
    pub log_lines_dropped: u64,
}

/// Use of the engine's pools and of its cache of compiled code.
#[derive(Debug, Clone)]
pub struct EngineSnapshot {
    pub compatibility: String,
    pub cache_hits: u64,
    pub cache_misses: u64,
    pub component_instances: u64,
    pub core_instances: u64,
    pub memories: u64,
    pub tables: u64,
    pub stacks: u64,
}

/// Collects what a runtime is made of.
pub struct RuntimeBuilder {
    engine: EngineSettings,
    shards: usize,
    capabilities: Vec<Arc<dyn AnyCapability>>,
    clock: Arc<ClockOffset>,
}

impl Runtime {
    /// `shards` is the number of threads that will call [`Runtime::enter_shard`].
    pub fn builder(engine: EngineSettings, shards: usize) -> RuntimeBuilder {
        RuntimeBuilder { engine, shards, capabilities: Vec::new(), clock: Arc::default() }
    }

    /// Calls a component's HTTP export. Sets `nexus-principal`, `nexus-caller`, `x-request-id`
    /// and the trace headers, whatever the request held under those names.
    pub async fn call(
        &self,
        component: &ComponentId,
        mut request: Request,
        call: Call,
    ) -> Result<Response, CallError> {
        if call.depth > DEPTH_MAX {
            return Err(CallError::TooDeep(call.depth));
        }
        let pool = self.open_pool(component)?;
        stamp(&mut request, &call);
        pool.call(request, call).await
    }

    /// Hands messages to a component's `nexus:triggers/messages`; the outcomes are in the order
    /// of the messages, but a guest may answer with more or fewer.
    pub async fn deliver(
        &self,
        component: &ComponentId,
        delivery: Delivery,
        call: Call,
    ) -> Result<Vec<Outcome>, CallError> {
        self.open_pool(component)?.deliver(delivery, call).await
    }

    /// Runs a schedule by a component's `nexus:triggers/schedules`.
    pub async fn tick(
        &self,
        component: &ComponentId,
        tick: Tick,
        call: Call,
    ) -> Result<Outcome, CallError> {
        let mut outcomes = self.open_pool(component)?.tick(tick, call).await?;
        Ok(outcomes.pop().expect("a tick has one outcome"))
    }

    fn open_pool(&self, component: &ComponentId) -> Result<Arc<Pool>, CallError> {
        if self.0.closing.load(Relaxed) {
            return Err(CallError::ShuttingDown);
        }
        self.pool(component)
    }

    fn pool(&self, component: &ComponentId) -> Result<Arc<Pool>, CallError> {
        let last = self.0.pools.len() - 1;
        let shard = SHARD.get().unwrap_or(last).min(last);
        let mut pools = self.0.pools[shard].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(component) {
            return Ok(pool.clone());
        }
        let active = self.0.active.load();
        match active.components.get(component) {
            Some(Ok(revision)) => {
                let pool = Pool::new(revision.clone());
                pools.insert(component.clone(), pool.clone());
                Ok(pool)
            }
            Some(Err(reason)) => {
                Err(CallError::NotActive { component: component.clone(), reason: reason.clone() })
            }
            None => Err(CallError::NoSuchComponent(component.clone())),
        }
    }

    pub fn active(&self) -> Arc<Active> {
        self.0.active.load_full()
    }

    /// The generation alone, for callers that cache what they derive from [`Runtime::active`].
    pub fn generation(&self) -> u64 {
        self.0.active.load().generation
    }

    /// Number of shards that threads may enter.
    pub fn shards(&self) -> usize {
        self.0.pools.len() - 1
    }

    /// Binds the calling thread to a shard: calls made from it use that shard's instances.
    pub fn enter_shard(&self, index: usize) {
        SHARD.set(Some(index));
    }

    /// New calls are refused from now on; running ones finish.
    pub fn close(&self) {
        self.0.closing.store(true, Relaxed);
    }

    /// The components' clock.
    pub fn clock(&self) -> Arc<ClockOffset> {
        self.0.workshop.clock.clone()
    }

    pub fn downgrade(&self) -> WeakRuntime {
        WeakRuntime(Arc::downgrade(&self.0))
    }

    /// Counters of every component of the manifest, by name.
    pub fn snapshot(&self) -> Vec<ComponentSnapshot> {
        let active = self.0.active.load();
        let mut all: Vec<_> = active
            .components
            .iter()
            .map(|(id, state)| match state {
                Ok(revision) => of_revision(id, revision),
                Err(reason) => of_inactive(id, reason),
            })
            .collect();
        all.sort_by(|a, b| a.component.cmp(&b.component));
        all
    }

    pub fn engine_snapshot(&self) -> EngineSnapshot {
        let machine = &self.0.workshop.machine;
        let pool = machine.engine.pooling_allocator_metrics();
        let count =
            |read: fn(&wasmtime::PoolingAllocatorMetrics) -> u64| pool.as_ref().map_or(0, read);
        EngineSnapshot {
            compatibility: machine.compatibility().to_string(),
            cache_hits: machine.cache_hits.load(Relaxed),
            cache_misses: machine.cache_misses.load(Relaxed),
            component_instances: count(|p| p.component_instances()),
            core_instances: count(|p| p.core_instances()),
            memories: count(|p| p.memories() as u64),
            tables: count(|p| p.tables() as u64),
            stacks: count(|p| p.stacks() as u64),
        }
    }
}

impl WeakRuntime {
    pub fn upgrade(&self) -> Option<Runtime> {
        self.0.upgrade().map(Runtime)
    }
}

impl RuntimeBuilder {
    #[must_use]
    pub fn capability<C: Capability>(mut self, capability: C) -> Self {
        self.capabilities.push(Arc::new(capability));
        self
    }

    /// Loads every component of the manifest, compiling what is new on all cores, and activates
    /// what is admitted. A component that cannot be activated does not stop the others.
    pub async fn start(self, manifest: &Manifest) -> anyhow::Result<Runtime> {
        let machine = Machine::new(&self.engine)?;
        let workshop = Workshop::new(machine, self.capabilities, self.clock)?;
        let empty = Active {
            generation: 0,
            application: manifest.application.clone(),
            version: manifest.version.clone(),
            routes: Vec::new(),
            components: HashMap::new(),
        };
        let runtime = Runtime(Arc::new(Inner {
            workshop,
            active: ArcSwap::from_pointee(empty),
            pools: (0..=self.shards).map(|_| Mutex::default()).collect(),
            closing: AtomicBool::new(false),
        }));
        let mut components = HashMap::new();
        let mut loads = Vec::with_capacity(manifest.components.len());
        for component in manifest.components.iter().cloned() {
            let runtime = runtime.clone();
            loads.push(tokio::task::spawn_blocking(move || {
                let made = runtime.0.workshop.prepare(&component, &runtime.downgrade());
                (component.id.clone(), made)
            }));
        }
        for load in loads {
            let (id, made) = load.await?;
            components.insert(id.clone(), activated(&id, made));
        }
        runtime.0.active.store(Arc::new(Active {
            generation: 1,
            application: manifest.application.clone(),
            version: manifest.version.clone(),
            routes: manifest.routes.clone(),
            components,
        }));
        Ok(runtime)
    }
}

fn activated(
    id: &ComponentId,
    made: Result<Revision, RevisionError>,
) -> Result<Arc<Revision>, Arc<str>> {
    made.map(Arc::new).map_err(|error| {
        tracing::error!(component = %id, %error, "the component is not active");
        error.to_string().into()
    })
}

/// Headers that only the host may set towards a guest.
fn stamp(request: &mut Request, call: &Call) {
    let headers = request.headers_mut();
    headers.insert("nexus-principal", call.principal_header.clone());
    headers.remove("nexus-caller");
    if let Some(caller) = &call.caller {
        let name = HeaderValue::from_str(caller.as_str()).expect("component names are ASCII");
        headers.insert("nexus-caller", name);
    }
    if let Ok(id) = HeaderValue::from_str(&call.request_id) {
        headers.insert("x-request-id", id);
    }
    for (name, value) in
        [("traceparent", &call.trace.traceparent), ("tracestate", &call.trace.tracestate)]
    {
        match value {
            Some(value) => drop(headers.insert(name, value.clone())),
            None => drop(headers.remove(name)),
        }
    }
}

fn of_revision(id: &ComponentId, revision: &Revision) -> ComponentSnapshot {
    let c = &revision.counters;
    ComponentSnapshot {
        component: id.clone(),
        revision: revision.digest.clone(),
        inactive_reason: None,
        calls: c.calls.load(Relaxed),
        failures: c.failures.load(Relaxed),
        traps: c.traps.load(Relaxed),
        timeouts: c.timeouts.load(Relaxed),
        cpu_kills: c.cpu_kills.load(Relaxed),
        refused: c.refused.load(Relaxed),
        inflight: revision.inflight(),
        queued: c.queued.load(Relaxed),
        instances: c.instances.load(Relaxed),
        instances_created: c.instances_created.load(Relaxed),
        memory_bytes: revision.memory.used(),
        cpu_seconds: c.cpu_nanos.load(Relaxed) as f64 / 1e9,
        log_lines_dropped: revision.gate.dropped(),
    }
}

fn of_inactive(id: &ComponentId, reason: &Arc<str>) -> ComponentSnapshot {
    ComponentSnapshot {
        component: id.clone(),
        revision: String::new(),
        inactive_reason: Some(reason.clone()),
        calls: 0,
        failures: 0,
        traps: 0,
        timeouts: 0,
        cpu_kills: 0,
        refused: 0,
        inflight: 0,
        queued: 0,
        instances: 0,
        instances_created: 0,
        memory_bytes: 0,
        cpu_seconds: 0.0,
        log_lines_dropped: 0,
    }
}
