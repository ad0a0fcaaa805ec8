//! `nexus up`: starts the host, says where it is, and stops it when told to.

use super::Failure;
use crate::assembly;
use crate::config::UpOptions;
use crate::host::Host;
use crate::settings::Settings;
use crate::setup;
use crate::takeover::Predecessor;
use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Open files the host asks for: connections of clients, of PostgreSQL and of the object store.
const OPEN_FILES_WANTED: u64 = 65_536;

/// Threads beside the HTTP shards: the database, the operators' surface, supervision.
const THREADS: usize = 2;

pub(super) fn run(options: UpOptions) -> Result<(), Failure> {
    let began = Instant::now();
    let observability = options.home.observability().map_err(Failure::Setting)?;
    let _logging = nexus_observability::init(&observability)
        .map_err(|error| Failure::Setting(error.into()))?;
    nexus_observability::report_panics();
    raise_open_files();
    let takeover = options.takeover;
    let settings = options.settings().map_err(Failure::Setting)?;
    let runtime = threads()?;
    let served = runtime.block_on(serve(settings, takeover, began));
    // A blocking task may hang in a system call; the process ends anyway.
    runtime.shutdown_background();
    Ok(served?)
}

/// The host's threads.
pub(super) fn threads() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("nexus-host")
        .enable_all()
        .build()
        .context("start the host's threads")
}

async fn serve(mut settings: Settings, takeover: bool, began: Instant) -> Result<()> {
    let mut stop = Signals::listen()?;
    if takeover {
        tokio::select! {
            followed = follow(&mut settings) => followed?,
            () = stop.asked() => return Ok(()),
        }
    }
    let mut host = tokio::select! {
        started = Host::start(settings) => started?,
        () = stop.asked() => return Ok(()),
    };
    tokio::select! {
        ready = tell_when_ready(&mut host, began) => match ready {
            Ok(()) => {}
            Err(error) => {
                host.stop_now().await;
                return Err(error);
            }
        },
        () = stop.asked() => return stop_host(host, stop).await,
    }
    let followed = host.taken_over();
    tokio::select! {
        error = host.failed() => {
            host.stop_now().await;
            Err(error)
        }
        process = followed => {
            tracing::info!(process, "another host follows: running requests may finish");
            host.hand_over().await
        }
        () = stop.asked() => stop_host(host, stop).await,
    }
}

/// Gets the sockets of the host that has this home, once everything is compiled that would hold up
/// the start.
async fn follow(settings: &mut Settings) -> Result<()> {
    let home = settings.home.clone();
    let asked = tokio::task::spawn_blocking(move || Predecessor::of(&home)).await;
    let Some(predecessor) = asked.context("ask the host before")?? else {
        tracing::info!("no host runs here: nobody is followed");
        return Ok(());
    };
    let (process, version) = (predecessor.process(), predecessor.version().to_owned());
    tracing::info!(process, version, "following another host");
    let engine = assembly::engine(settings);
    let sources = settings.manifest.components.iter().map(|component| component.source.clone());
    let sources: Vec<_> = sources.chain(deployed(&settings.home)).collect();
    let compiled = tokio::task::spawn_blocking(move || nexus_runtime::compile(&engine, &sources));
    let compiled = compiled.await.context("compile")?.context("prepare to follow")?;
    tracing::info!(compiled, "the host before may go");
    settings.inherited = predecessor.go()?;
    Ok(())
}

/// Components that were deployed here.
fn deployed(home: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.join("artifacts")).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "wasm")).collect()
}

pub(super) async fn tell_when_ready(host: &mut Host, began: Instant) -> Result<()> {
    if host.is_waiting().await {
        tracing::warn!("listening, and answering 503 until PostgreSQL is there");
    }
    host.ready().await?;
    let http: Vec<_> = host.http_addresses().iter().map(|a| format!("http://{a}")).collect();
    let https: Vec<_> = host.tls_addresses().iter().map(|a| format!("https://{a}")).collect();
    let admin = format!("http://{}", host.admin_address());
    let urls = [http, https].concat().join(" ");
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(urls, admin, public = host.public_url(), ms, "ready");
    if let Some(file) = setup::offer(host).await? {
        let link = file.display();
        tracing::info!(%link, "nobody administers this installation yet: open the link");
    }
    Ok(())
}

/// Drains; a second signal cuts it short.
pub(super) async fn stop_host(host: Host, mut stop: Signals) -> Result<()> {
    tracing::info!("stopping: running requests may finish (a second signal cuts them off)");
    let quickly = host.quick_stop();
    let stopping = host.shut_down();
    tokio::pin!(stopping);
    let outcome = tokio::select! {
        outcome = &mut stopping => outcome,
        () = stop.asked() => {
            tracing::warn!("stopping at once");
            quickly.now();
            stopping.await
        }
    };
    tracing::info!("stopped");
    outcome
}

/// SIGINT and SIGTERM.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("listen to SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("listen to SIGTERM")?,
        })
    }

    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Raises the soft limit as far as the hard one allows.
pub(super) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(OPEN_FILES_WANTED);
    let wanted = OPEN_FILES_WANTED.min(hard);
    if limit.current.is_none_or(|soft| soft >= wanted) {
        return;
    }
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::debug!(open_files = wanted, "the limit of open files was raised"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays low"),
    }
}
