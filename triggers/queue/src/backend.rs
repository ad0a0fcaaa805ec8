//! What the queue needs of a runtime: who consumes, and the two calls. Refuses to know engines.

use nexus_runtime::{Call, CallError, ComponentId, Delivery, Outcome, Runtime, Subscription, Tick};
use std::future::Future;

/// An active component and what it subscribes to.
#[derive(Debug, Clone)]
pub struct Consumer {
    pub component: ComponentId,
    pub subscribe: Vec<Subscription>,
}

/// Whoever runs components.
pub trait Backend: Clone + Send + Sync + 'static {
    /// Changes whenever [`Backend::consumers`] may have.
    fn generation(&self) -> u64;

    /// The active components, those without subscriptions included.
    fn consumers(&self) -> Vec<Consumer>;

    /// One outcome for each message, in order.
    fn deliver(
        &self,
        component: &ComponentId,
        delivery: Delivery,
        call: Call,
    ) -> impl Future<Output = Result<Vec<Outcome>, CallError>> + Send;

    fn tick(
        &self,
        component: &ComponentId,
        tick: Tick,
        call: Call,
    ) -> impl Future<Output = Result<Outcome, CallError>> + Send;
}

impl Backend for Runtime {
    fn generation(&self) -> u64 {
        Runtime::generation(self)
    }

    fn consumers(&self) -> Vec<Consumer> {
        let active = self.active();
        let ready = active.components.values().filter_map(|state| state.as_ref().ok());
        let consumer = |manifest: &nexus_runtime::ComponentManifest| Consumer {
            component: manifest.id.clone(),
            subscribe: manifest.subscribe.clone(),
        };
        ready.map(|fleet| consumer(&fleet.lead().manifest)).collect()
    }

    async fn deliver(
        &self,
        component: &ComponentId,
        delivery: Delivery,
        call: Call,
    ) -> Result<Vec<Outcome>, CallError> {
        Runtime::deliver(self, component, delivery, call).await
    }

    async fn tick(
        &self,
        component: &ComponentId,
        tick: Tick,
        call: Call,
    ) -> Result<Outcome, CallError> {
        Runtime::tick(self, component, tick, call).await
    }
}
