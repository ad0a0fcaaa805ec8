//! The server process: started with its own process group and a bounded memory, found again after
//! the host was killed, watched, stopped. Refuses to know what the server holds.

use super::binaries::Binaries;
use super::place::Place;
use crate::error::Error;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process, pidfd_open, test_kill_process,
};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Address space of one server process beside what all share. A statement can ask for gigabytes
/// (`string_agg`, `repeat`); above this the server answers it with an error, instead of the
/// kernel with a kill.
const PROCESS_BYTES_MAX: u64 = 1 << 30;

/// Above which the log begins anew at a start.
const LOG_BYTES_MAX: u64 = 8 << 20;

/// A running server. It may be a child of this process, or have been left by an earlier host.
pub(crate) struct Process {
    pid: Pid,
    /// Readable once the process is gone.
    gone: AsyncFd<OwnedFd>,
    /// Kept to be waited for: a child nobody waits for stays a zombie.
    child: Option<Child>,
}

impl Process {
    /// Starts the server; it is not ready yet.
    pub(crate) fn start(place: &Place, binaries: &Binaries) -> Result<Self, Error> {
        let failed = |detail: String| Error::Cluster { doing: "start", detail };
        let log = open_log(&place.log())?;
        let errors = log.try_clone().map_err(|e| failed(e.to_string()))?;
        let mut command = Command::new(binaries.folder.join("postgres"));
        command.arg("-D").arg(&place.data).stdin(Stdio::null()).stdout(log).stderr(errors);
        as_user(&mut command, place);
        let memory = PROCESS_BYTES_MAX + super::setup::SHARED_BYTES;
        // A group of its own: the terminal's Ctrl-C is the host's to handle, which then stops
        // the server in order.
        command.process_group(0);
        // SAFETY: between fork and exec only this one system call is made.
        unsafe {
            command.pre_exec(move || {
                let limit = Rlimit { current: Some(memory), maximum: Some(memory) };
                rustix::process::setrlimit(Resource::As, limit).map_err(Into::into)
            });
        }
        let child = command
            .spawn()
            .map_err(|e| failed(format!("{}: {e}", binaries.folder.join("postgres").display())))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| failed("no process id".into()))?;
        Self::watching(pid, Some(child)).map_err(|e| failed(e.to_string()))
    }

    /// The server that an earlier host left running on this data, if there is one. A pidfile
    /// whose process is something else is removed: after a restart of the machine the number may
    /// belong to anything, and the server would refuse to start.
    pub(crate) fn left_running(place: &Place) -> Option<Self> {
        let pidfile = place.data.join("postmaster.pid");
        let text = fs::read_to_string(&pidfile).ok()?;
        let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw)
            && stands_in(pid, &place.data)
            && let Ok(process) = Self::watching(pid, None)
        {
            return Some(process);
        }
        remove_stale(&pidfile);
        remove_stale(&place.sockets.join(".s.PGSQL.5432.lock"));
        None
    }

    fn watching(pid: Pid, child: Option<Child>) -> std::io::Result<Self> {
        let gone = pidfd_open(pid, PidfdFlags::empty())?;
        // SAFETY: `gone` owns its descriptor, which stays open until the registration is dropped.
        let gone = unsafe { AsyncFd::register_with_interest(gone, Interest::READABLE) };
        Ok(Self { pid, gone: gone?, child })
    }

    pub(crate) fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Lets go of the server, which goes on running.
    pub(crate) fn leave(self) {
        drop(self.child);
    }

    /// Returns when the process has ended.
    pub(crate) async fn ended(&mut self) {
        // An error would mean that the descriptor cannot be watched: then it is polled.
        while self.gone.readable().await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if test_kill_process(self.pid).is_err() {
                break;
            }
        }
        if let Some(mut child) = self.child.take()
            && let Err(error) = child.wait()
        {
            tracing::warn!(%error, "the server process could not be waited for");
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        match &mut self.child {
            Some(child) => !matches!(child.try_wait(), Ok(None)),
            None => test_kill_process(self.pid).is_err(),
        }
    }

    /// Fast shutdown (sessions are cut off, data is flushed); harsher when it takes too long.
    pub(crate) async fn stop(&mut self) {
        for (signal, seconds) in [(Signal::INT, 20), (Signal::QUIT, 5), (Signal::KILL, 5)] {
            self.signal(signal);
            let ended = tokio::time::timeout(Duration::from_secs(seconds), self.ended()).await;
            if ended.is_ok() {
                return;
            }
            tracing::warn!(pid = self.id(), "the private PostgreSQL is slow to stop");
        }
    }

    /// Sends a signal; to a process that is gone, none.
    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid, signal);
    }
}

pub(crate) fn send(pid: Pid, signal: Signal) {
    if let Err(error) = kill_process(pid, signal) {
        tracing::debug!(%error, pid = pid.as_raw_nonzero(), ?signal, "a signal found nobody");
    }
}

/// Ends what a dead postmaster has left: its sessions notice when they next wait for something,
/// which a busy one may not for hours, and no new server starts before.
pub(crate) fn end_orphans(place: &Place) {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw)
            && stands_in(pid, &place.data)
        {
            tracing::warn!(pid = pid.as_raw_nonzero(), "ending a session without a server");
            send(pid, Signal::KILL);
        }
    }
}

/// Whether a process is one of the server's: all of them stand in the data folder.
fn stands_in(pid: Pid, data: &Path) -> bool {
    let proc = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
    let program = fs::read_to_string(proc.join("comm")).unwrap_or_default();
    program.trim() == "postgres" && fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd == data)
}

fn remove_stale(path: &Path) {
    match fs::remove_file(path) {
        Ok(()) => tracing::warn!(path = %path.display(), "removed what a dead server left"),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, path = %path.display(), "cannot remove"),
    }
}

/// Runs a command as the server's user, from a folder that user can stand in.
pub(crate) fn as_user(command: &mut Command, place: &Place) {
    // Not the host's environment: it holds secrets, and PGPORT and its like would be obeyed.
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
    command.current_dir(&place.state);
    if place.user.other {
        // The standard library also drops the supplementary groups then.
        command.uid(place.user.uid).gid(place.user.gid);
    }
}

fn open_log(path: &Path) -> Result<File, Error> {
    let old = fs::metadata(path).map_or(0, |m| m.len());
    let append = old < LOG_BYTES_MAX;
    File::options()
        .create(true)
        .append(append)
        .write(true)
        .truncate(!append)
        .open(path)
        .map_err(|source| Error::File { path: path.to_owned(), source })
}

/// The last lines of the log, for a message about why the server did not start.
pub(crate) fn log_tail(place: &Place) -> String {
    let tail = || -> std::io::Result<String> {
        let mut file = File::open(place.log())?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(1500)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    tail().unwrap_or_else(|e| format!("no log: {e}"))
}
