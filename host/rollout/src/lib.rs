//! Rollouts: how a revision of a component comes to serve calls, step by step, on every host of a
//! database, and how it goes away again. Knows artifacts, the runtime and the tables of rollouts;
//! refuses to know HTTP, and who may order what.
//!
//! # Who does what
//!
//! - At start, a host makes the components of its manifest revisions ([`Rollout::start`]) and
//!   decides what is served: what was deployed, unless it is told to take the manifest.
//! - Every host follows ([`Rollout::run`]): it loads what the database says that is served, takes
//!   the calls over, lets what is gone finish its calls, and says what it has applied.
//! - Every host has a controller; the one that holds the lease of a rollout moves it from state to
//!   state. Whatever dies in between, another reads where it was and goes on from there.
//!
//! ```text
//! verifying → compiling → migrating → probing → staged → stepping ⟲ → promoting → draining → done
//!      └──────────┴───────────┴──────────┴→ failed  └────┴→ rolling_back → rolled_back | aborted
//! ```
//!
//! Whoever has moved something says so to all hosts (`nexus_storage::Signal`), and everybody looks
//! at once; everybody also looks twice a second, for whoever was not heard.
//!
//! A step goes on when every living host has applied it, its time is over, and the gates are open:
//! enough calls, no more errors, traps and delay than what served before. A closed gate rolls back
//! at once. A freeze keeps rollouts from going on, never from going back.

mod back;
mod controller;
mod error;
mod expand;
mod follower;
mod fragment;
mod gates;
mod journal;
mod load;
mod operate;
mod plan;
mod registrar;
mod stages;
mod verify;

pub use error::Error;
pub use expand::{Breach, breaches};
pub use gates::{Judgement, Tally, judge};
pub use operate::{Deploy, Deployed, Stored};
pub use plan::{Gates, Plan, Strategy, blend};

use nexus_artifact::KeyRing;
use nexus_runtime::{Fragment, Manifest, Runtime, Shutdown};
use nexus_storage::rollouts::Rollouts;
use nexus_storage::{Database, Listening, Signal};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use uuid::Uuid;

/// How long what was replaced may take to finish its calls (`drain_s`).
pub const DRAIN: Duration = Duration::from_secs(30);

/// What a host's part in rollouts is made from.
pub struct RolloutConfig {
    pub database: Database,
    /// Where the bytes of artifacts are written for the engine: `<home>/artifacts`.
    pub folder: PathBuf,
    /// Which host this is, over its restarts.
    pub host: String,
    pub version: String,
    /// Serve the manifest's components, whatever was deployed.
    pub from_manifest: bool,
    pub keys: KeyRing,
    pub drain: Duration,
    /// Hears of each revision's own piece of a manifest before it is prepared: it may declare
    /// variables that nobody knows yet. What it refuses is not loaded.
    pub declare: Declare,
}

/// See [`RolloutConfig::declare`].
pub type Declare = Arc<dyn Fn(&Fragment) -> Result<(), String> + Send + Sync>;

/// A host's part in rollouts. Cheap to clone.
#[derive(Clone)]
pub struct Rollout(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) rollouts: Rollouts,
    pub(crate) folder: PathBuf,
    pub(crate) host: String,
    pub(crate) version: String,
    pub(crate) from_manifest: bool,
    pub(crate) keys: KeyRing,
    pub(crate) drain: Duration,
    pub(crate) declare: Declare,
    /// Of this process.
    pub(crate) id: Uuid,
    pub(crate) running: OnceLock<Running>,
}

/// What there is once the runtime is.
pub(crate) struct Running {
    pub(crate) runtime: Runtime,
    pub(crate) shelf: load::Shelf,
}

impl Rollout {
    /// Needs the platform's migrations.
    pub fn new(config: RolloutConfig) -> Self {
        Self(Arc::new(Inner {
            rollouts: Rollouts::new(config.database),
            folder: config.folder,
            host: config.host,
            version: config.version,
            from_manifest: config.from_manifest,
            keys: config.keys,
            drain: config.drain,
            declare: config.declare,
            id: Uuid::now_v7(),
            running: OnceLock::new(),
        }))
    }

    /// Makes the components of the manifest revisions and serves what is to be served; call it
    /// before calls are let in.
    ///
    /// # Errors
    ///
    /// When the database is away, or the folder cannot be made. A revision that cannot be loaded
    /// is no error: the component stays as it was, and the host says so.
    pub async fn start(&self, runtime: Runtime, manifest: Arc<Manifest>) -> Result<(), Error> {
        let inner = &self.0;
        inner.rollouts.join(inner.id, &inner.host, &inner.version).await?;
        let registered = registrar::register(inner, &runtime, &manifest).await?;
        let shelf = load::Shelf::new(&inner.folder, registered)?;
        let running = inner.running.get_or_init(|| Running { runtime, shelf });
        let mut follower = follower::Follower::new(inner.clone());
        follower.look(running).await
    }

    /// Follows, and moves rollouts on, until shutdown is requested. A move under way is ended
    /// first.
    pub async fn run(&self, shutdown: Shutdown) {
        tokio::join!(
            follower::run(self.0.clone(), shutdown.clone()),
            controller::run(self.0.clone(), shutdown.clone()),
            keep(&self.0, shutdown),
        );
        if let Err(error) = self.0.rollouts.leave(self.0.id).await {
            tracing::debug!(%error, "the host is found gone by its silence");
        }
    }

    /// Every host looks at once at what was just changed, rather than at its next look.
    pub fn stir(&self) {
        self.0.stir();
    }

    /// The tables behind it.
    pub fn rollouts(&self) -> &Rollouts {
        &self.0.rollouts
    }

    /// Of this process.
    pub fn id(&self) -> Uuid {
        self.0.id
    }
}

/// Keeps what the release consists of, and nothing that nobody needs.
async fn keep(inner: &Inner, mut shutdown: Shutdown) {
    let Some(Running { shelf, .. }) = inner.running.get() else { return };
    let kept = async {
        shelf.keep_release().await;
        if let Err(error) = shelf.tidy(inner).await {
            tracing::debug!(%error, "bytes that nobody needs are kept on");
        }
    };
    tokio::select! {
        () = kept => {}
        () = shutdown.requested() => {}
    }
}

impl Inner {
    /// That something has changed, here and elsewhere.
    pub(crate) fn stirred(&self) -> &Signal {
        self.rollouts.database().work().rollouts()
    }

    pub(crate) fn stir(&self) {
        self.stirred().poke();
    }
}

/// Waits for `most`, or until something was changed since the last wait.
pub(crate) async fn doze(stirred: &mut Listening, most: Duration) {
    let _stirred_or_late = tokio::time::timeout(most, stirred.poked()).await;
}
