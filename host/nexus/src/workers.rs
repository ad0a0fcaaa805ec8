//! Local workers: the host starts `nx-media` when there is a kind of job that it does, starts it
//! again when it ends, and stops it before the database. Also sweeps jobs that nobody works on.
//!
//! Knows processes. Refuses to know what a worker does: it comes for jobs over HTTP like any other.

use anyhow::{Context as _, Result};
use nexus_admin::Token;
use nexus_runtime::{Shutdown, ShutdownSender};
use nexus_storage::jobs::Jobs;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, kill_process, kill_process_group, nice, setrlimit,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

/// How often jobs are looked at that lost their worker, and whether there is work for one at all.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const SWEPT_MAX: u32 = 200;
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// One that ran so long starts again at once when it ends.
const HEALTHY: Duration = Duration::from_secs(60);
/// What a worker is told to allow running jobs when it has to stop.
const DRAIN_SECONDS: u32 = 5;
/// Then it gives them back, ends its programs and itself; past this it is killed.
const STOP_MAX: Duration = Duration::from_secs(35);
/// Requests come first.
const NICE: i32 = 10;
/// Address space of a worker itself; its programs get less, each its own.
const MEMORY_BYTES_MAX: u64 = 8 << 30;
/// What is logged of a line, and how many lines a second: a worker that rages does not fill a disk.
const LINE_BYTES_MAX: usize = 2_000;
const LINES_PER_SECOND: u32 = 50;

/// Variables that say where mail goes: all that a worker gets of the host's environment.
const MAIL_VARIABLES: [&str; 6] = [
    "NEXUS_DKIM_DOMAIN",
    "NEXUS_DKIM_KEY_FILE",
    "NEXUS_DKIM_SELECTOR",
    "NEXUS_MAIL",
    "NEXUS_SMTP_AUTHORITY_FILE",
    "NEXUS_SMTP_URL",
];

/// What local workers are made from.
pub(crate) struct Local {
    pub(crate) jobs: Jobs,
    pub(crate) program: Option<PathBuf>,
    /// Processes at once.
    pub(crate) count: u32,
    /// Where operators and workers reach this host.
    pub(crate) admin: SocketAddr,
    pub(crate) token: Token,
    /// For the files of running jobs.
    pub(crate) scratch: PathBuf,
    /// Where mail goes; see [`mail`].
    pub(crate) mail: Vec<(String, String)>,
}

/// Where mail goes, as the environment says; without a word there, into a folder of the home, where
/// a developer finds it.
pub(crate) fn mail(environment: &[(String, String)], home: &Path) -> Vec<(String, String)> {
    let given = |(name, _): &&(String, String)| MAIL_VARIABLES.contains(&name.as_str());
    let mut chosen: Vec<_> = environment.iter().filter(given).cloned().collect();
    let is_said =
        |name: &str| chosen.iter().any(|(known, value)| known == name && !value.is_empty());
    if !is_said("NEXUS_MAIL") && !is_said("NEXUS_SMTP_URL") {
        chosen.push(("NEXUS_MAIL".into(), format!("maildir:{}", home.join("mail").display())));
    }
    chosen
}

/// Running local workers. Killed when only dropped.
pub(crate) struct Supervisor {
    stop: ShutdownSender,
    task: JoinHandle<()>,
}

impl Supervisor {
    pub(crate) fn start(local: Local) -> Self {
        let (stop, shutdown) = Shutdown::channel();
        Self { stop, task: tokio::spawn(local.run(shutdown)) }
    }

    /// Asks every worker to stop and returns when none is left.
    pub(crate) async fn stop(self) {
        self.stop.shut_down();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the supervision of workers has failed");
        }
    }
}

impl Local {
    async fn run(self, shutdown: Shutdown) {
        let mut kinds = match &self.program {
            Some(program) if self.count > 0 => known_kinds(program).await,
            _ => Vec::new(),
        };
        let mut running = JoinSet::new();
        let mut stop = shutdown.clone();
        loop {
            if let Err(error) = self.jobs.sweep(SWEPT_MAX).await {
                tracing::debug!(%error, "jobs are not swept");
            }
            if let Some(program) = &self.program
                && self.is_wanted(&kinds).await
            {
                // Once there was work there will be more: they stay.
                kinds.clear();
                for _ in 0..self.count {
                    let command = self.command(program);
                    running.spawn(keep_running(command, shutdown.clone()));
                }
            }
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                () = stop.requested() => break,
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn is_wanted(&self, kinds: &[String]) -> bool {
        if kinds.is_empty() {
            return false;
        }
        let there = self.jobs.kinds().await.unwrap_or_default();
        there.iter().any(|kind| kinds.contains(kind))
    }

    fn command(&self, program: &Path) -> Spawn {
        Spawn {
            program: program.to_owned(),
            host: format!("http://{}", from_here(self.admin)),
            token: self.token.reveal().to_owned(),
            scratch: self.scratch.clone(),
            mail: self.mail.clone(),
        }
    }
}

/// The kinds that a program says it does, one a line.
async fn known_kinds(program: &Path) -> Vec<String> {
    let asked = Command::new(program).arg("kinds").stdin(Stdio::null()).kill_on_drop(true).output();
    let answer = match timeout(Duration::from_secs(10), asked).await {
        Ok(Ok(answer)) if answer.status.success() => answer.stdout,
        failed => {
            let program = program.display().to_string();
            tracing::error!(program, ?failed, "does not say which jobs it does");
            return Vec::new();
        }
    };
    String::from_utf8_lossy(&answer).lines().map(str::to_owned).collect()
}

/// A listener on every address is reached at the loopback one.
fn from_here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

struct Spawn {
    program: PathBuf,
    host: String,
    token: String,
    scratch: PathBuf,
    mail: Vec<(String, String)>,
}

impl Spawn {
    /// The token goes by the environment: other users of the machine can read command lines.
    fn start(&self) -> Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(["run", "--host", &self.host, "--drain-seconds", &DRAIN_SECONDS.to_string()]);
        command.arg("--scratch").arg(&self.scratch);
        // What stands in the host's environment is the host's: a database, stores, other tokens.
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        command.env_clear().env("PATH", path).env("LC_ALL", "C.UTF-8");
        command.env("NEXUS_WORKER_TOKEN", &self.token);
        command.envs(self.mail.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: Ctrl-C is the host's to pass on.
        command.process_group(0).kill_on_drop(true);
        // SAFETY: only system calls, which are async-signal-safe, and no memory of the parent.
        unsafe {
            command.pre_exec(|| {
                // When the host is killed its workers end, too; its threads live as long as it.
                rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
                let most = Some(MEMORY_BYTES_MAX);
                setrlimit(Resource::As, Rlimit { current: most, maximum: most })?;
                nice(NICE)?;
                Ok(())
            });
        }
        command.spawn().with_context(|| format!("start {}", self.program.display()))
    }
}

/// Starts a worker, and again whenever it ends, until the host goes down.
async fn keep_running(spawn: Spawn, mut shutdown: Shutdown) {
    let mut pause = PAUSE_MIN;
    while !shutdown.is_requested() {
        let began = Instant::now();
        match spawn.start() {
            Ok(child) => {
                tracing::info!(process = child.id(), "a worker was started");
                if watch(child, &mut shutdown).await {
                    return;
                }
            }
            Err(error) => tracing::error!("{error:#}"),
        }
        if began.elapsed() >= HEALTHY {
            pause = PAUSE_MIN;
        }
        let nap = pause.mul_f64(0.5 + 0.5 * rand::random::<f64>());
        pause = (pause * 2).min(PAUSE_MAX);
        tokio::select! {
            () = sleep(nap) => {}
            () = shutdown.requested() => {}
        }
    }
}

/// Waits until a worker has ended; true when it was told to.
async fn watch(mut child: Child, shutdown: &mut Shutdown) -> bool {
    let process = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let lines = (child.stdout.take(), child.stderr.take());
    let logging = tokio::spawn(async move { tokio::join!(log(lines.0), log(lines.1)) });
    let asked = tokio::select! {
        ended = child.wait() => {
            tracing::warn!(status = ?ended.ok(), "a worker has ended");
            false
        }
        () = shutdown.requested() => true,
    };
    if asked {
        if let Some(process) = process {
            let _gone = kill_process(process, Signal::TERM);
        }
        if timeout(STOP_MAX, child.wait()).await.is_err() {
            tracing::warn!("a worker did not stop: it is killed");
            // Not waited for yet, so the number is still its own.
            if let Some(group) = process {
                let _gone = kill_process_group(group, Signal::KILL);
            }
            let _status = child.wait().await;
        }
    }
    // What a program of it that lives on has open says nothing that is worth waiting for.
    logging.abort();
    asked
}

/// Copies lines into the log, within bounds.
async fn log(pipe: Option<impl AsyncRead + Unpin>) {
    let Some(mut pipe) = pipe else { return };
    let (mut read, mut second, mut lines) = (Vec::new(), Instant::now(), 0_u32);
    while matches!(pipe.read_buf(&mut read).await, Ok(count) if count > 0) {
        while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = read.drain(..=end).collect();
            if second.elapsed() >= Duration::from_secs(1) {
                (second, lines) = (Instant::now(), 0);
            }
            lines = lines.saturating_add(1);
            if lines <= LINES_PER_SECOND {
                let line = &line[..line.len().min(LINE_BYTES_MAX)];
                tracing::info!(target: "worker", "{}", String::from_utf8_lossy(line).trim_end());
            }
        }
        if read.len() > LINE_BYTES_MAX {
            read.clear();
        }
    }
}

#[cfg(test)]
#[path = "workers_tests.rs"]
mod tests;
