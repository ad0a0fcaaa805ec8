//! `nexus dev`: a host beside the sources. A change is built (only what changed), and what builds
//! is swapped in while requests go on; what does not build leaves everything as it is, with the
//! compiler's words. Knows the order of things; refuses to know how each is done.

mod build;
mod changes;
mod project;
mod swap;

use super::Failure;
use super::up::{self, Signals};
use super::watch;
use crate::config::{DevOptions, HostOptions, TailOptions, Topic, UpOptions};
use crate::home::HomeError;
use crate::host::Host;
use crate::settings::Settings;
use anyhow::{Context as _, Result};
use build::Built;
use changes::Changes;
use project::{Project, Source};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

pub(super) fn run(options: DevOptions) -> Result<(), Failure> {
    let shown = options.folder.display().to_string();
    let folder = options.folder.canonicalize();
    let folder = folder.with_context(|| format!("find {shown}")).map_err(Failure::Setting)?;
    std::env::set_current_dir(&folder).with_context(|| format!("go to {shown}"))?;
    let project = Project::open(&folder).map_err(Failure::Setting)?;
    let observability = options.up.home.observability().map_err(Failure::Setting)?;
    let _logging = nexus_observability::init(&observability)
        .map_err(|error| Failure::Setting(error.into()))?;
    nexus_observability::report_panics();
    up::raise_open_files();
    let threads = up::threads()?;
    let done = threads.block_on(develop(options, project));
    // A blocking task may hang in a system call; the process ends anyway.
    threads.shutdown_background();
    done
}

/// The host that builds go to.
enum Served {
    /// In this process.
    Here(Box<Host>),
    /// Another process has the home: `nexus up`, started before.
    Elsewhere,
}

async fn develop(options: DevOptions, project: Project) -> Result<(), Failure> {
    let mut stop = Signals::listen()?;
    let mut changes = Changes::watch(&project.watched()?)?;
    let target = options.target_dir;
    let first = tokio::select! {
        first = first_build(&project, target.as_deref(), &mut changes) => first?,
        () = stop.asked() => return Ok(()),
    };
    let reach = reach(&options.up);
    let started = tokio::select! {
        started = start(*options.up, first.as_ref()) => started?,
        () = stop.asked() => return Ok(()),
    };
    let (mut served, reach) = match started {
        Some(host) => {
            let reach = HostOptions {
                admin: host.admin_address().to_string(),
                admin_token: Some(host.admin_token().to_owned()),
                ..reach
            };
            (Served::Here(Box::new(host)), reach)
        }
        None => (Served::Elsewhere, reach),
    };
    let mut bench = Bench { project, target, reach, changes };
    if let Served::Elsewhere = served {
        bench.listen();
        // What a running host serves may be older than the sources.
        if let Some(built) = first {
            bench.bring(built, Instant::now()).await;
        }
    }
    let outcome = tokio::select! {
        never = bench.work() => match never {},
        error = failed(&mut served) => Err(error),
        () = stop.asked() => Ok(()),
    };
    match (served, outcome) {
        (Served::Here(host), Ok(())) => Ok(up::stop_host(*host, stop).await?),
        (Served::Here(host), Err(error)) => {
            host.stop_now().await;
            Err(error.into())
        }
        (Served::Elsewhere, outcome) => Ok(outcome?),
    }
}

/// How the host is asked that has the home.
fn reach(up: &UpOptions) -> HostOptions {
    HostOptions {
        admin: up.admin.admin_listen.to_string(),
        admin_token: up.admin.admin_token.clone(),
        home: up.home.home.clone(),
        json: false,
        by: "nexus dev".into(),
    }
}

async fn failed(served: &mut Served) -> anyhow::Error {
    match served {
        Served::Here(host) => host.failed().await,
        Served::Elsewhere => std::future::pending().await,
    }
}

/// A component of its own is built before a host is started; one that does not build is built
/// again at the next change. A checkout is staged by `cargo xtask build`.
async fn first_build(
    project: &Project,
    target: Option<&std::path::Path>,
    changes: &mut Changes,
) -> Result<Option<Built>> {
    let [source] = project.sources.as_slice() else { return Ok(None) };
    if project.is_checkout {
        return Ok(None);
    }
    loop {
        tracing::info!(component = source.component, "building");
        if let Some(built) = build::build(source, target).await? {
            return Ok(Some(built));
        }
        tracing::warn!(component = source.component, "it does not build: mend it and save");
        while project.whose(&changes.next().await).0.is_empty() {}
    }
}

/// Starts a host here, unless another process has the home.
async fn start(mut up: UpOptions, first: Option<&Built>) -> Result<Option<Host>, Failure> {
    let began = Instant::now();
    // What an earlier day has swapped in is older than the sources.
    up.from_manifest = true;
    let mut settings = up.settings().map_err(Failure::Setting)?;
    if let Some(built) = first {
        serve_build(&mut settings, built)?;
    }
    let mut host = match Host::start(settings).await {
        Ok(host) => host,
        Err(error) if is_taken(&error) => {
            tracing::info!("a host has this home already: changes go to that one");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    if let Err(error) = up::tell_when_ready(&mut host, began).await {
        host.stop_now().await;
        return Err(error.into());
    }
    Ok(Some(host))
}

/// The bytes that were built stand where the manifest expects others. A copy: the next build writes
/// over its file, and the revision that this host began with has to stay what it was.
fn serve_build(settings: &mut Settings, built: &Built) -> Result<()> {
    let folder = settings.home.join("dev");
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let copy = folder.join(format!("{}.wasm", built.component));
    std::fs::copy(&built.wasm, &copy).with_context(|| format!("write {}", copy.display()))?;
    let mut manifest = nexus_runtime::Manifest::clone(&settings.manifest);
    for component in &mut manifest.components {
        if component.id.as_str() == built.component {
            Arc::make_mut(component).source.clone_from(&copy);
        }
    }
    settings.manifest = Arc::new(manifest);
    Ok(())
}

fn is_taken(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| matches!(cause.downcast_ref(), Some(HomeError::InUse { .. })))
}

/// What a change needs to become a revision.
struct Bench {
    project: Project,
    target: Option<PathBuf>,
    reach: HostOptions,
    changes: Changes,
}

impl Bench {
    /// Builds and swaps, change after change.
    async fn work(&mut self) -> std::convert::Infallible {
        let number = self.project.sources.len();
        tracing::info!(components = number, "watching; Ctrl-C stops");
        loop {
            let batch = self.changes.next().await;
            let (sources, others) = self.project.whose(&batch);
            self.tell_of(&others);
            for source in sources {
                self.turn(&source).await;
            }
        }
    }

    /// A host in another process logs elsewhere: what it does is told here, too.
    fn listen(&self) {
        let only = match self.project.sources.as_slice() {
            [source] => Some(source.component.clone()),
            _ => None,
        };
        let topics = vec![Topic::Invocations, Topic::Logs];
        let host = self.reach.clone();
        let options = TailOptions { component: only, topics, count: None, host };
        // Ends with the process, or with the host, which is told when a change is brought to it.
        drop(tokio::task::spawn_blocking(move || watch::tail(&options)));
    }

    /// What several components share is not built here.
    fn tell_of(&self, others: &BTreeSet<PathBuf>) {
        if let Some(file) = others.first() {
            let file = file.strip_prefix(&self.project.folder).unwrap_or(file).display();
            tracing::info!(%file, "components share it: `cargo xtask build` makes them anew");
        }
    }

    async fn turn(&self, source: &Source) {
        let component = &*source.component;
        tracing::info!(component, "building");
        let began = Instant::now();
        match build::build(source, self.target.as_deref()).await {
            Ok(Some(built)) => {
                tracing::info!(component, ms = since(began), "built");
                self.bring(built, Instant::now()).await;
            }
            Ok(None) => {
                tracing::warn!(component, "it does not build: the revision before stays");
            }
            Err(error) => {
                tracing::error!(component, error = format!("{error:#}"), "no build");
            }
        }
    }

    /// Swaps a build in that was made at `at`.
    async fn bring(&self, built: Built, at: Instant) {
        let reach = self.reach.clone();
        let component = built.component.clone();
        let swapping = tokio::task::spawn_blocking(move || swap::swap(&reach, &built)).await;
        let ms = since(at);
        match swapping {
            Ok(Ok(revision)) => tracing::info!(component, revision, ms, "swapped"),
            Ok(Err(failure)) => {
                let reason = failure.words();
                tracing::warn!(component, reason, "not swapped: the revision before stays");
            }
            Err(error) => tracing::error!(component, %error, "not swapped"),
        }
    }
}

/// Milliseconds.
fn since(at: Instant) -> u64 {
    u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)
}
