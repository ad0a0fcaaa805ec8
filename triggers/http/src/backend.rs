//! What the data plane needs from whatever is behind it: which components there are, and a door
//! to call them. Refuses to know how a component runs.

use nexus_runtime::{
    Call, CallError, ComponentId, ComponentManifest, HttpRoute, Request, Response, Runtime,
};
use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

/// The side of the host that the data plane calls; the product's is [`Runtime`].
pub trait Backend: Clone + Send + Sync + 'static {
    /// Changes whenever [`Backend::view`] does; asked once per request, so it must be cheap.
    fn generation(&self) -> u64;
    fn view(&self) -> View;
    /// What everything here needs and does not have now, by name and never with an address:
    /// `/ready` shows it to anybody.
    fn missing(&self) -> Vec<&'static str> {
        Vec::new()
    }
    fn call(
        &self,
        component: &ComponentId,
        request: Request,
        call: Call,
    ) -> impl Future<Output = Result<Response, CallError>> + Send;
    /// Threads to serve with.
    fn shards(&self) -> usize;
    /// Called first on each of those threads.
    fn enter_shard(&self, index: usize);
}

/// What is active at one generation.
pub struct View {
    pub generation: u64,
    pub application: String,
    pub version: String,
    pub routes: Vec<HttpRoute>,
    /// Every component: its manifest, or why it is not active.
    pub components: Vec<(ComponentId, Result<Arc<ComponentManifest>, Arc<str>>)>,
    /// Those of them that are written for this host, and need not be told what Spin would tell.
    pub native: HashSet<ComponentId>,
}

impl Backend for Runtime {
    fn generation(&self) -> u64 {
        Runtime::generation(self)
    }

    fn view(&self) -> View {
        let active = self.active();
        let mut components: Vec<_> = active
            .components
            .iter()
            .map(|(id, state)| {
                let state = state.as_ref().map(|fleet| fleet.lead().manifest.clone());
                (id.clone(), state.map_err(Arc::clone))
            })
            .collect();
        components.sort_by(|a, b| a.0.cmp(&b.0));
        let ready =
            active.components.iter().filter_map(|(id, state)| Some((id, state.as_ref().ok()?)));
        let native =
            ready.filter(|(_, fleet)| fleet.revisions().iter().all(|one| one.revision.is_native()));
        View {
            generation: active.generation,
            application: active.application.clone(),
            version: active.version.clone(),
            routes: active.routes.clone(),
            native: native.map(|(id, _)| id.clone()).collect(),
            components,
        }
    }

    fn call(
        &self,
        component: &ComponentId,
        request: Request,
        call: Call,
    ) -> impl Future<Output = Result<Response, CallError>> + Send {
        Runtime::call(self, component, request, call)
    }

    fn shards(&self) -> usize {
        Runtime::shards(self).max(1)
    }

    fn enter_shard(&self, index: usize) {
        Runtime::enter_shard(self, index);
    }
}
