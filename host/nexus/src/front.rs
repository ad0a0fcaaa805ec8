//! What stands behind the HTTP trigger: nothing but honest 503s while the host is still starting,
//! the runtime afterwards. So the port is open, and the reason told, from the first moment on.

use nexus_runtime::{
    Call, CallError, ComponentId, Manifest, Request, Response, Runtime,
};
use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use trigger_http::{Backend, View};

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
    runtime: OnceLock<Runtime>,
}

impl Front {
    pub(crate) fn new(manifest: Arc<Manifest>, shards: NonZeroUsize) -> Self {
        Self(Arc::new(Inner {
            manifest,
            shards,
            reason: Mutex::new("the host is starting".into()),
            changes: AtomicU64::new(0),
            runtime: OnceLock::new(),
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
    pub(crate) fn open(&self, runtime: Runtime) {
        self.0.runtime.get_or_init(|| runtime);
    }

    pub(crate) fn runtime(&self) -> Option<&Runtime> {
        self.0.runtime.get()
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
        if let Some(runtime) = self.runtime() {
            return Backend::view(runtime);
        }
        let (manifest, reason) = (&self.0.manifest, self.reason());
        let waiting = |component: &ComponentId| (component.clone(), Err(reason.clone()));
        View {
            generation: self.generation(),
            application: manifest.application.clone(),
            version: manifest.version.clone(),
            routes: manifest.routes.clone(),
            components: manifest.components.iter().map(|c| waiting(&c.id)).collect(),
        }
    }

    async fn call(
        &self,
        component: &ComponentId,
        request: Request,
        call: Call,
    ) -> Result<Response, CallError> {
        let Some(runtime) = self.runtime() else {
            return Err(CallError::NotActive {
                component: component.clone(),
                reason: self.reason(),
            });
        };
        if let Some(index) = SHARD.take() {
            runtime.enter_shard(index);
        }
        runtime.call(component, request, call).await
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
