//! A server's process: what it takes of the machine, and its end. Knows Linux's `/proc`.

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A first start compiles what it serves, on a machine that does other things too.
const READY_MAX: Duration = Duration::from_secs(300);

/// Ends that take longer are no ends.
const STOP_MAX: Duration = Duration::from_secs(30);

const LOOK: Duration = Duration::from_millis(2);

/// A running server, ended when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    pub address: SocketAddr,
}

impl Process {
    /// Starts `command`, which listens on `address`; what it says goes to `log`.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start(mut command: Command, address: SocketAddr, log: PathBuf) -> Result<Self> {
        let out = File::create(&log).with_context(|| format!("write {}", log.display()))?;
        let err = out.try_clone().context("share the log between both outputs")?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command.spawn().with_context(|| format!("start {command:?}"))?;
        Ok(Self { child, log, address })
    }

    /// Waits until `path` is answered 200.
    ///
    /// # Errors
    /// When it ends before, or never does; with its last words.
    pub fn ready(mut self, path: &str) -> Result<Self> {
        let began = Instant::now();
        loop {
            if asked(self.address, path).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(self);
            }
            let ended = self.child.try_wait().context("look after a server")?;
            if ended.is_some() || began.elapsed() > READY_MAX {
                bail!("{} does not answer: {}", self.address, self.last_words());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// By which Linux knows it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Seconds on a CPU until now, of all its threads, ended ones too.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu(&self) -> Result<f64> {
        cpu_of(&PathBuf::from(format!("/proc/{}", self.child.id())))
    }

    /// MiB that are resident: of all, and of what no file stands behind.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> Result<(f64, f64)> {
        let file = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(file).context("read what a server holds")?;
        let of = |name: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
            let kib: f64 = kib.with_context(|| format!("{name} is missing"))?;
            Ok(kib / 1_024.0)
        };
        Ok((of("VmRSS:")?, of("RssAnon:")?))
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// When it does not.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("ask a server to stop")?;
        let began = Instant::now();
        while self.child.try_wait().context("wait for a server")?.is_none() {
            ensure!(began.elapsed() < STOP_MAX, "{} does not stop", self.address);
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Its last warnings and errors.
    pub fn complaints(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let loud = |line: &&str| {
            let line = line.to_ascii_lowercase();
            ["\"level\":\"warn\"", "\"level\":\"error\""].iter().any(|it| line.contains(it))
        };
        let lines: Vec<_> = text.lines().filter(loud).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After `stop` it has been waited for, and both calls do nothing.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// The 14th and 15th field of `stat`, in ticks, 100 a second (proc(5)); the name before them ends
/// with a bracket. The kernel makes their sum from nanoseconds.
fn cpu_of(process: &Path) -> Result<f64> {
    seconds(process, OWN)
}

/// Places in `/proc/<pid>/stat` after the name, of user and system time each: a process's own, and
/// that of its children which have ended (proc(5)).
const OWN: usize = 11;
const ENDED_CHILDREN: usize = 13;

fn seconds(process: &Path, place: usize) -> Result<f64> {
    let stat = fs::read_to_string(process.join("stat")).context("read a server's CPU time")?;
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(place).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>().context("the CPU time is a number")? / 100.0)
}

/// Seconds on a CPU of the processes that `parent` has started.
pub fn cpu_of_children(parent: i32) -> f64 {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = |process: &PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        rest.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    let children = entries.map(|entry| entry.path()).filter(own);
    let running: f64 = children.filter_map(|process| cpu_of(&process).ok()).sum();
    // One that has ended is in its parent's account.
    let ended = seconds(Path::new(&format!("/proc/{parent}")), ENDED_CHILDREN);
    running + ended.unwrap_or_default()
}

/// A port that is free now; a server takes it a moment later.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    listener.local_addr().context("read the free port")
}

/// The whole answer to a GET over a connection of its own.
///
/// # Errors
/// When nobody listens, or nothing comes.
pub fn asked(address: SocketAddr, path: &str) -> Result<String> {
    said(address, &format!("GET {path} HTTP/1.1\r\nhost: peers\r\nconnection: close\r\n\r\n"))
}

/// The whole answer to a JSON document posted over a connection of its own.
///
/// # Errors
/// When nobody listens, or nothing comes.
pub fn posted(address: SocketAddr, path: &str, body: &str) -> Result<String> {
    let length = body.len();
    said(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: peers\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

fn said(address: SocketAddr, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).context("connect to a server")?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).context("limit the wait")?;
    stream.write_all(request.as_bytes()).context("ask a server")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("hear a server")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn the_cpu_time_of_a_process_that_works_grows() {
    let own = PathBuf::from("/proc/self");
    let before = cpu_of(&own).expect("Linux counts");
    let began = Instant::now();
    while cpu_of(&own).expect("Linux counts") <= before {
        assert!(began.elapsed() < Duration::from_secs(60), "a busy process uses no CPU");
    }
}
