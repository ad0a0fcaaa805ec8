//! Starting and stopping the host on this machine. Knows its command line, its `/ready`, and the
//! file in its home that names its process; refuses to know what it runs.

use crate::doctor::{self, Purpose};
use crate::http::{self, Request};
use crate::manifest;
use crate::progress;
use crate::shell;
use crate::stage::{self, Wanted};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A first start makes a database cluster and compiles every component: half a minute on two cores
/// that have nothing else to do.
const READY_LIMIT: Duration = Duration::from_secs(420);
/// The host gives open requests 30 s to end; then it stops its database.
const DOWN_LIMIT: Duration = Duration::from_secs(60);
/// Every poll is a line in the host's access log.
const POLL: Duration = Duration::from_millis(50);

/// How to start.
#[derive(Debug, Clone, Default)]
pub struct Up {
    /// Return as soon as the host is ready; it goes on in the background.
    pub detach: bool,
    /// Run what `spin.toml` names even where a newer revision was deployed.
    pub from_manifest: bool,
    pub release: bool,
}

/// `cargo xtask up`: builds what changed, then starts the host.
pub fn run(ws: &Workspace, up: &Up) -> Result<()> {
    doctor::ensure(ws, Purpose::Run)?;
    if let Some(pid) = running(ws) {
        bail!("the host runs already (process {pid}); `cargo xtask down` stops it");
    }
    // First, because a fragment that is wrong should not cost a build.
    manifest::run(ws, false)?;
    stage::build(ws, &Wanted { release: up.release, ..Wanted::default() })?;
    if up.detach {
        let took = start_detached(ws, up)?;
        eprintln!("ready after {}: http://{}", progress::spoken(took), public_address()?);
        eprintln!("log: {}", log_file(ws).display());
        return Ok(());
    }
    // The host takes this process's place, so that Ctrl-C reaches it alone and drains it.
    let error = host_command(ws, up).exec();
    Err(error).with_context(|| format!("start {}", stage::program(ws).display()))
}

/// Starts the host in the background and waits until it is ready; returns how long that took.
pub fn start_detached(ws: &Workspace, up: &Up) -> Result<Duration> {
    let home = ws.home();
    fs::create_dir_all(&home).with_context(|| format!("create {}", home.display()))?;
    let log = log_file(ws);
    let out = File::create(&log).with_context(|| format!("write {}", log.display()))?;
    let err = out.try_clone().context("share the log between both outputs")?;
    let mut command = host_command(ws, up);
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    // A session of its own: neither Ctrl-C nor closing the terminal reaches it.
    // SAFETY: setsid is async-signal-safe and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| Ok(rustix::process::setsid().map(|_session| ())?));
    }
    let began = Instant::now();
    let mut child = command.spawn().context("start the host")?;
    let address = public_address()?;
    progress::stage("start the host", || wait_until_ready(address, &mut child, &log, POLL))?;
    Ok(began.elapsed())
}

/// `cargo xtask down`: asks the host to stop, and waits until it has.
pub fn down(ws: &Workspace) -> Result<()> {
    let Some(pid) = running(ws) else {
        eprintln!("no host runs on {}", ws.home().display());
        return Ok(());
    };
    let began = Instant::now();
    let process = Pid::from_raw(pid).context("a process number is positive")?;
    kill_process(process, Signal::TERM).context("ask the host to stop")?;
    progress::stage("stop the host", || {
        while is_host(pid) {
            if began.elapsed() > DOWN_LIMIT {
                bail!(
                    "process {pid} still runs after {} s; see {}, or end it: kill -9 {pid}",
                    DOWN_LIMIT.as_secs(),
                    log_file(ws).display()
                );
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    })?;
    eprintln!("the host (process {pid}) has stopped after {}", progress::spoken(began.elapsed()));
    Ok(())
}

/// The process of the host that holds our home, detached or not.
pub fn running(ws: &Workspace) -> Option<i32> {
    let pid: i32 = fs::read_to_string(pid_file(ws)).ok()?.trim().parse().ok()?;
    is_host(pid).then_some(pid)
}

/// Whether a process lives and is a host. Numbers are used again: after a reboot, another
/// program may have this one. A dead process that nobody has waited for has no command line.
fn is_host(pid: i32) -> bool {
    let alive = Pid::from_raw(pid).is_some_and(|process| test_kill_process(process).is_ok());
    let words = fs::read(format!("/proc/{pid}/cmdline"));
    let named = words.map_or(!Path::new("/proc/self").exists(), |words| {
        let program = words.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(program).ends_with("nexus")
    });
    alive && named
}

/// Where the public listener is reached from this machine.
pub fn public_address() -> Result<SocketAddr> {
    reachable("NEXUS_LISTEN", "127.0.0.1:8080")
}

/// Where the operator's listener is reached from this machine.
pub fn admin_address() -> Result<SocketAddr> {
    reachable("NEXUS_ADMIN_LISTEN", "127.0.0.1:8081")
}

/// Asks `/ready` at `address`, every `poll`, until it is 200.
///
/// # Errors
///
/// When the host ends, or is not ready in time; the end of its log is part of the text.
pub fn wait_until_ready(
    address: SocketAddr,
    child: &mut Child,
    log: &Path,
    poll: Duration,
) -> Result<()> {
    let began = Instant::now();
    let ready = Request { path: "/ready", ..Request::default() };
    loop {
        if let Some(status) = child.try_wait().context("look at the host")? {
            let tail = shell::tail(log, 30);
            bail!("the host ended ({status}); its last words:\n{tail}");
        }
        let answer = match http::send(address, &ready) {
            Ok(reply) if reply.status == 200 => return Ok(()),
            Ok(reply) => format!("{} {}", reply.status, reply.body),
            // Not listening yet.
            Err(error) => format!("{error:#}"),
        };
        if began.elapsed() > READY_LIMIT {
            let seconds = READY_LIMIT.as_secs();
            let tail = shell::tail(log, 30);
            bail!("not ready after {seconds} s ({answer}); its last words:\n{tail}");
        }
        std::thread::sleep(poll);
    }
}

fn host_command(ws: &Workspace, up: &Up) -> Command {
    let mut command = Command::new(stage::program(ws));
    command.current_dir(&ws.root).args(["up", "-f", manifest::FILE]);
    if up.from_manifest {
        command.arg("--from-manifest");
    }
    command
}

/// The log of a detached host.
pub fn log_file(ws: &Workspace) -> PathBuf {
    ws.home().join("host.log")
}

/// Written by the host itself, under a lock, wherever it was started from.
fn pid_file(ws: &Workspace) -> PathBuf {
    ws.home().join("nexus.pid")
}

/// The first address of a comma-separated list, as the host reads it.
fn reachable(variable: &str, default: &str) -> Result<SocketAddr> {
    let text = std::env::var(variable).unwrap_or_else(|_| default.into());
    let first = text.split(',').next().unwrap_or_default();
    let address = first.trim().parse();
    let address = address.with_context(|| format!("{variable}={text} is not address:port"))?;
    Ok(from_here(address))
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

#[test]
fn a_listener_on_every_address_is_reached_on_loopback() {
    let to = |text: &str| from_here(text.parse().expect("an address")).to_string();
    assert_eq!(to("0.0.0.0:8080"), "127.0.0.1:8080");
    assert_eq!(to("[::]:8080"), "[::1]:8080");
    assert_eq!(to("10.0.0.5:80"), "10.0.0.5:80");
}
