//! `nexus:rsa`: RSA key pairs and signatures on a few threads of the host. Knows no owner and keeps
//! no key: a secret key comes with the call and is wiped after it.

mod host;
mod pool;
mod rsa_key;

pub use pool::Pool;
pub use rsa_key::{Pair, PublicKey, RsaError, Scheme, generate, sign, verify};

use nexus_runtime::{Capability, ComponentManifest, Denied, Has, Instance, Opening};
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::runtime::Handle;
use wasmtime::component::Linker;

/// How much RSA this host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Signatures computed at once. More than cores only makes each slower.
    pub signing: NonZeroUsize,
    /// Keys made at once: one, so that making keys never takes the machine from signing.
    pub making: NonZeroUsize,
    /// Calls of either kind that may wait beyond those. A signature takes one to six
    /// milliseconds, so 256 of them are about the second a client waits.
    pub waiting_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { signing: cores, making: NonZeroUsize::MIN, waiting_max: 256 }
    }
}

/// The capability behind `nexus:rsa/keys`.
pub struct Rsa {
    state: RsaState,
}

/// What an instance holds: the way to the shared threads.
#[derive(Clone)]
pub struct RsaState {
    signing: Arc<Pool>,
    making: Arc<Pool>,
}

impl Rsa {
    /// Computes on the blocking threads of `runtime`, as many as the settings say.
    pub fn new(settings: Settings, runtime: Handle) -> Self {
        let pool = |threads| Arc::new(Pool::new(threads, settings.waiting_max, runtime.clone()));
        Self { state: RsaState { signing: pool(settings.signing), making: pool(settings.making) } }
    }
}

impl Capability for Rsa {
    const NAME: &'static str = "rsa";
    const INTERFACES: &'static [&'static str] = &["nexus:rsa/"];
    type State = RsaState;

    fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
        host::add_to_linker::<Instance, Has<Self>>(linker, Instance::view::<Self>)
    }

    /// Everyone: computing reveals nothing and its cost is bounded for all components together.
    fn admit(&self, _component: &ComponentManifest) -> Result<(), Denied> {
        Ok(())
    }

    fn open(&self, _opening: &Opening<'_>) -> Self::State {
        self.state.clone()
    }
}
