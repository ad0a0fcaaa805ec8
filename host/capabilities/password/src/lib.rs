//! `nexus:password`: argon2id on a few threads of the host, so that no shard ever waits for a hash
//! and no guest grows by its memory. Knows no user and keeps no hash.

mod host;
mod phc;
mod pool;

pub use phc::{Cost, PasswordError, Verification, hash, verify};
pub use pool::{Memory, Pool};

use nexus_runtime::{Capability, ComponentManifest, Denied, Has, Instance, Opening};
use std::num::NonZeroUsize;
use std::sync::Arc;
use wasmtime::component::Linker;

/// How much hashing this host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What a hash costs when the guest names no cost.
    pub cost: Cost,
    /// Hashing threads. More than cores only makes each hash slower.
    pub threads: NonZeroUsize,
    /// Calls that may wait for a thread before the next one is told `busy`. A hash at the default
    /// cost takes some 30 ms, so 64 of them on two threads are about the second a client waits.
    pub waiting_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { cost: Cost::default(), threads: cores, waiting_max: 64 }
    }
}

/// The capability behind `nexus:password/passwords`.
pub struct Password {
    state: PasswordState,
}

/// What an instance holds: the way to the shared threads.
#[derive(Clone)]
pub struct PasswordState {
    pool: Arc<Pool>,
    cost: Cost,
}

impl Password {
    /// Starts the hashing threads.
    ///
    /// # Errors
    ///
    /// [`PasswordError::TooCostly`] when the default cost is beyond the limits that verification
    /// keeps, [`PasswordError::NoThread`] when the machine gives no thread.
    pub fn new(settings: Settings) -> Result<Self, PasswordError> {
        settings.cost.checked()?;
        let pool = Pool::start(settings.threads, settings.waiting_max)?;
        Ok(Self { state: PasswordState { pool: Arc::new(pool), cost: settings.cost } })
    }
}

impl Capability for Password {
    const NAME: &'static str = "password";
    const INTERFACES: &'static [&'static str] = &["nexus:password/"];
    type State = PasswordState;

    fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
        host::add_to_linker::<Instance, Has<Self>>(linker, Instance::view::<Self>)
    }

    /// Everyone: hashing reveals nothing and its cost is bounded for all components together.
    fn admit(&self, _component: &ComponentManifest) -> Result<(), Denied> {
        Ok(())
    }

    fn open(&self, _opening: &Opening<'_>) -> Self::State {
        self.state.clone()
    }
}
