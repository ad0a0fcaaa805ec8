//! What is active now, and the one door through which every trigger calls it.

use crate::body::{Request, Response};
use crate::call::{Call, CallError, DEPTH_MAX};
use crate::capability::{AnyCapability, Capability};
use crate::crews::{Chosen, Crews};
use crate::engine::{EngineSettings, Machine};
use crate::fleet::{Fleet, FleetError, Served};
use crate::instance::ClockOffset;
use crate::manifest::{ComponentId, ComponentManifest, HttpRoute, Manifest};
use crate::pool::{Asked, Pool};
use crate::revision::{Revision, RevisionError, Workshop};
use crate::snapshot::{ComponentSnapshot, Past, RevisionSnapshot};
use crate::work::{Delivery, Outcome, Tick};
use arc_swap::ArcSwap;
use futures::StreamExt as _;
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
    /// Held while what is active is changed.
    changing: Mutex<Past>,
    /// One for each shard, and one for threads outside the shards.
    crews: Vec<Crews>,
    closing: AtomicBool,
}

/// A snapshot of what is active. `generation` changes with every activation.
#[derive(Clone)]
pub struct Active {
    pub generation: u64,
    pub application: String,
    pub version: String,
    /// In the manifest's order.
    pub routes: Vec<HttpRoute>,
    /// Each component: ready, or why it is not.
    pub components: HashMap<ComponentId, Result<Arc<Fleet>, Arc<str>>>,
}

/// In the extensions of a response whose component has several revisions: which of them it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServedBy(pub u32);

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
    pub fn call(
        &self,
        component: &ComponentId,
        request: Request,
        call: Call,
    ) -> impl Future<Output = Result<Response, CallError>> + Send + use<> {
        let asked = self.ask(component, request, call);
        async move {
            let (asked, of_several) = asked?;
            let number = of_several.then(|| asked.revision().number());
            let mut response = asked.answered().await?;
            if let Some(number) = number {
                response.extensions_mut().insert(ServedBy(number));
            }
            Ok(response)
        }
    }

    /// What is asked, and whether the component has several revisions that it could be asked of.
    fn ask(
        &self,
        component: &ComponentId,
        request: Request,
        call: Call,
    ) -> Result<(Asked, bool), CallError> {
        if call.depth > DEPTH_MAX {
            return Err(CallError::TooDeep(call.depth));
        }
        let chosen = self.open_pool(component, &call)?;
        Ok((chosen.pool.ask(request, call), chosen.of_several))
    }

    /// Calls a revision, served or not. An instance that is made for it ends with the call.
    pub async fn call_revision(
        &self,
        revision: &Arc<Revision>,
        request: Request,
        call: Call,
    ) -> Result<Response, CallError> {
        if self.0.closing.load(Relaxed) {
            return Err(CallError::ShuttingDown);
        }
        let pool = Pool::new(revision.clone());
        let answer = pool.clone().ask(request, call).answered().await;
        pool.close();
        answer
    }

    /// Hands messages to a component's `nexus:triggers/messages`; the outcomes are in the order
    /// of the messages, but a guest may answer with more or fewer.
    pub async fn deliver(
        &self,
        component: &ComponentId,
        delivery: Delivery,
        call: Call,
    ) -> Result<Vec<Outcome>, CallError> {
        self.open_pool(component, &call)?.pool.deliver(delivery, call).await
    }

    /// Runs a schedule by a component's `nexus:triggers/schedules`.
    pub async fn tick(
        &self,
        component: &ComponentId,
        tick: Tick,
        call: Call,
    ) -> Result<Outcome, CallError> {
        let mut outcomes = self.open_pool(component, &call)?.pool.tick(tick, call).await?;
        Ok(outcomes.pop().expect("a tick has one outcome"))
    }

    fn open_pool(&self, component: &ComponentId, call: &Call) -> Result<Chosen, CallError> {
        if self.0.closing.load(Relaxed) {
            return Err(CallError::ShuttingDown);
        }
        let last = self.0.crews.len() - 1;
        let shard = SHARD.get().unwrap_or(last).min(last);
        let mut crews = self.0.crews[shard].open();
        crews.choose(component, call, || self.0.active.load().fleet(component))
    }

    /// Compiles (or maps what was compiled before), checks grants, links. What is prepared is not
    /// served yet; compiling takes seconds, on threads of its own.
    ///
    /// # Errors
    ///
    /// Any [`RevisionError`].
    pub async fn prepare(
        &self,
        component: Arc<ComponentManifest>,
        number: u32,
    ) -> Result<Arc<Revision>, RevisionError> {
        let runtime = self.clone();
        let path = component.source.clone();
        let prepared = tokio::task::spawn_blocking(move || {
            runtime.0.workshop.prepare(&component, number, &runtime.downgrade())
        });
        let reason = |error: tokio::task::JoinError| error.to_string();
        let lost = |error| RevisionError::Unloadable { path, reason: reason(error) };
        prepared.await.map_err(lost)?.map(Arc::new)
    }

    /// Replaces what a component serves: each call is answered by the old or by the new, none by
    /// neither. A component that was not there is added. Returns the new generation.
    ///
    /// Revisions that are left out get no more calls and finish those they have; see
    /// [`Revision::inflight`] and [`Revision::cut_off`].
    ///
    /// # Errors
    ///
    /// Any [`FleetError`]; then everything stays as it was.
    pub fn serve(&self, component: &ComponentId, served: Served) -> Result<u64, FleetError> {
        let fleet = Arc::new(Fleet::new(component, served)?);
        Ok(self.change(component, Some(Ok(fleet))))
    }

    /// Says why a component is not active.
    pub fn refuse(&self, component: &ComponentId, reason: &str) -> u64 {
        self.change(component, Some(Err(reason.into())))
    }

    /// Takes a component away. Returns the new generation.
    pub fn withdraw(&self, component: &ComponentId) -> u64 {
        self.change(component, None)
    }

    fn change(&self, component: &ComponentId, state: Option<Result<Arc<Fleet>, Arc<str>>>) -> u64 {
        let mut past = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut active = Active::clone(&self.0.active.load());
        active.generation += 1;
        let new_routes = match &state {
            Some(Ok(fleet)) => fleet.routes.clone(),
            _ => Vec::new(),
        };
        if !matches!(state, Some(Err(_))) {
            replace_routes(&mut active.routes, component, new_routes);
        }
        let before = match state.clone() {
            Some(state) => active.components.insert(component.clone(), state),
            None => active.components.remove(component),
        };
        let generation = active.generation;
        // First what new crews are made from, then the crews there are: a crew that is made in
        // between is made from the new.
        self.0.active.store(Arc::new(active));
        let fleet = state.and_then(Result::ok);
        for crews in &self.0.crews {
            crews.open().replace(component, fleet.as_ref());
        }
        let before = before.and_then(Result::ok);
        past.keep(component, before.as_deref(), fleet.as_deref());
        generation
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
        self.0.crews.len() - 1
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

    /// Counters of every component, by name.
    pub fn snapshot(&self) -> Vec<ComponentSnapshot> {
        let past = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let active = self.0.active.load();
        let states = active.components.iter();
        let mut all: Vec<_> = states
            .map(|(id, state)| match state {
                Ok(fleet) => ComponentSnapshot::of(id, fleet, &past),
                Err(reason) => ComponentSnapshot::inactive(id, reason.clone(), &past),
            })
            .collect();
        all.sort_by(|a, b| a.component.cmp(&b.component));
        all
    }

    /// Counters of each revision that is served or still has calls to finish.
    pub fn revisions(&self) -> Vec<RevisionSnapshot> {
        let mut past = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let active = self.0.active.load();
        let fleets = active.components.values().filter_map(|state| state.as_ref().ok());
        let served = fleets.flat_map(|fleet| fleet.revisions());
        let mut all: Vec<_> =
            served.map(|one| RevisionSnapshot::of(&one.revision, one.weight, false)).collect();
        all.extend(past.draining().map(|revision| RevisionSnapshot::of(revision, 0, true)));
        all.sort_by(|a, b| (&a.component, a.number).cmp(&(&b.component, b.number)));
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
            changing: Mutex::default(),
            crews: (0..=self.shards).map(|_| Crews::default()).collect(),
            closing: AtomicBool::new(false),
        }));
        let mut components = HashMap::new();
        let load = |component: Arc<ComponentManifest>| {
            let runtime = runtime.clone();
            tokio::task::spawn_blocking(move || {
                let made = runtime.0.workshop.prepare(&component, 0, &runtime.downgrade());
                (component.id.clone(), made)
            })
        };
        // More at once would be no faster, and each thread keeps memory of its own.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut loads =
            futures::stream::iter(manifest.components.iter().cloned().map(load)).buffered(cores);
        while let Some(load) = loads.next().await {
            let (id, made) = load?;
            let routes = manifest.routes.iter().filter(|route| route.component == id);
            let routes = routes.cloned().collect();
            components.insert(id.clone(), activated(&id, routes, made));
        }
        drop(loads);
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
    routes: Vec<HttpRoute>,
    made: Result<Revision, RevisionError>,
) -> Result<Arc<Fleet>, Arc<str>> {
    let fleet = made.map(|revision| Arc::new(Fleet::of_one(Arc::new(revision), routes)));
    fleet.map_err(|error| {
        tracing::error!(component = %id, %error, "the component is not active");
        error.to_string().into()
    })
}

/// Puts a component's routes where the old ones were, so that the order of the others stays.
fn replace_routes(routes: &mut Vec<HttpRoute>, component: &ComponentId, new: Vec<HttpRoute>) {
    let place = routes.iter().position(|route| route.component == *component);
    routes.retain(|route| route.component != *component);
    let place = place.unwrap_or(routes.len()).min(routes.len());
    routes.splice(place..place, new);
}

impl Active {
    fn fleet(&self, component: &ComponentId) -> Result<Arc<Fleet>, CallError> {
        match self.components.get(component) {
            Some(Ok(fleet)) => Ok(fleet.clone()),
            Some(Err(reason)) => {
                Err(CallError::NotActive { component: component.clone(), reason: reason.clone() })
            }
            None => Err(CallError::NoSuchComponent(component.clone())),
        }
    }
}
