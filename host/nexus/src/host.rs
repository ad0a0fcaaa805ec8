//! A running host: what starts in which order, and how it stops. Has no process-global state, so
//! that a test can run several.
//!
//! Start: home, operators' surface, HTTP port (503 until further notice), PostgreSQL with its
//! migrations beside the components, then the port opens. Stop: the same backwards.

use crate::assembly;
use crate::background::Background;
use crate::boot::{Boot, COMPONENTS, Following, Start};
use crate::dev_tokens::DevKey;
use crate::development;
use crate::front::Front;
use crate::home::Home;
use crate::settings::{Database as Choice, Settings};
use crate::sockets::{Inherited, Listening, Reserved};
use crate::sources::{self, Work};
use crate::takeover::Offer;
use crate::workers::Supervisor;
use anyhow::{Context as _, Result};
use http::Uri;
use nexus_admin::{Admin, Condition, Conditions, Facts, Source, Token};
use nexus_runtime::{Runtime, Shutdown, ShutdownSender};
use nexus_storage::Database;
use nexus_storage::cluster::Cluster;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use trigger_http::{HttpTrigger, MediaOrigin};

/// Whether this host takes calls at all; a condition besides those of the start.
const LIFECYCLE: &str = "lifecycle";

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

fn ended(served: Result<Result<()>, tokio::task::JoinError>) -> anyhow::Error {
    match served {
        Ok(Ok(())) => anyhow::anyhow!("the HTTP trigger has stopped"),
        Ok(Err(error)) => error.context("serve HTTP"),
        Err(error) => anyhow::Error::new(error).context("serve HTTP"),
    }
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
        Box::new(sources::Backups { home: settings.home.clone() }),
    ]
}
