//! What one store holds: WASI, the capabilities' states, the calls it is serving.
//! Refuses to know what any capability keeps in its state.

use crate::body::Request;
use crate::call::Call;
use crate::capability::{AnyCapability, Capability, Opening, View};
use crate::limits::Meter;
use crate::logs::{GuestLog, LogGate};
use crate::manifest::ComponentManifest;
use crate::runtime::WeakRuntime;
use crate::whole::Arrived;
use crate::worker::Running;
use std::any::{Any, TypeId};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use wasmtime::AsContextMut as _;
use wasmtime::component::{Access, GuestTaskId, HasData, ResourceTable};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

/// Rows in an instance's resource table; streams and futures take a few each.
const RESOURCES_MAX: usize = 16_384;

/// Bytes a guest may ask of the random source in one call.
const RANDOM_BYTES_MAX: u64 = 1 << 20;

/// Finished calls remembered, because work after the response still acts on their behalf.
const FINISHED_CALLS_MAX: usize = 256;

/// The store's data: one concrete type for every component.
pub struct Instance {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    no_egress: NoEgress,
    states: Vec<(TypeId, Box<dyn Any + Send>)>,
    component: Arc<ComponentManifest>,
    pub(crate) meter: Meter,
    calls: Vec<(GuestTaskId, Arc<Running>)>,
    pub(crate) arrived: Arrived,
}

impl Instance {
    pub(crate) fn new(
        component: &Arc<ComponentManifest>,
        capabilities: &[Arc<dyn AnyCapability>],
        runtime: &WeakRuntime,
        meter: Meter,
        gate: &Arc<LogGate>,
        clock: &Arc<ClockOffset>,
    ) -> Self {
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        wasi.max_random_size(RANDOM_BYTES_MAX);
        wasi.wall_clock(WallClock(clock.clone()));
        wasi.stdout(GuestLog::new(component.id.clone(), "stdout", gate.clone()));
        wasi.stderr(GuestLog::new(component.id.clone(), "stderr", gate.clone()));
        for (name, value) in &component.environment {
            wasi.env(name, value);
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let opening = Opening { component, runtime };
        Self {
            table,
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            no_egress: NoEgress,
            states: capabilities.iter().map(|c| c.open(&opening)).collect(),
            component: component.clone(),
            meter,
            calls: Vec::new(),
            arrived: Arrived::default(),
        }
    }

    /// The getter a capability links its functions with.
    pub fn view<C: Capability>(&mut self) -> View<'_, C> {
        View {
            state: state_of::<C>(&mut self.states),
            table: &mut self.table,
            component: &self.component,
        }
    }

    /// As [`Instance::view`], shaped for `wasi:http`: `C`'s state decides about egress.
    pub fn http_view<C>(&mut self) -> WasiHttpCtxView<'_>
    where
        C: Capability,
        C::State: WasiHttpHooks,
    {
        WasiHttpCtxView {
            hooks: state_of::<C>(&mut self.states),
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }

    pub fn component(&self) -> &Arc<ComponentManifest> {
        &self.component
    }

    /// The call being served by an instance that serves one at a time (WASI 0.2 guests).
    pub fn sole_call(&self) -> Option<Arc<Call>> {
        match self.calls.as_slice() {
            [(_, running)] => Some(running.call.clone()),
            _ => None,
        }
    }

    pub(crate) fn running(&self, task: GuestTaskId) -> Option<&Arc<Running>> {
        self.calls.iter().rev().find(|(id, _)| *id == task).map(|(_, running)| running)
    }

    pub(crate) fn begin(&mut self, task: GuestTaskId, running: Arc<Running>) {
        if self.calls.len() >= FINISHED_CALLS_MAX
            && let Some(oldest) = self.calls.iter().position(|(_, r)| r.is_finished())
        {
            self.calls.remove(oldest);
        }
        self.calls.push((task, running));
    }

    /// Forgets finished calls once nothing runs on their behalf any more.
    pub(crate) fn forget_finished(&mut self) {
        self.calls.retain(|(_, running)| !running.is_finished());
        self.arrived.clear();
    }
}

fn state_of<C: Capability>(states: &mut [(TypeId, Box<dyn Any + Send>)]) -> &mut C::State {
    let id = TypeId::of::<C>();
    let state = states.iter_mut().find(|(of, _)| *of == id).map(|(_, state)| state);
    state
        .and_then(|state| state.downcast_mut())
        .expect("a component calls only what it imports, and that has opened a state here")
}

/// The call on whose behalf the guest is calling the host. Only right in the synchronous first
/// part of a host function: after an await, another call may be current.
pub fn caller<D: HasData + ?Sized>(access: &mut Access<'_, Instance, D>) -> Option<Arc<Call>> {
    let root = access.as_context_mut().async_call_stack().ok()?.last();
    let instance = access.data_mut();
    match root.and_then(|task| instance.running(task)) {
        Some(running) => Some(running.call.clone()),
        None => instance.sole_call(),
    }
}

impl WasiView for Instance {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Instance {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.no_egress, table: &mut self.table, ctx: &mut self.http }
    }
}

type Sending =
    Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// The incoming side needs hooks, never egress: that is a capability's business.
struct NoEgress;

impl WasiHttpHooks for NoEgress {
    fn send_request(
        &mut self,
        _request: Request,
        _options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sending> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

/// How far the components' wall clock is ahead of the machine's; zero outside tests.
#[derive(Debug, Default)]
pub struct ClockOffset(AtomicI64);

impl ClockOffset {
    /// Moves the components' clock forward.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(millis, Ordering::Relaxed);
    }

    /// Now, as components see it.
    pub fn now(&self) -> std::time::SystemTime {
        let ahead = u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0);
        std::time::SystemTime::now() + Duration::from_millis(ahead)
    }
}

struct WallClock(Arc<ClockOffset>);

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        self.0.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
    }
}
