//! Outside programs on hostile input: no terminal, no environment, no network, a process group and
//! limits of their own, a watchdog for those that hang, and an end that leaves nothing running.
//!
//! Knows processes. Refuses to know what a program prints.

use crate::confine::Offline;
use crate::context::Why;
use crate::spent;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, nice, setrlimit,
};
use std::cell::Cell;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// Between SIGTERM and SIGKILL.
const TERM_GRACE: Duration = Duration::from_secs(10);
/// How often the watchdog looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What is kept of the end of a program's complaints.
const STDERR_BYTES_KEPT: usize = 8 << 10;
/// A longer line is cut: nothing that we read by lines has one.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Open files of a program.
const FILES_MAX: u64 = 256;

/// A program with its arguments and limits.
#[derive(Debug, Clone)]
pub struct Program {
    name: OsString,
    arguments: Vec<OsString>,
    /// CPU time of all its threads.
    pub cpu_max: Duration,
    /// Address space of each of its processes; `u64::MAX` is as much as this process may have.
    pub memory_bytes_max: u64,
    /// The largest file it may write.
    pub file_bytes_max: u64,
    /// The most it may print, unless it is read by lines.
    pub stdout_bytes_max: usize,
    /// From start to end.
    pub wall_max: Duration,
    /// Without output (read by lines: without a telling line) and without growth of `grows`.
    pub stall_max: Duration,
    /// Files whose growth shows that it works.
    pub grows: Vec<PathBuf>,
    /// How far it stands back behind other programs when the machine is busy, 0 to 19.
    pub niceness: i32,
}

/// A program that ran to its end, well or not.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// Empty when it was read by lines.
    pub stdout: Vec<u8>,
    /// The end of it.
    pub stderr: String,
    /// CPU time that it has used, to a hundredth of a second.
    pub cpu: Duration,
}

/// Why a program did not come to an end of its own.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error("{program} cannot be started: {source}")]
    NotStarted { program: String, source: io::Error },
    #[error("the attempt was to end")]
    Stopped,
    #[error("no progress for {0:?}")]
    Stalled(Duration),
    #[error("not done within {0:?}")]
    TooLong(Duration),
    #[error("more than {0} bytes of output")]
    TooMuchOutput(usize),
    #[error("more CPU time than {0:?}")]
    TooMuchCpu(Duration),
    #[error("a file of more than {0} bytes")]
    TooLargeFile(u64),
    #[error("ended by signal {0}")]
    Killed(i32),
    #[error("its output cannot be read: {0}")]
    Unreadable(io::Error),
}

impl ProgramError {
    /// Whether the same input would do the same to any machine, rather than the machine being
    /// short of something now.
    pub fn is_the_inputs_fault(&self) -> bool {
        matches!(self, Self::TooMuchOutput(_) | Self::TooMuchCpu(_) | Self::TooLargeFile(_))
            || matches!(self, Self::Killed(signal) if crashed(*signal))
    }
}

fn crashed(signal: i32) -> bool {
    [Signal::SEGV, Signal::ABORT, Signal::ILL, Signal::FPE, Signal::BUS]
        .iter()
        .any(|it| it.as_raw() == signal)
}

impl Program {
    /// `name` is looked up in PATH. The limits are those of a short look at a file.
    pub fn new(name: impl Into<OsString>) -> Self {
        Self {
            name: name.into(),
            arguments: Vec::new(),
            cpu_max: Duration::from_secs(60),
            memory_bytes_max: 2 << 30,
            file_bytes_max: 0,
            stdout_bytes_max: 1 << 20,
            wall_max: Duration::from_secs(120),
            stall_max: Duration::from_secs(120),
            grows: Vec::new(),
            niceness: 0,
        }
    }

    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Runs in `folder` and outside of any job, such as to see what this machine can do.
    ///
    /// # Errors
    ///
    /// Any [`ProgramError`] but [`ProgramError::Stopped`].
    pub async fn try_out(&self, folder: &Path) -> Result<Ended, ProgramError> {
        let (_never, stop) = watch::channel(None);
        self.run(folder, stop, None).await
    }

    /// Runs in `folder`. Lines of output go to `on_line`, which says whether a line shows
    /// progress; without it the output is kept.
    pub(crate) async fn run(
        &self,
        folder: &Path,
        mut stop: watch::Receiver<Option<Why>>,
        on_line: Option<&mut (dyn FnMut(&str) -> bool + Send)>,
    ) -> Result<Ended, ProgramError> {
        let program = self.name.to_string_lossy().into_owned();
        let started = self.command(folder).spawn();
        let child = started.map_err(|source| ProgramError::NotStarted { program, source })?;
        let mut running = Running::new(child);
        let (out, err) = (running.child.stdout.take(), running.child.stderr.take());
        let told = Cell::new(Instant::now());
        let outcome = {
            let reading = async {
                let stdout = async {
                    match on_line {
                        Some(on_line) => follow(out, &told, on_line).await.map(|()| Vec::new()),
                        None => keep(out, &told, self.stdout_bytes_max).await,
                    }
                };
                let (stdout, stderr) = tokio::join!(stdout, tail(err));
                let cpu = match running.group {
                    Some(process) => spent::at_end(process).await,
                    None => Duration::ZERO,
                };
                let status = running.child.wait().await.map_err(ProgramError::Unreadable)?;
                Ok(Ended { status, stdout: stdout?, stderr, cpu })
            };
            tokio::select! {
                ended = reading => ended,
                _ = stop.wait_for(Option::is_some) => Err(ProgramError::Stopped),
                () = sleep(self.wall_max) => Err(ProgramError::TooLong(self.wall_max)),
                () = self.stalls(&told) => Err(ProgramError::Stalled(self.stall_max)),
            }
        };
        running.end().await;
        self.judge(outcome?)
    }

    /// Returns when there was no sign of progress for too long.
    async fn stalls(&self, told: &Cell<Instant>) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sizes = 0;
        loop {
            looks.tick().await;
            let lengths = self.grows.iter().filter_map(|file| file.metadata().ok());
            let now: u64 = lengths.map(|found| found.len()).sum();
            if now != sizes {
                sizes = now;
                told.set(Instant::now());
            }
            if told.get().elapsed() >= self.stall_max {
                return;
            }
        }
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.name);
        command.args(&self.arguments).current_dir(folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs([("LC_ALL", "C.UTF-8"), ("AV_LOG_FORCE_NOCOLOR", "1")]);
        command.env("HOME", folder).env("TMPDIR", folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let cpu = self.cpu_max.as_secs().max(1);
        // The soft limit of CPU time ends it by a signal that tells why; the hard one by SIGKILL.
        // What this process may not have, it cannot give.
        let own = getrlimit(Resource::As).maximum.unwrap_or(u64::MAX);
        let memory = Some(self.memory_bytes_max.min(own)).filter(|bytes| *bytes < u64::MAX);
        let limits = [
            (Resource::Cpu, Some(cpu), Some(cpu + 2)),
            (Resource::As, memory, memory),
            (Resource::Fsize, Some(self.file_bytes_max), Some(self.file_bytes_max)),
            (Resource::Nofile, Some(FILES_MAX), Some(FILES_MAX)),
            (Resource::Core, Some(0), Some(0)),
        ];
        let (offline, niceness) = (Offline::new(), self.niceness);
        // SAFETY: only system calls, which are async-signal-safe, and no memory that the parent
        // could change.
        unsafe {
            command.pre_exec(move || {
                // The worker's thread waits for the program; when it dies, so does the program.
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
                for (resource, current, maximum) in limits {
                    setrlimit(resource, Rlimit { current, maximum })?;
                }
                nice(niceness)?;
                offline.apply()
            });
        }
        command
    }

    fn judge(&self, ended: Ended) -> Result<Ended, ProgramError> {
        let Some(signal) = ended.status.signal() else { return Ok(ended) };
        let is = |it: Signal| signal == it.as_raw();
        Err(match () {
            () if is(Signal::XCPU) => ProgramError::TooMuchCpu(self.cpu_max),
            () if is(Signal::XFSZ) => ProgramError::TooLargeFile(self.file_bytes_max),
            () => ProgramError::Killed(signal),
        })
    }
}

/// A program's process group, ended when dropped.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn new(child: Child) -> Self {
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Self { child, group }
    }

    /// Asks whatever still runs to end, then ends it.
    async fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::TERM);
            let _late = timeout(TERM_GRACE, self.child.wait()).await;
        }
        // Also what the program itself has started; a group without processes is no error.
        self.signal(Signal::KILL);
        let _status = self.child.wait().await;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _gone = kill_process_group(group, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

async fn keep(
    pipe: Option<impl AsyncRead + Unpin>,
    told: &Cell<Instant>,
    bytes_max: usize,
) -> Result<Vec<u8>, ProgramError> {
    let (mut kept, Some(mut pipe)) = (Vec::new(), pipe) else { return Ok(Vec::new()) };
    while pipe.read_buf(&mut kept).await.map_err(ProgramError::Unreadable)? > 0 {
        told.set(Instant::now());
        if kept.len() > bytes_max {
            return Err(ProgramError::TooMuchOutput(bytes_max));
        }
    }
    Ok(kept)
}

async fn follow(
    pipe: Option<impl AsyncRead + Unpin>,
    told: &Cell<Instant>,
    on_line: &mut (dyn FnMut(&str) -> bool + Send),
) -> Result<(), ProgramError> {
    let (mut read, Some(mut pipe)) = (Vec::new(), pipe) else { return Ok(()) };
    loop {
        let count = pipe.read_buf(&mut read).await.map_err(ProgramError::Unreadable)?;
        while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = read.drain(..=end).collect();
            if on_line(String::from_utf8_lossy(&line).trim_end()) {
                told.set(Instant::now());
            }
        }
        if count == 0 {
            return Ok(());
        }
        if read.len() > LINE_BYTES_MAX {
            read.clear();
        }
    }
}

async fn tail(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let (mut kept, Some(mut pipe)) = (Vec::new(), pipe) else { return String::new() };
    while matches!(pipe.read_buf(&mut kept).await, Ok(count) if count > 0) {
        if kept.len() > 2 * STDERR_BYTES_KEPT {
            kept.drain(..kept.len() - STDERR_BYTES_KEPT);
        }
    }
    let from = kept.len().saturating_sub(STDERR_BYTES_KEPT);
    String::from_utf8_lossy(&kept[from..]).trim().to_owned()
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
