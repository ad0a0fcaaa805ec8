//! What stands behind the HTTP trigger: nothing but honest 503s while the host is still starting,
//! the runtime and the host's own mounts afterwards. So the port is open, and the reason told, from
//! the first moment on.

use anyhow::Result;
use capability_blob::Door;
use futures::FutureExt as _;
use futures::future::{Either, ready};
use http_body_util::BodyExt as _;
use nexus_admin::{Condition, Conditions};
use nexus_runtime::{
    Call, CallError, ComponentId, ComponentManifest, HttpRoute, Isolation, Limits, Manifest,
    Request, Response, Runtime,
};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use trigger_http::{Backend, View};
use wasmtime_wasi_http::Error as BodyError;

thread_local! {
    /// The shard of this thread, until the runtime has been told.
    static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Generations of the time before the runtime, far above its own.
const BEFORE: u64 = u64::MAX / 2;

/// The backend of the HTTP trigger; clones share it.
#[derive(Clone)]
pub(crate) struct Front(Arc<Inner>);

struct Inner {
    manifest: Arc<Manifest>,
    shards: NonZeroUsize,
    /// Why nothing is active yet; shown to clients, so without addresses.
    reason: Mutex<Arc<str>>,
    changes: AtomicU64,
    /// What the host as a whole waits for, before its start is done and after.
    conditions: Conditions,
    open: OnceLock<(Runtime, Vec<Mount>)>,
}

/// A path that the host itself serves beside the components. It looks like one to the HTTP trigger,
/// which so gives it the same limits and counts.
pub(crate) struct Mount {
    id: ComponentId,
    /// Ends in `/`.
    path: &'static str,
    route: HttpRoute,
    manifest: Arc<ComponentManifest>,
    door: Door,
}

impl Mount {
    /// Serves `door` below `path`, which ends in `/`, under a name that no component has.
    pub(crate) fn new(name: &str, path: &'static str, door: Door) -> Result<Self> {
        let id = ComponentId::new(name)?;
        let route = HttpRoute { pattern: Some(format!("{path}...")), component: id.clone() };
        // The door knows how much an object may hold; it streams, so no memory depends on it.
        let limits = Limits { body_in_bytes: u64::MAX, ..Limits::default() };
        let manifest = Arc::new(ComponentManifest {
            id: id.clone(),
            source: PathBuf::new(),
            variables: BTreeMap::new(),
            environment: BTreeMap::new(),
            allowed_outbound_hosts: Vec::new(),
            key_value_stores: Vec::new(),
            buckets: Vec::new(),
            limits,
            isolation: Isolation::Shared,
            rate: None,
            subscribe: Vec::new(),
            cron: Vec::new(),
            configuration: 0,
        });
        Ok(Self { id, path, route, manifest, door })
    }

    async fn serve(&self, mut request: Request, call: &Call) -> Response {
        // What is asked of every component, such as its document, a mount does not have.
        if !request.uri().path().starts_with(self.path) {
            let mut response = Response::new(nexus_runtime::full(""));
            *response.status_mut() = http::StatusCode::NOT_FOUND;
            return response;
        }
        // Problems of the door name the request.
        if let Ok(id) = http::HeaderValue::from_str(&call.request_id) {
            request.headers_mut().insert("x-request-id", id);
        }
        let response = self.door.serve(request).await;
        response.map(|body| {
            body.map_err(|error| BodyError::InternalError(Some(error.to_string()))).boxed_unsync()
        })
    }
}

impl Front {
    pub(crate) fn new(
        manifest: Arc<Manifest>,
        shards: NonZeroUsize,
        conditions: Conditions,
    ) -> Self {
        Self(Arc::new(Inner {
            manifest,
            shards,
            reason: Mutex::new("the host is starting".into()),
            changes: AtomicU64::new(0),
            conditions,
            open: OnceLock::new(),
        }))
    }

    /// Changes what clients are told until the runtime is there.
    pub(crate) fn waits_for(&self, reason: &str) {
        let mut told = self.0.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if **told != *reason {
            *told = reason.into();
            self.0.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// Lets calls through from now on.
    pub(crate) fn open(&self, runtime: Runtime, mounts: Vec<Mount>) {
        self.0.open.get_or_init(|| (runtime, mounts));
    }

    pub(crate) fn runtime(&self) -> Option<&Runtime> {
        self.0.open.get().map(|(runtime, _)| runtime)
    }

    fn reason(&self) -> Arc<str> {
        self.0.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Backend for Front {
    fn generation(&self) -> u64 {
        match self.runtime() {
            Some(runtime) => runtime.generation(),
            None => BEFORE + self.0.changes.load(Ordering::Acquire),
        }
    }

    fn view(&self) -> View {
        if let Some((runtime, mounts)) = self.0.open.get() {
            let mut view = Backend::view(runtime);
            view.routes.extend(mounts.iter().map(|mount| mount.route.clone()));
            let served = mounts.iter().map(|mount| (mount.id.clone(), Ok(mount.manifest.clone())));
            view.components.extend(served);
            return view;
        }
        let (manifest, reason) = (&self.0.manifest, self.reason());
        let waiting = |component: &ComponentId| (component.clone(), Err(reason.clone()));
        View {
            generation: self.generation(),
            application: manifest.application.clone(),
            version: manifest.version.clone(),
            routes: manifest.routes.clone(),
            components: manifest.components.iter().map(|c| waiting(&c.id)).collect(),
            native: Default::default(),
        }
    }

    /// The names alone: the reasons are for operators, they have addresses in them.
    fn missing(&self) -> Vec<&'static str> {
        let all = self.0.conditions.all().into_iter();
        let waiting = all.filter(|(_, condition)| matches!(condition, Condition::Waiting(_)));
        waiting.map(|(name, _)| name).collect()
    }

    fn call(
        &self,
        component: &ComponentId,
        request: Request,
        call: Call,
    ) -> impl Future<Output = Result<Response, CallError>> + Send {
        let Some((runtime, mounts)) = self.0.open.get() else {
            let (component, reason) = (component.clone(), self.reason());
            return Either::Left(ready(Err(CallError::NotActive { component, reason })));
        };
        if let Some(mount) = mounts.iter().find(|mount| mount.id == *component) {
            let served = async move { Ok(mount.serve(request, &call).await) };
            return Either::Right(Either::Left(served.boxed()));
        }
        if let Some(index) = SHARD.take() {
            runtime.enter_shard(index);
        }
        Either::Right(Either::Right(runtime.call(component, request, call)))
    }

    fn shards(&self) -> usize {
        self.0.shards.get()
    }

    fn enter_shard(&self, index: usize) {
        match self.runtime() {
            Some(runtime) => runtime.enter_shard(index),
            None => SHARD.set(Some(index)),
        }
    }
}
