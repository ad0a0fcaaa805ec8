//! The operators' HTTP surface: what runs, how it does, whether the host is ready. Reads the
//! runtime and whatever else the host hands it as a [`Source`]; has no rules of its own.
//!
//! Refuses to know components' routes (those are the HTTP trigger's) and any store by name.
//!
//! | path | answer | credential |
//! |---|---|---|
//! | `/` and below | pages for people | a session, which the token begins (`/login`) |
//! | `/metrics` | Prometheus text | none from this machine, otherwise the token |
//! | `/health`, `/ready` | alive; ready or 503 with reasons | none |
//! | `/api/v1/host` | version, engine, process, stores | the token |
//! | `/api/v1/components`, `/api/v1/components/{id}` | state, limits, counters | the token |
//! | `/api/v1/queues…`, `/dead-letters`, `/schedules…`, `/jobs…` | see `operate` | the token |
//! | `/api/v1/invocations…`, `/logs`, `/stream`, `/health-matrix` | see `live` | the token |
//! | `/api/v1/operators…`, `/audit…` | see `operate` | the token |
//! | `/worker/v1/…` | the job protocol (`media-native/protocol`) | the workers' token |
//!
//! # Metrics of work
//!
//! Depths are counted in the database every ten seconds, and every host of it shows the same: take
//! their maximum, and the sum of what hosts count. Queues have the labels `service` and `queue`; a
//! service that makes many at run time has one series for all of them. Autoscalers read the view
//! `platform.queue_demand` instead.
//!
//! | family | what it says |
//! |---|---|
//! | `nexus_queue_{ready,deferred,leased,dead,paused}` | how deep each queue is |
//! | `nexus_queue_oldest_ready_seconds` | how long the oldest message has been waiting |
//! | `nexus_queue_{claimed,redelivered,acked,retried,released,rejected}_total` | attempts, ends |
//! | `nexus_queue_died_total` | new dead letters; alert on its rate |
//! | `nexus_queue_{stale,leases_expired}_total` | holders that were too slow or died |
//! | `nexus_queue_pickup_seconds` | from ready to claimed, a histogram |
//! | `nexus_queue_leases_held`, `nexus_queue_failures_total` | this host's |
//! | `nexus_cron_{fired,caught_up,held,lost}_total` | fires, by `service` |
//! | `nexus_cron_{skipped,missed}_total` | fires left out, by `service` and `reason` |
//! | `nexus_cron_lateness_seconds` | from the instant to its fire, a histogram |
//! | `nexus_cron_runs_ended_total`, `nexus_cron_failures_total` | this host's |
//! | `nexus_jobs_{queued,running,dead}` | jobs of native workers, `queue` is their kind |
//! | `nexus_jobs_claimed_total`, `nexus_jobs_finished_total` | what workers did on this host |
//! | `nexus_jobs_calls_refused_total` | calls of workers that were refused, by `problem` |

mod access;
mod api;
mod body;
mod conditions;
mod configuration;
mod dashboard;
mod deploy;
mod live;
mod metrics;
mod operate;
mod problems;
mod routes;
mod samples;
mod server;
mod token;
mod worker;

pub use access::Actor;
pub use conditions::{Condition, Conditions};
pub use server::Admin;
pub use token::Token;
pub use worker::{ObjectUrlError, ObjectUrls, ReadUrl, WriteUrl};

use nexus_configuration::Configuration;
use nexus_observability::Exposition;
use nexus_rollout::Rollout;
use nexus_runtime::{Manifest, Runtime};
use nexus_storage::Database;
use nexus_storage::jobs::Jobs;
use operate::Stores;
use samples::Samples;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};
use worker::{Counts, JobParts};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address} for operators: {source} (NEXUS_ADMIN_LISTEN)")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("{path}: {source}")]
    TokenFile { path: PathBuf, source: std::io::Error },
    #[error("the admin token {reason}")]
    WeakToken { reason: &'static str },
    #[error("operators and workers have the same token (NEXUS_ADMIN_TOKEN, NEXUS_WORKER_TOKEN)")]
    OneToken,
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
    jobs: OnceLock<JobParts>,
    configuration: OnceLock<Configuration>,
    rollout: OnceLock<Rollout>,
    stores: OnceLock<Stores>,
    counts: Counts,
    matrix: live::matrix::Last,
    samples: Samples,
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
            jobs: OnceLock::new(),
            configuration: OnceLock::new(),
            rollout: OnceLock::new(),
            stores: OnceLock::new(),
            counts: Counts::default(),
            matrix: Default::default(),
            samples: Samples::default(),
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

    /// Workers get jobs from now on, and objects by these URLs. The first call counts.
    pub fn workers(&self, jobs: Jobs, urls: Arc<dyn ObjectUrls>) {
        self.0.jobs.get_or_init(|| JobParts { jobs, urls });
    }

    /// Queues, schedules and jobs of this database are operated from now on; its migrations have
    /// run. The first call counts.
    pub fn stores(&self, database: Database) {
        self.0.stores.get_or_init(|| Stores::new(database));
    }

    /// Components are configured by this from now on. The first call counts.
    pub fn configuration(&self, configuration: Configuration) {
        self.0.configuration.get_or_init(|| configuration);
    }

    /// Components are rolled out by this from now on. The first call counts.
    pub fn rollouts(&self, rollout: Rollout) {
        self.0.rollout.get_or_init(|| rollout);
    }

    fn rolled_out(&self) -> Option<&Rollout> {
        self.0.rollout.get()
    }

    fn configured(&self) -> Option<&Configuration> {
        self.0.configuration.get()
    }

    fn operated(&self) -> Option<&Stores> {
        self.0.stores.get()
    }

    fn jobs(&self) -> Option<&JobParts> {
        self.0.jobs.get()
    }

    fn samples(&self) -> &Samples {
        &self.0.samples
    }

    fn counts(&self) -> &Counts {
        &self.0.counts
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
