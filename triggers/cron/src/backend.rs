//! What cron needs of a runtime: who has schedules, and what time it is there. Refuses to know
//! engines.

use nexus_runtime::{ComponentId, Cron, Runtime};
use std::time::SystemTime;

/// An active component and its cron entries.
#[derive(Debug, Clone)]
pub struct Entries {
    pub component: ComponentId,
    pub cron: Vec<Cron>,
}

/// Whoever runs components.
pub trait Backend: Send + Sync + 'static {
    /// Changes whenever [`Backend::entries`] may have.
    fn generation(&self) -> u64;

    /// The active components, those without entries included: theirs are to be removed.
    fn entries(&self) -> Vec<Entries>;

    /// The components' clock.
    fn now(&self) -> SystemTime;
}

impl Backend for Runtime {
    fn generation(&self) -> u64 {
        Runtime::generation(self)
    }

    fn entries(&self) -> Vec<Entries> {
        let active = self.active();
        let ready = active.components.values().filter_map(|state| state.as_ref().ok());
        let entries = ready.map(|fleet| &fleet.lead().manifest).map(|manifest| Entries {
            component: manifest.id.clone(),
            cron: manifest.cron.clone(),
        });
        entries.collect()
    }

    fn now(&self) -> SystemTime {
        self.clock().now()
    }
}
