//! The operators' HTTP surface: what runs, how it does, whether the host is ready. Reads the
//! runtime and whatever else the host hands it as a [`Source`]; has no rules of its own.
//!
//! Refuses to know components' routes (those are the HTTP trigger's) and any store by name.
//!
//! | path | answer | credential |
//! |---|---|---|
//! | `/` | a page for people | none from this machine, otherwise the token |
//! | `/metrics` | Prometheus text | none from this machine, otherwise the token |
//! | `/health`, `/ready` | alive; ready or 503 with reasons | none |
//! | `/api/v1/host` | version, engine, process, stores | the token |
//! | `/api/v1/components`, `/api/v1/components/{id}` | state, limits, counters | the token |

mod api;
mod conditions;
mod metrics;
mod page;
mod problems;
mod routes;
mod server;
mod token;

pub use conditions::{Condition, Conditions};
pub use server::Admin;
pub use token::Token;

use nexus_observability::Exposition;
use nexus_runtime::{Manifest, Runtime};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address} for operators: {source} (NEXUS_ADMIN_LISTEN)")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("{path}: {source}")]
    TokenFile { path: PathBuf, source: std::io::Error },
    #[error("the admin token {reason}")]
    WeakToken { reason: &'static str },
}

/// A part of the host that has something to tell operators.
pub trait Source: Send + Sync + 'static {
    /// Its key in `/api/v1/host`.
    fn name(&self) -> &'static str;
    /// Adds its metric families to the page.
    fn measure(&self, page: &mut Exposition);
    /// Its state as JSON, without secrets.
    fn describe(&self) -> Value;
}

/// What the surface shows. Cheap to clone; parts that start later are told later.
#[derive(Clone)]
pub struct Facts(Arc<Inner>);

struct Inner {
    version: &'static str,
    started: Instant,
    started_at: SystemTime,
    pool_slots_max: u32,
    conditions: Conditions,
    running: OnceLock<(Runtime, Arc<Manifest>)>,
    sources: OnceLock<Vec<Box<dyn Source>>>,
}

impl Facts {
    /// `version` is the host's; `pool_slots_max` the size of the engine's instance pool.
    pub fn new(version: &'static str, pool_slots_max: u32, conditions: Conditions) -> Self {
        Self(Arc::new(Inner {
            version,
            started: Instant::now(),
            started_at: SystemTime::now(),
            pool_slots_max,
            conditions,
            running: OnceLock::new(),
            sources: OnceLock::new(),
        }))
    }

    /// The components are loaded. The first call counts.
    pub fn running(&self, runtime: Runtime, manifest: Arc<Manifest>) {
        self.0.running.get_or_init(|| (runtime, manifest));
    }

    /// The other parts that have something to tell. The first call counts.
    pub fn sources(&self, sources: Vec<Box<dyn Source>>) {
        self.0.sources.get_or_init(|| sources);
    }

    fn runtime(&self) -> Option<&Runtime> {
        self.0.running.get().map(|(runtime, _)| runtime)
    }

    fn manifest(&self) -> Option<&Manifest> {
        self.0.running.get().map(|(_, manifest)| &**manifest)
    }

    fn all_sources(&self) -> &[Box<dyn Source>] {
        self.0.sources.get().map(Vec::as_slice).unwrap_or_default()
    }
}
