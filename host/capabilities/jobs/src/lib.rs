//! `nexus:jobs`: how components submit jobs for native workers, look at them, watch and cancel
//! them. A component reaches its own jobs only; that is asked of the database, which knows who
//! logs in. Knows no worker and no kind.

mod host;
mod watch;

use nexus_runtime::{Capability, ComponentManifest, Denied, Has, Instance, Opening};
use nexus_storage::Database;
use nexus_storage::jobs::Jobs as Store;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use watch::Watches;

/// Streams of progress that one instance may have open: one for each page that shows a bar.
const WATCHES_MAX: u32 = 16;

/// The capability behind `nexus:jobs/jobs`.
pub struct Jobs {
    shared: Option<Shared>,
}

#[derive(Clone)]
struct Shared {
    store: Store,
    watches: Watches,
}

/// What an instance holds.
#[derive(Clone)]
pub struct JobsState {
    /// None while this host has no database.
    shared: Option<Shared>,
    places: Arc<Semaphore>,
}

impl Jobs {
    /// `home` outlives every instance: there the database is looked at for all watches together.
    pub fn new(database: Option<Database>, home: Handle) -> Self {
        let shared = database.map(|database| {
            let store = Store::new(database);
            Shared { watches: Watches::new(store.clone(), home), store }
        });
        Self { shared }
    }
}

impl Capability for Jobs {
    const NAME: &'static str = "jobs";
    const INTERFACES: &'static [&'static str] = &["nexus:jobs/"];
    type State = JobsState;

    fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
        host::add_to_linker::<Instance, Has<Self>>(linker, Instance::view::<Self>)
    }

    /// Everyone: each has the same functions in its database already.
    fn admit(&self, _component: &ComponentManifest) -> Result<(), Denied> {
        Ok(())
    }

    fn open(&self, _opening: &Opening<'_>) -> Self::State {
        let places = Arc::new(Semaphore::new(WATCHES_MAX as usize));
        JobsState { shared: self.shared.clone(), places }
    }
}
