//! One component at one version: compiled, linked, admitted, with its counters.
//! Refuses to know routes and rollout.

use crate::capability::{AnyCapability, Denied};
use crate::engine::Machine;
use crate::exports::{Exports, MESSAGES, SCHEDULES};
use crate::instance::{ClockOffset, Instance};
use crate::latency::Latency;
use crate::limits::{Limits, MemoryPool, Meter};
use crate::logs::LogGate;
use crate::manifest::{ComponentManifest, Isolation};
use crate::runtime::WeakRuntime;
use crate::worker::Watch;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Semaphore;
use wasmtime::Store;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{p2, p3};

/// Why a component is not active.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    #[error("cannot load {path}: {reason}")]
    Unloadable { path: PathBuf, reason: String },
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("imports {import}, which no capability of this host provides")]
    UnknownImport { import: String },
    #[error("cannot be linked: {0}")]
    Unlinkable(String),
    #[error("exports neither wasi:http/handler@0.3 nor wasi:http/incoming-handler@0.2")]
    NoHttpExport,
    #[error("has `{key}` in its manifest but does not export {interface}")]
    NoTriggerExport { key: &'static str, interface: &'static str },
}

/// A component ready to be called.
pub struct Revision {
    pub manifest: Arc<ComponentManifest>,
    number: AtomicU32,
    /// SHA-256 of the component's bytes, hex.
    pub digest: String,
    pub(crate) exports: Exports,
    /// Those that it imports functions of.
    capabilities: Box<[Arc<dyn AnyCapability>]>,
    pub(crate) runtime: WeakRuntime,
    pub(crate) limits: Arc<Limits>,
    pub(crate) memory: Arc<MemoryPool>,
    pub(crate) gate: Arc<LogGate>,
    clock: Arc<ClockOffset>,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) counters: Counters,
    pub(crate) latency: Latency,
    imports: Vec<String>,
    cut: AtomicBool,
    /// The instances there are, so that they can be told.
    watches: Mutex<Vec<Weak<Watch>>>,
}

/// Plain atomics: counted on the hot path, read when somebody looks.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) calls: AtomicU64,
    /// What the guest itself says went wrong: answers of 5xx, messages it could not take.
    pub(crate) server_errors: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) traps: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) cpu_kills: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) queued: AtomicU32,
    pub(crate) instances: AtomicU32,
    pub(crate) instances_created: AtomicU64,
    pub(crate) cpu_nanos: AtomicU64,
}

/// What every revision of a host is made with.
pub(crate) struct Workshop {
    pub(crate) machine: Machine,
    pub(crate) linker: Linker<Instance>,
    capabilities: Vec<Arc<dyn AnyCapability>>,
    pub(crate) clock: Arc<ClockOffset>,
}

/// Bytes a guest may hand over in one host call; larger payloads are streams.
const HOSTCALL_BYTES_MAX: usize = 32 << 20;
/// Live component-model handles of one instance.
const HANDLES_MAX: usize = 20_000;
/// Rows of the table behind streams, futures and tasks of one instance.
const CONCURRENT_ROWS_MAX: usize = 50_000;

impl Workshop {
    pub(crate) fn new(
        machine: Machine,
        capabilities: Vec<Arc<dyn AnyCapability>>,
        clock: Arc<ClockOffset>,
    ) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(&machine.engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        p2::bindings::http::types::add_to_linker::<_, wasmtime_wasi_http::WasiHttp>(
            &mut linker,
            &p2::bindings::http::types::LinkOptions::default(),
            wasmtime_wasi_http::WasiHttpView::http,
        )?;
        p3::bindings::http::types::add_to_linker::<_, wasmtime_wasi_http::WasiHttp>(
            &mut linker,
            wasmtime_wasi_http::WasiHttpView::http,
        )?;
        crate::whole::link(&mut linker)?;
        crate::headers::link(&mut linker)?;
        for capability in &capabilities {
            capability.link(&mut linker)?;
        }
        Ok(Self { machine, linker, capabilities, clock })
    }

    /// Compiles (or loads), checks grants against imports, links.
    pub(crate) fn prepare(
        &self,
        manifest: &Arc<ComponentManifest>,
        number: u32,
        runtime: &WeakRuntime,
    ) -> Result<Revision, RevisionError> {
        let (component, digest) =
            self.machine.load(&manifest.source).map_err(|error| RevisionError::Unloadable {
                path: manifest.source.clone(),
                reason: format!("{error:#}"),
            })?;
        let component_type = component.component_type();
        let imports = component_type.imports(&self.machine.engine);
        let imports: Vec<_> = imports.map(|(import, _)| import.to_owned()).collect();
        self.admit(manifest, &imports)?;
        let is_imported = |capability: &&Arc<dyn AnyCapability>| {
            imports.iter().any(|import| provides(capability.as_ref(), import))
        };
        let capabilities = self.capabilities.iter().filter(is_imported).cloned().collect();
        let pre = self
            .linker
            .instantiate_pre(&component)
            .map_err(|error| RevisionError::Unlinkable(format!("{error:#}")))?;
        let exports = Exports::of(&component, pre).ok_or(RevisionError::NoHttpExport)?;
        answers_its_triggers(manifest, &exports)?;
        Ok(Revision {
            manifest: manifest.clone(),
            number: AtomicU32::new(number),
            digest,
            exports,
            capabilities,
            runtime: runtime.clone(),
            limits: Arc::new(manifest.limits.clone()),
            memory: Arc::default(),
            gate: Arc::new(LogGate::new()),
            clock: self.clock.clone(),
            permits: Arc::new(Semaphore::new(manifest.limits.inflight_max as usize)),
            counters: Counters::default(),
            latency: Latency::default(),
            imports,
            cut: AtomicBool::new(false),
            watches: Mutex::default(),
        })
    }

    /// A grant that is missing is found here, not at the first request.
    fn admit(&self, manifest: &ComponentManifest, imports: &[String]) -> Result<(), RevisionError> {
        for import in imports {
            let provider = self.capabilities.iter().find(|c| provides(c.as_ref(), import));
            match provider {
                Some(capability) => capability.admit(manifest)?,
                None if import.starts_with("wasi:") => {}
                None if is_types_only(import) => {}
                None => return Err(RevisionError::UnknownImport { import: import.clone() }),
            }
        }
        Ok(())
    }
}

fn provides(capability: &dyn AnyCapability, import: &str) -> bool {
    capability.interfaces().iter().any(|prefix| import.starts_with(prefix))
}

/// A subscription or a schedule that nobody would answer is found here, not when it is due.
fn answers_its_triggers(
    manifest: &ComponentManifest,
    exports: &Exports,
) -> Result<(), RevisionError> {
    if !manifest.subscribe.is_empty() && !exports.has_messages() {
        return Err(RevisionError::NoTriggerExport { key: "subscribe", interface: MESSAGES });
    }
    if !manifest.cron.is_empty() && !exports.has_schedules() {
        return Err(RevisionError::NoTriggerExport { key: "cron", interface: SCHEDULES });
    }
    Ok(())
}

/// `spin:postgres/…-types`-like interfaces hold no functions and need no provider.
fn is_types_only(import: &str) -> bool {
    import.split('@').next().is_some_and(|name| name.ends_with("types"))
}

impl Revision {
    /// Of the component's revisions, from 1 on; 0 is what a manifest names and nobody has numbered.
    pub fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    /// Numbers what a manifest names. One that has a number keeps it.
    pub fn number_as(&self, number: u32) {
        let _kept = self.number.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The interfaces that the component imports, as they are written in it.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Calls that have not ended, their responses' bodies included.
    pub fn inflight(&self) -> u32 {
        let free = u32::try_from(self.permits.available_permits()).unwrap_or(u32::MAX);
        self.limits.inflight_max.saturating_sub(free)
    }

    /// Ends whatever still runs: its callers are told that the revision was taken out of service.
    /// It cannot be served again.
    pub fn cut_off(&self) {
        self.cut.store(true, Ordering::Relaxed);
        let watches = std::mem::take(&mut *self.watches());
        for watch in watches.iter().filter_map(Weak::upgrade) {
            watch.retire();
        }
    }

    /// Whether it can never be served again.
    pub fn is_cut_off(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// An instance begins.
    pub(crate) fn watched_by(&self, watch: &Arc<Watch>) {
        let mut watches = self.watches();
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Arc::downgrade(watch));
    }

    fn watches(&self) -> MutexGuard<'_, Vec<Weak<Watch>>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guest is written for this host: it exports `nexus:http/whole`.
    pub fn is_native(&self) -> bool {
        self.exports.is_native()
    }

    /// The guest exports `wasi:http/handler@0.3` and its manifest does not forbid sharing.
    pub(crate) fn is_shared(&self) -> bool {
        self.exports.is_concurrent() && self.manifest.isolation == Isolation::Shared
    }

    pub(crate) fn store(&self) -> Store<Instance> {
        let meter = Meter::new(self.limits.clone(), self.memory.clone());
        let instance = Instance::new(
            &self.manifest,
            &self.capabilities,
            &self.runtime,
            meter,
            &self.gate,
            &self.clock,
        );
        let mut store = Store::new(self.exports.engine(), instance);
        store.limiter(|instance| &mut instance.meter);
        store.set_hostcall_fuel(HOSTCALL_BYTES_MAX);
        store.set_max_component_handles(HANDLES_MAX);
        if let Some(table) = store.concurrent_resource_table() {
            table.set_max_capacity(CONCURRENT_ROWS_MAX);
        }
        store
    }

    /// Now, as the component sees it.
    pub(crate) fn now(&self) -> std::time::SystemTime {
        self.clock.now()
    }

    pub(crate) fn count_failure(&self, error: &crate::call::CallError) {
        use crate::call::CallError as E;
        let counters = &self.counters;
        let kind = match error {
            E::Trapped(_) | E::MemoryExceeded { .. } | E::InstanceLost => &counters.traps,
            E::FirstByteTimeout { .. } | E::WallTimeout { .. } => &counters.timeouts,
            E::CpuExceeded { .. } => &counters.cpu_kills,
            E::Saturated { .. } | E::NoCapacity => &counters.refused,
            _ => &counters.failures,
        };
        kind.fetch_add(1, Ordering::Relaxed);
    }
}
