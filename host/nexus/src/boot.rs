//! The part of a host's start that takes time: PostgreSQL with its migrations, the components, what
//! was deployed, configuration, what runs in the background. Meanwhile the host listens already.

use crate::assembly;
use crate::background::Background;
use crate::configuration;
use crate::front::Front;
use crate::object_urls::{StoreUrls, StoredPackages};
use crate::postgres::{self, Wanted, Working};
use crate::settings::{Database as Choice, Settings};
use crate::sources::Work;
use crate::workers::{self, Local, Supervisor};
use anyhow::{Context as _, Result};
use capability_blob::Store;
use http::Uri;
use nexus_admin::{Condition, Conditions, Facts, Token};
use nexus_configuration::Configuration;
use nexus_rollout::Rollout;
use nexus_runtime::{ClockOffset, Manifest, Runtime};
use nexus_storage::Database;
use nexus_storage::cluster::Cluster;
use nexus_storage::identity::Identity;
use nexus_storage::jobs::Jobs;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trigger_http::{Identities, MediaOrigin};

/// How far the start has come.
#[derive(Debug, Clone)]
pub(crate) enum Boot {
    Working,
    /// PostgreSQL is away; the start goes on when it is there.
    Waiting,
    Ready,
    Failed(Arc<str>),
}

/// What keeps the data plane's knowledge of identity up to date, for as long as requests are
/// served; ended when the host is dropped.
pub(crate) type Following = Arc<Mutex<JoinSet<Infallible>>>;

/// Conditions besides PostgreSQL's.
pub(crate) const COMPONENTS: &str = "components";

/// Between two attempts while PostgreSQL is away.
const AWAY_PAUSE: Duration = Duration::from_millis(200);

/// The part of the start that takes time.
pub(crate) struct Start {
    pub(crate) conditions: Conditions,
    pub(crate) facts: Facts,
    pub(crate) front: Front,
    pub(crate) database: Arc<OnceLock<Database>>,
    pub(crate) cluster: Arc<Mutex<Option<Cluster>>>,
    pub(crate) progress: watch::Sender<Boot>,
    pub(crate) background: Arc<Background>,
    pub(crate) work: Work,
    pub(crate) workers: Arc<Mutex<Option<Supervisor>>>,
    pub(crate) clock: Arc<OnceLock<Arc<ClockOffset>>>,
    pub(crate) identities: Option<Identities>,
    pub(crate) media: Option<MediaOrigin>,
    pub(crate) following: Following,
    pub(crate) admin: SocketAddr,
    pub(crate) worker_token: Token,
    pub(crate) front_door: Option<SocketAddr>,
    pub(crate) public_url: Uri,
}

impl Start {
    /// Runs to the end of the host: after the start it watches PostgreSQL.
    pub(crate) async fn run(self, settings: Settings, home: std::path::PathBuf) {
        match self.boot(settings, &home).await {
            Ok(database) => {
                self.progress.send_replace(Boot::Ready);
                if let Some(database) = database {
                    postgres::watch(database, self.conditions).await;
                }
            }
            Err(error) => {
                let words: Arc<str> = format!("{error:#}").into();
                self.conditions.set(COMPONENTS, Condition::Waiting(words.to_string()));
                self.front.waits_for("the host could not start");
                self.progress.send_replace(Boot::Failed(words));
            }
        }
    }

    async fn boot(&self, mut settings: Settings, home: &Path) -> Result<Option<Database>> {
        let manifest = settings.manifest.clone();
        let database = self.postgres(&mut settings, home, &manifest).await?;
        let open = configuration::open(&settings, &self.public_url, home, database.clone());
        let configuration = open.await?;
        let parts = assembly::Parts {
            settings: &settings,
            home,
            public_url: &self.public_url,
            database: database.clone(),
            configuration: Some(configuration.clone()),
            front_door: self.front_door,
            clock: self.clock.clone(),
        };
        let assembled = assembly::assemble(&parts)?;
        if let Some(media) = &self.media {
            media.read_from(Arc::new(StoredPackages(assembled.objects.clone())));
        }
        let runtime = assembled.runtime.start(&manifest).await?;
        parts.clock.get_or_init(|| runtime.clock());
        self.facts.running(runtime.clone(), manifest.clone());
        self.conditions.set(COMPONENTS, components(&runtime));
        if let Some(database) = &database {
            let declare = configuration::declare(&configuration, &assembled.variables);
            let public_url = &self.public_url;
            let rollout = assembly::rollout(&settings, public_url, home, database, declare)?;
            configuration.revised_by(configuration::revisions(rollout.clone()));
            self.roll_out(rollout, &runtime, &manifest).await?;
            let (background, work) = (&self.background, &self.work);
            assembly::background(&settings, database, &runtime, background, work).await?;
            self.facts.stores(database.clone());
            self.facts.configuration(configuration.clone());
            self.watch(configuration);
            self.follow(database).await;
            self.start_workers(&settings, home, Jobs::new(database.clone()), assembled.objects);
        }
        self.front.open(runtime, assembled.mounts);
        Ok(database)
    }

    /// Credentials are known from the first request on, unless the database goes away just now.
    async fn follow(&self, database: &Database) {
        let Some(identities) = &self.identities else { return };
        let mut follower = identities.follower(Identity::new(database.clone()));
        if let Err(error) = follower.look().await {
            tracing::warn!(%error, "credentials are not known yet; looking again");
        }
        let mut following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        following.spawn(follower.run());
    }

    /// What was deployed is served from the first request on.
    async fn roll_out(
        &self,
        rollout: Rollout,
        runtime: &Runtime,
        manifest: &Arc<Manifest>,
    ) -> Result<()> {
        loop {
            match rollout.start(runtime.clone(), manifest.clone()).await {
                Ok(()) => break,
                Err(error) if error.may_pass() => {
                    tracing::warn!(%error, "what was deployed is not known yet; looking again");
                    tokio::time::sleep(AWAY_PAUSE).await;
                }
                Err(error) => return Err(error).context("serve what was deployed"),
            }
        }
        self.facts.rollouts(rollout.clone());
        self.background.beside(|stop| async move { rollout.run(stop).await });
        Ok(())
    }

    /// Files and Vault are looked at while the host runs.
    fn watch(&self, configuration: Configuration) {
        let mut following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        following.spawn(async move {
            configuration.watch().await;
            std::future::pending().await
        });
    }

    /// Lets workers in, and starts the host's own.
    fn start_workers(&self, settings: &Settings, home: &Path, jobs: Jobs, objects: Arc<dyn Store>) {
        self.facts.workers(jobs.clone(), Arc::new(StoreUrls(objects)));
        let supervisor = Supervisor::start(Local {
            jobs,
            program: settings.workers.program.clone(),
            count: settings.workers.count,
            admin: self.admin,
            token: self.worker_token.clone(),
            scratch: home.join("scratch"),
            mail: workers::mail(&settings.environment, home),
        });
        *self.workers.lock().unwrap_or_else(PoisonError::into_inner) = Some(supervisor);
    }

    async fn postgres(
        &self,
        settings: &mut Settings,
        home: &Path,
        manifest: &Manifest,
    ) -> Result<Option<Database>> {
        if matches!(settings.database, Choice::None) {
            return Ok(None);
        }
        self.conditions.set(postgres::CONDITION, Condition::Waiting("connecting".into()));
        let wanted = Wanted {
            choice: settings.database.clone(),
            archive: settings.archive.clone(),
            home: home.to_owned(),
            connections_max: settings.pg_connections_max.unwrap_or(match settings.database {
                Choice::Private => 100,
                _ => 40,
            }),
            migrations: settings.migrations.clone(),
            services: postgres::services(manifest),
        };
        let told = |_: &nexus_storage::Error| {
            // The reason names addresses; those are for operators.
            self.front.waits_for("PostgreSQL cannot be reached");
            self.progress.send_replace(Boot::Waiting);
        };
        let working = postgres::working(wanted, &self.conditions, told).await;
        let Some(Working { database, cluster }) = working.context("prepare PostgreSQL")? else {
            return Ok(None);
        };
        *self.cluster.lock().unwrap_or_else(PoisonError::into_inner) = cluster;
        self.database.get_or_init(|| database.clone());
        self.conditions.set(postgres::CONDITION, Condition::Met("connected".into()));
        self.front.waits_for("the components are being loaded");
        Ok(Some(database))
    }
}

fn components(runtime: &Runtime) -> Condition {
    let all = runtime.snapshot();
    let inactive: Vec<_> = all
        .iter()
        .filter(|component| component.inactive_reason.is_some())
        .map(|component| component.component.as_str())
        .collect();
    if inactive.is_empty() {
        Condition::Met(format!("{} active", all.len()))
    } else {
        Condition::Waiting(format!("not active: {}", inactive.join(", ")))
    }
}
