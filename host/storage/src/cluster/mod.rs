//! The private cluster: a PostgreSQL of this host's own, made and kept from the machine's
//! programs when no `DATABASE_URL` names another.
//!
//! Knows folders, users and processes. Refuses to know databases beyond the first.

mod archiving;
mod binaries;
mod place;
mod process;
mod recovery;
mod setup;
mod shared;

pub use archiving::{archive, spool};
pub use recovery::{Recovered, Recovery, RecoveryError};
pub use setup::Settings;
pub use shared::SharedCluster;

use crate::database::Server;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::private_file;
use crate::roles::RoleKey;
use binaries::Binaries;
use place::Place;
use process::{Process, end_orphans, log_tail, send};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long a start may take; a server that was killed first repeats its log.
const START: Duration = Duration::from_secs(120);

/// How long a server that was left running may take to answer.
const TAKE_OVER: Duration = Duration::from_secs(10);

/// How often a starting server is asked whether it is ready.
const ASK: Duration = Duration::from_millis(10);

/// Pause before the second restart in a row; it doubles with each further one.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// A server that ran this long has recovered: the next fall is a new one.
const STEADY: Duration = Duration::from_secs(30);

/// A running private cluster, restarted when it dies. Stop it with [`Cluster::stop`]; when only
/// dropped, it is told to stop and not waited for.
pub struct Cluster {
    place: Place,
    key: RoleKey,
    watched: Arc<Watched>,
    supervisor: Option<JoinHandle<()>>,
    /// Held as long as this host may use the home.
    _lock: File,
}

struct Watched {
    pid: AtomicI32,
    stopping: AtomicBool,
    /// The server is to stay.
    leaving: AtomicBool,
    stop: Notify,
}

impl Watched {
    async fn end(&self, mut process: Process) {
        match self.leaving.load(Ordering::Acquire) {
            true => process.leave(),
            false => process.stop().await,
        }
    }
}

impl Cluster {
    /// Makes the cluster of `home` if there is none, starts it or takes over one that a killed
    /// host left running, and returns when it answers.
    ///
    /// # Errors
    ///
    /// [`Error::HomeInUse`]; [`Error::NoServer`], [`Error::TooOld`] and [`Error::OtherMajor`] for
    /// the machine's programs; [`Error::Cluster`] with the end of the server's log.
    pub async fn start(home: &Path, settings: Settings) -> Result<Self, Error> {
        let place = Place::make(home)?;
        let lock = lock(&place)?;
        let (process, key) = bring_up(&place, &settings).await?;
        let watched = Arc::new(Watched {
            pid: AtomicI32::new(process.id()),
            stopping: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            stop: Notify::new(),
        });
        let supervisor = tokio::spawn(supervise(process, place.clone(), watched.clone()));
        Ok(Self { place, key, watched, supervisor: Some(supervisor), _lock: lock })
    }

    /// How to reach it.
    pub fn server(&self) -> Server {
        server(&self.place, &self.key)
    }

    /// The process that is the server now; changes when it is restarted.
    pub fn process_id(&self) -> i32 {
        self.watched.pid.load(Ordering::Acquire)
    }

    /// Lets the server run on for the next host of this home.
    pub async fn leave(mut self) {
        self.watched.stopping.store(true, Ordering::Release);
        self.watched.leaving.store(true, Ordering::Release);
        self.watched.stop.notify_one();
        self.supervised().await;
    }

    /// Stops the server and waits until its data is safe.
    pub async fn stop(mut self) {
        self.watched.stopping.store(true, Ordering::Release);
        self.watched.stop.notify_one();
        self.supervised().await;
    }

    async fn supervised(&mut self) {
        if let Some(supervisor) = self.supervisor.take()
            && let Err(error) = supervisor.await
        {
            tracing::error!(%error, "the supervisor of the private PostgreSQL failed");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.watched.stopping.swap(true, Ordering::AcqRel)
            && let Some(pid) = Pid::from_raw(self.process_id())
        {
            send(pid, Signal::INT);
        }
    }
}

/// Whether a host has made a cluster in `home`.
pub fn is_in(home: &Path) -> bool {
    home.join("pg/data/PG_VERSION").is_file()
}

/// The server that another process keeps for `home`, if it answers: for commands that work beside
/// a running host.
///
/// # Errors
///
/// [`Error::File`], [`Error::Cluster`] when the folders cannot be looked at.
pub async fn running(home: &Path) -> Result<Option<Server>, Error> {
    if !is_in(home) {
        return Ok(None);
    }
    let place = Place::make(home)?;
    match setup::answers(&place).await {
        Ok(()) => Ok(Some(server(&place, &role_key(&place)?))),
        Err(Error::Unreachable { .. } | Error::StartingUp { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The role that may copy the files of the cluster in `home`, which must run.
///
/// # Errors
///
/// [`Error::File`], [`Error::Cluster`] when the folders cannot be looked at.
pub fn copier(home: &Path) -> Result<Endpoint, Error> {
    Ok(setup::superuser(&Place::make(home)?, "postgres"))
}

fn server(place: &Place, key: &RoleKey) -> Server {
    let owner = Endpoint::unix(&place.sockets, setup::OWNER, setup::OWNER);
    Server { owner: owner.with_options("", "nexus host"), key: key.clone() }
}

/// One host per home: its data has one server, its server one supervisor.
fn lock(place: &Place) -> Result<File, Error> {
    let path = place.lock();
    let broken = |source| Error::File { path: path.clone(), source };
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(broken)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let read = file.read_to_string(&mut holder);
        let pid = read.ok().and_then(|_| holder.trim().parse().ok());
        return Err(Error::HomeInUse { home: place.home.clone(), pid });
    }
    file.set_len(0).map_err(broken)?;
    file.write_all(std::process::id().to_string().as_bytes()).map_err(broken)?;
    Ok(file)
}

/// From whatever the home holds to a server that answers.
async fn bring_up(place: &Place, settings: &Settings) -> Result<(Process, RoleKey), Error> {
    let began = Instant::now();
    let version = fs::read_to_string(place.data.join("PG_VERSION")).ok();
    let binaries = Binaries::find(version.as_deref().map(str::trim), &place.data)?;
    if version.is_none() {
        let (place, settings) = (place.clone(), settings.clone());
        let init = move || setup::init(&place, &binaries, &settings);
        let failed = |e: tokio::task::JoinError| Error::Cluster {
            doing: "initialise",
            detail: e.to_string(),
        };
        tokio::task::spawn_blocking(init).await.map_err(failed)??;
    }
    let changed = setup::configure(place, settings)?;
    let process = match take_over(place, !changed).await {
        Some(process) => process,
        None => launch(place).await?,
    };
    if !setup::is_furnished(place) {
        setup::furnish(place).await?;
    }
    let key = role_key(place)?;
    let (pid, ms) = (process.id(), began.elapsed().as_millis());
    tracing::info!(pid, ms, folder = %place.state.display(), "the private PostgreSQL is ready");
    Ok((process, key))
}

/// The server an earlier host left, if it answers and is configured as this host wants it.
async fn take_over(place: &Place, as_wanted: bool) -> Option<Process> {
    let mut process = Process::left_running(place)?;
    if as_wanted {
        match ready(place, &mut process, TAKE_OVER).await {
            Ok(()) => return Some(process),
            Err(error) => tracing::warn!(%error, "the PostgreSQL of an earlier host is no use"),
        }
    }
    process.stop().await;
    None
}

/// Starts a server on data that has none.
async fn launch(place: &Place) -> Result<Process, Error> {
    end_orphans(place);
    let version = fs::read_to_string(place.data.join("PG_VERSION"))
        .map_err(|source| Error::File { path: place.data.clone(), source })?;
    let binaries = Binaries::find(Some(version.trim()), &place.data)?;
    let mut process = Process::start(place, &binaries)?;
    let started = match ready(place, &mut process, START).await {
        Ok(()) if archiving::seconds(place).is_some() => setup::wake(place).await,
        started => started,
    };
    match started {
        Ok(()) => Ok(process),
        Err(error) => {
            process.stop().await;
            Err(error)
        }
    }
}

async fn ready(place: &Place, process: &mut Process, limit: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + limit;
    loop {
        let error = match setup::answers(place).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let waiting = matches!(error, Error::Unreachable { .. } | Error::StartingUp { .. });
        if process.has_ended() || !waiting || Instant::now() > deadline {
            let detail = format!("{error}; its log ends with:\n{}", log_tail(place));
            return Err(Error::Cluster { doing: "start", detail });
        }
        tokio::time::sleep(ASK).await;
    }
}

/// The secret behind the services' passwords. Should it be lost, a new one is made, and each role
/// gets its new password at its next login.
fn role_key(place: &Place) -> Result<RoleKey, Error> {
    let path = place.secret();
    let broken = |source| Error::File { path: path.clone(), source };
    let secret: [u8; 32] = rand::random();
    private_file::make_once(&path, &secret).map_err(broken)?;
    Ok(RoleKey::from_secret(&fs::read(&path).map_err(broken)?))
}

/// Restarts the server whenever it dies, until told to stop it.
async fn supervise(mut process: Process, place: Place, watched: Arc<Watched>) {
    let (mut began, mut pause) = (Instant::now(), Duration::ZERO);
    loop {
        tokio::select! {
            () = watched.stop.notified() => return watched.end(process).await,
            () = process.ended() => {}
        }
        if watched.stopping.load(Ordering::Acquire) {
            return;
        }
        if began.elapsed() > STEADY {
            pause = Duration::ZERO;
        }
        tracing::warn!(pid = process.id(), "the private PostgreSQL has died: restarting it");
        process = loop {
            tokio::select! {
                () = watched.stop.notified() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).clamp(BACKOFF, BACKOFF_MAX);
            began = Instant::now();
            match launch(&place).await {
                Ok(process) => break process,
                Err(error) => tracing::error!(%error, "the private PostgreSQL does not start"),
            }
        };
        watched.pid.store(process.id(), Ordering::Release);
        if watched.stopping.load(Ordering::Acquire) {
            return watched.end(process).await;
        }
        let ms = began.elapsed().as_millis();
        tracing::info!(pid = process.id(), ms, "the private PostgreSQL is back");
    }
}
