//! A running host: what starts in which order, and how it stops. Has no process-global state, so
//! that a test can run several.
//!
//! Start: home, operators' surface, HTTP port (503 until further notice), PostgreSQL with its
//! migrations beside the components, then the port opens. Stop: the same backwards.

use crate::assembly;
use crate::background::Background;
use crate::configuration;
use crate::dev_tokens::DevKey;
use crate::development;
use crate::front::Front;
use crate::home::Home;
use crate::object_urls::{StoreUrls, StoredPackages};
use crate::postgres::{self, Wanted, Working};
use crate::settings::{Database as Choice, Settings};
use crate::sources::{self, Work};
use crate::takeover::{Handed, Offer, What};
use crate::workers::{self, Local, Supervisor};
use anyhow::{Context as _, Result};
use capability_blob::Store;
use http::Uri;
use nexus_admin::{Admin, Condition, Conditions, Facts, Source, Token};
use nexus_configuration::Configuration;
use nexus_rollout::Rollout;
use nexus_runtime::{ClockOffset, Manifest, Runtime, Shutdown, ShutdownSender};
use nexus_storage::Database;
use nexus_storage::cluster::Cluster;
use nexus_storage::identity::Identity;
use nexus_storage::jobs::Jobs;
use socket2::{Domain, Protocol, Socket, Type};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use trigger_http::{HttpTrigger, Identities, MediaOrigin, Sockets};

/// Conditions besides PostgreSQL's.
const COMPONENTS: &str = "components";
const LIFECYCLE: &str = "lifecycle";

/// Between two attempts while PostgreSQL is away.
const AWAY_PAUSE: Duration = Duration::from_millis(200);

/// For a host that has handed its sockets on: until its last request is answered and its home is
/// free. Connections wait meanwhile.
const LEAVING_MAX: Duration = Duration::from_secs(90);

/// A host that listens. Stop it with [`Host::shut_down`]; when only dropped, it stops serving and
/// its private PostgreSQL is told to stop.
pub struct Host {
    home: Home,
    http: Vec<SocketAddr>,
    tls_from: usize,
    admin: SocketAddr,
    token: Token,
    worker_token: Token,
    public_url: String,
    conditions: Conditions,
    front: Front,
    key: Option<DevKey>,
    database: Arc<OnceLock<Database>>,
    cluster: Arc<Mutex<Option<Cluster>>>,
    boot: watch::Receiver<Boot>,
    stop_serving: ShutdownSender,
    stop_admin: ShutdownSender,
    background: Arc<Background>,
    workers: Arc<Mutex<Option<Supervisor>>>,
    following: Following,
    offer: Option<Offer>,
    _sockets: Arc<Listening>,
    tasks: Tasks,
}

/// What this host listens with; gone with it.
struct Listening {
    http: Sockets,
    operators: Option<OwnedFd>,
    operators_address: SocketAddr,
}

/// What the host before has left.
#[derive(Default)]
struct Inherited {
    http: Vec<trigger_http::Inherited>,
    operators: Option<OwnedFd>,
}

/// What keeps the data plane's knowledge of identity up to date, for as long as requests are
/// served; ended when the host is dropped.
type Following = Arc<Mutex<JoinSet<Infallible>>>;

/// Cuts a drain short.
pub struct QuickStop {
    serving: tokio::task::AbortHandle,
    background: Arc<Background>,
}

impl QuickStop {
    pub fn now(&self) {
        self.background.cut_short();
        self.serving.abort();
    }
}

/// How far the start has come.
#[derive(Debug, Clone)]
enum Boot {
    Working,
    /// PostgreSQL is away; the start goes on when it is there.
    Waiting,
    Ready,
    Failed(Arc<str>),
}

/// Everything that runs; ended when dropped.
struct Tasks {
    serving: JoinHandle<Result<()>>,
    booting: JoinHandle<()>,
    operators: JoinHandle<()>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.serving.abort();
        self.booting.abort();
        self.operators.abort();
    }
}

impl Host {
    /// Takes the home, binds both listeners and begins to load; returns as soon as it listens.
    ///
    /// Fails when the home or an address is in use, or a setting is wrong.
    pub async fn start(mut settings: Settings) -> Result<Self> {
        let inherited = Inherited::sort(std::mem::take(&mut settings.inherited));
        let follows = inherited.is_some();
        let home = match follows {
            true => Home::take_after(&settings.home, LEAVING_MAX).await?,
            false => Home::take(&settings.home)?,
        };
        let Inherited { http: inherited, operators } = inherited.unwrap_or_default();
        let token = match &settings.admin_token {
            Some(given) => Token::given(given)?,
            None => Token::kept_in(&home.file("admin-token"))?,
        };
        let worker_token = match &settings.worker_token {
            Some(given) => Token::given(given)?,
            None => Token::kept_in(&home.file("worker-token"))?,
        };
        let conditions = Conditions::default();
        conditions.set(COMPONENTS, Condition::Waiting("loading".into()));
        conditions.set(LIFECYCLE, Condition::Met("running".into()));
        let facts = Facts::new(crate::VERSION, settings.instances_max, conditions.clone());
        let listen = settings.admin_listen;
        let admin = match operators {
            Some(socket) => Admin::inherit(socket, listen, token.clone(), facts.clone())?,
            None => Admin::bind(listen, token.clone(), facts.clone()).await?,
        };
        let admin = admin.for_workers(worker_token.clone())?;
        let reserved = Reserved::for_settings(&mut settings)?;
        let public_url = reserved.public_url.clone();
        let key = development::key(&settings, &public_url, &home)?;
        let playback = development::own_variables(&mut settings, &public_url, &home)?;
        let media = playback.map(|key| MediaOrigin::new(key, settings.media_memory));
        let shared = reserved.socket.is_some();
        let clock = Arc::default();
        let identities = assembly::identities(&settings, &public_url, &clock);
        let followed = identities.clone();
        let trigger = assembly::http(
            &settings,
            &public_url,
            shared,
            key.as_ref(),
            identities,
            media.clone(),
            inherited,
        )?;
        drop(reserved);
        let http = trigger.addresses();
        let database = Arc::new(OnceLock::new());
        let work = Work::default();
        let mut sources =
            operators_sources(&settings, &public_url, &trigger, &conditions, &database);
        sources.extend(work.sources());
        facts.sources(sources);
        let front = Front::new(settings.manifest.clone(), settings.shards, conditions.clone());
        let (progress, boot) = watch::channel(Boot::Working);
        let sockets = Arc::new(Listening {
            http: trigger.sockets(),
            operators: admin.socket().ok(),
            operators_address: admin.local_addr(),
        });
        let offer = sockets.offered(&home);
        let (stop_serving, stop) = Shutdown::channel();
        let serving = {
            let (front, mut boot) = (front.clone(), boot.clone());
            tokio::spawn(async move {
                if follows {
                    // Who connected to the host before is to be answered, not told to come again.
                    let settled = boot.wait_for(|boot| !matches!(boot, Boot::Working)).await;
                    drop(settled);
                }
                trigger.serve(front, stop).await
            })
        };
        let (stop_admin, stop) = Shutdown::channel();
        let admin_address = admin.local_addr();
        let operators = tokio::spawn(admin.serve(stop));
        let background = Arc::new(Background::new());
        let workers: Arc<Mutex<Option<Supervisor>>> = Arc::default();
        let following = Following::default();
        let start = Start {
            conditions: conditions.clone(),
            facts,
            front: front.clone(),
            database: database.clone(),
            cluster: Arc::default(),
            progress,
            background: background.clone(),
            work,
            workers: workers.clone(),
            clock,
            identities: followed,
            media,
            following: following.clone(),
            admin: admin_address,
            worker_token: worker_token.clone(),
            front_door: http[..settings.listen.len().min(http.len())].first().copied(),
            public_url: public_url.clone(),
        };
        let cluster = start.cluster.clone();
        let tls_from = settings.listen.len();
        let booting = tokio::spawn(start.run(settings, home.folder().to_owned()));
        let tasks = Tasks { serving, booting, operators };
        Ok(Self {
            home,
            http,
            tls_from,
            admin: admin_address,
            token,
            worker_token,
            public_url: assembly::origin(&public_url),
            conditions,
            front,
            key,
            database,
            cluster,
            boot,
            stop_serving,
            stop_admin,
            background,
            workers,
            following,
            offer,
            _sockets: sockets,
            tasks,
        })
    }

    /// Waits until calls are let through.
    ///
    /// Fails when the start has failed for good, or the HTTP trigger has.
    pub async fn ready(&mut self) -> Result<()> {
        let mut boot = self.boot.clone();
        let done = boot.wait_for(|boot| matches!(boot, Boot::Ready | Boot::Failed(_)));
        tokio::select! {
            state = done => match state.map(|state| state.clone()) {
                Ok(Boot::Failed(reason)) => Err(anyhow::anyhow!("{reason}")),
                Ok(_) => Ok(()),
                Err(_) => Err(anyhow::anyhow!("the start ended before it was done")),
            },
            served = &mut self.tasks.serving => Err(ended(served)),
        }
    }

    /// Returns when the start is done or waits for PostgreSQL; true when it waits.
    pub async fn is_waiting(&self) -> bool {
        let mut boot = self.boot.clone();
        let settled = boot.wait_for(|boot| !matches!(boot, Boot::Working)).await;
        settled.is_ok_and(|boot| matches!(*boot, Boot::Waiting))
    }

    /// Returns when the host can serve no longer, with the reason.
    pub async fn failed(&mut self) -> anyhow::Error {
        ended((&mut self.tasks.serving).await)
    }

    /// Resolves when another process has taken this host's sockets, with its number: then
    /// [`Host::hand_over`] is due.
    pub fn taken_over(&self) -> impl Future<Output = u32> + Send + use<> {
        let taken = self.offer.as_ref().map(Offer::taken);
        async move {
            match taken {
                Some(taken) => taken.await,
                None => std::future::pending().await,
            }
        }
    }

    /// As [`Host::shut_down`], for a host that follows: a private PostgreSQL runs on.
    pub async fn hand_over(self) -> Result<()> {
        let cluster = self.cluster.clone();
        self.shut_down_with(async move {
            let cluster = cluster.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(cluster) = cluster {
                cluster.leave().await;
            }
        })
        .await
    }

    /// Cleartext addresses in use, in the order of the settings.
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.http[..self.tls_from.min(self.http.len())]
    }

    /// TLS addresses in use.
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.http[self.tls_from.min(self.http.len())..]
    }

    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    pub fn admin_token(&self) -> &str {
        self.token.reveal()
    }

    /// What workers show.
    pub fn worker_token(&self) -> &str {
        self.worker_token.reveal()
    }

    /// The issuer that tokens must name.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The key whose tokens are accepted, if the host made one.
    pub fn development_key(&self) -> Option<&DevKey> {
        self.key.as_ref()
    }

    /// The state folder.
    pub fn home(&self) -> &std::path::Path {
        self.home.folder()
    }

    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// The runtime, once the start is done.
    pub fn runtime(&self) -> Option<&Runtime> {
        self.front.runtime()
    }

    /// The database, once it is there.
    pub fn database(&self) -> Option<&Database> {
        self.database.get()
    }

    /// The process of the private PostgreSQL; it changes when the server is restarted.
    pub fn postgres_process(&self) -> Option<i32> {
        let cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        cluster.as_ref().map(Cluster::process_id)
    }

    /// Lets deliveries and local workers end, then requests, each within its own limit, then stops
    /// PostgreSQL and the operators' surface. Returns what the HTTP trigger ended with. Requests
    /// are taken for as long as deliveries run: those call other services and use connections that
    /// the shards drive. `/ready` says from the first moment on that this host is going.
    pub async fn shut_down(self) -> Result<()> {
        self.shut_down_with(std::future::ready(())).await
    }

    async fn shut_down_with(mut self, last: impl Future<Output = ()>) -> Result<()> {
        self.conditions.set(LIFECYCLE, Condition::Waiting("shutting down".into()));
        self.tasks.booting.abort();
        self.background.stop();
        self.stop_workers().await;
        self.background.stopped().await;
        self.stop_serving.shut_down();
        let served = (&mut self.tasks.serving).await;
        if let Some(runtime) = self.front.runtime() {
            runtime.close();
        }
        last.await;
        self.finish().await;
        match served {
            Err(error) if error.is_cancelled() => Ok(()),
            served => served.context("the HTTP trigger panicked")?.context("serve HTTP"),
        }
    }

    /// Cuts running requests off, then stops the rest in order.
    pub async fn stop_now(mut self) {
        self.quick_stop().now();
        let _cut = (&mut self.tasks.serving).await;
        self.finish().await;
    }

    /// A handle that cuts running requests off while [`Host::shut_down`] waits for them.
    pub fn quick_stop(&self) -> QuickStop {
        QuickStop {
            serving: self.tasks.serving.abort_handle(),
            background: self.background.clone(),
        }
    }

    async fn stop_workers(&self) {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(workers) = workers {
            workers.stop().await;
        }
    }

    async fn finish(&mut self) {
        self.tasks.booting.abort();
        // The start may hold the cluster in its hands at this very moment.
        let _ended = (&mut self.tasks.booting).await;
        self.stop_workers().await;
        self.following.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        let cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(cluster) = cluster {
            cluster.stop().await;
        }
        self.stop_admin.shut_down();
        let _ended = (&mut self.tasks.operators).await;
    }
}

impl Inherited {
    /// None where there is nothing.
    fn sort(handed: Vec<Handed>) -> Option<Self> {
        if handed.is_empty() {
            return None;
        }
        let mut sorted = Self::default();
        for Handed { what, address, socket } in handed {
            match what {
                What::Operators => sorted.operators = Some(socket),
                What::Http | What::Tls => {
                    let tls = what == What::Tls;
                    sorted.http.push(trigger_http::Inherited { address, tls, socket });
                }
            }
        }
        Some(sorted)
    }
}

impl Listening {
    /// Ready for the next host of this home. Without that the host works as well.
    fn offered(self: &Arc<Self>, home: &Home) -> Option<Offer> {
        let sockets = Arc::downgrade(self);
        let copies = move || sockets.upgrade().map_or_else(|| Ok(Vec::new()), |one| one.copies());
        let offer = Offer::open(home.folder(), Arc::new(copies));
        let why = |error: &anyhow::Error| {
            tracing::warn!(error = format!("{error:#}"), "no host can follow without a gap");
        };
        offer.inspect_err(why).ok()
    }

    fn copies(&self) -> std::io::Result<Vec<Handed>> {
        let http = self.http.copies()?.into_iter().map(|one| {
            let what = if one.tls { What::Tls } else { What::Http };
            Handed { what, address: one.address, socket: one.socket }
        });
        let mut all: Vec<_> = http.collect();
        if let Some(socket) = &self.operators {
            let (what, address) = (What::Operators, self.operators_address);
            all.push(Handed { what, address, socket: socket.try_clone()? });
        }
        Ok(all)
    }
}

fn ended(served: Result<Result<()>, tokio::task::JoinError>) -> anyhow::Error {
    match served {
        Ok(Ok(())) => anyhow::anyhow!("the HTTP trigger has stopped"),
        Ok(Err(error)) => error.context("serve HTTP"),
        Err(error) => anyhow::Error::new(error).context("serve HTTP"),
    }
}

/// The public URL and, where it names a port that the kernel picks, a socket that holds that port
/// until the trigger is bound to it.
struct Reserved {
    public_url: Uri,
    socket: Option<Socket>,
}

impl Reserved {
    /// Replaces port 0 of the first address when the public URL is to be that address.
    fn for_settings(settings: &mut Settings) -> Result<Self> {
        if let Some(public_url) = settings.public_url.clone() {
            return Ok(Self { public_url, socket: None });
        }
        let first = settings.listen.first_mut().context("there is no address to listen on")?;
        let socket = (first.port() == 0).then(|| reserve(first)).transpose()?;
        let public_url = format!("http://{first}").parse().context("name the host by its port")?;
        Ok(Self { public_url, socket })
    }
}

/// Binds without listening: nobody else gets the port, and no connection comes here.
fn reserve(address: &mut SocketAddr) -> Result<Socket> {
    let place = || "reserve a port".to_owned();
    let domain = Domain::for_address(*address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).with_context(place)?;
    socket.set_reuse_address(true).with_context(place)?;
    socket.set_reuse_port(true).with_context(place)?;
    socket.bind(&(*address).into()).with_context(place)?;
    let bound = socket.local_addr().with_context(place)?;
    *address = bound.as_socket().context("the port has a number")?;
    Ok(socket)
}

fn operators_sources(
    settings: &Settings,
    public_url: &Uri,
    trigger: &HttpTrigger,
    conditions: &Conditions,
    database: &Arc<OnceLock<Database>>,
) -> Vec<Box<dyn Source>> {
    let server = match &settings.database {
        Choice::Private => "private cluster".into(),
        Choice::Url(_) => "DATABASE_URL".into(),
        Choice::Open(database) => format!("database {}", database.name()),
        Choice::None => "none".to_owned(),
    };
    vec![
        Box::new(sources::Http {
            metrics: trigger.metrics(),
            listens_on: trigger.addresses().iter().map(ToString::to_string).collect(),
            public_url: assembly::origin(public_url),
        }),
        Box::new(sources::Postgres {
            database: database.clone(),
            conditions: conditions.clone(),
            server,
        }),
    ]
}

/// The part of the start that takes time.
struct Start {
    conditions: Conditions,
    facts: Facts,
    front: Front,
    database: Arc<OnceLock<Database>>,
    cluster: Arc<Mutex<Option<Cluster>>>,
    progress: watch::Sender<Boot>,
    background: Arc<Background>,
    work: Work,
    workers: Arc<Mutex<Option<Supervisor>>>,
    clock: Arc<OnceLock<Arc<ClockOffset>>>,
    identities: Option<Identities>,
    media: Option<MediaOrigin>,
    following: Following,
    admin: SocketAddr,
    worker_token: Token,
    front_door: Option<SocketAddr>,
    public_url: Uri,
}

impl Start {
    /// Runs to the end of the host: after the start it watches PostgreSQL.
    async fn run(self, settings: Settings, home: std::path::PathBuf) {
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

    async fn boot(
        &self,
        mut settings: Settings,
        home: &std::path::Path,
    ) -> Result<Option<Database>> {
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
    fn start_workers(
        &self,
        settings: &Settings,
        home: &std::path::Path,
        jobs: Jobs,
        objects: Arc<dyn Store>,
    ) {
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
        home: &std::path::Path,
        manifest: &Manifest,
    ) -> Result<Option<Database>> {
        if matches!(settings.database, Choice::None) {
            return Ok(None);
        }
        self.conditions.set(postgres::CONDITION, Condition::Waiting("connecting".into()));
        let wanted = Wanted {
            choice: settings.database.clone(),
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
