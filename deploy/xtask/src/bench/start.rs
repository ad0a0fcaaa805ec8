//! How fast the host is ready and how much memory it then holds. Runs it beside whatever else
//! runs here: own ports, own state folder.

use super::Bench;
use super::figure::Figure;
use crate::workspace::Workspace;
use crate::{manifest, stage, up};
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A restart should be over before somebody wonders.
const READY_MS_BOUND: f64 = 2_000.0;

/// How exact the time is.
const POLL: Duration = Duration::from_millis(5);

pub(super) fn run(ws: &Workspace, bench: &Bench) -> Result<Vec<Figure>> {
    let home = ws.target.join("bench/start");
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("remove {}", home.display()))?;
    }
    fs::create_dir_all(&home).with_context(|| format!("create {}", home.display()))?;
    // The first start makes the database cluster and compiles the components; it is told apart.
    let first = measure(ws, &home)?;
    let mut ready_ms = Vec::new();
    let mut resident_mib = Vec::new();
    for _ in 0..bench.runs.max(1) {
        let sample = measure(ws, &home)?;
        ready_ms.push(sample.ready_ms);
        resident_mib.extend(sample.resident_mib);
    }
    let figures = [
        Figure::of(("start", "first_ready", "ms"), vec![first.ready_ms], None, bench),
        Figure::of(("start", "ready", "ms"), ready_ms, Some(READY_MS_BOUND), bench),
        Figure::of(("start", "resident", "MiB"), resident_mib, None, bench),
    ];
    Ok(figures.into_iter().flatten().collect())
}

struct Sample {
    ready_ms: f64,
    /// Of the host's own process; `None` where `/proc` does not tell.
    resident_mib: Option<f64>,
}

fn measure(ws: &Workspace, home: &Path) -> Result<Sample> {
    let log = home.join("host.log");
    let public = free_address()?;
    let out = File::create(&log).with_context(|| format!("write {}", log.display()))?;
    let err = out.try_clone().context("share the log between both outputs")?;
    let mut command = Command::new(stage::program(ws));
    command
        .current_dir(&ws.root)
        .args(["up", "-f", manifest::FILE, "--from-manifest"])
        .env("NEXUS_HOME", home)
        .env("NEXUS_LISTEN", public.to_string())
        .env("NEXUS_ADMIN_LISTEN", free_address()?.to_string())
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err);
    let began = Instant::now();
    let mut host = Running(command.spawn().context("start the host")?);
    up::wait_until_ready(public, &mut host.0, &log, POLL)?;
    let ready_ms = began.elapsed().as_secs_f64() * 1_000.0;
    let resident_mib = resident_mib(host.0.id());
    host.stop()?;
    Ok(Sample { ready_ms, resident_mib })
}

/// A host that is ended when a measurement breaks off.
struct Running(Child);

impl Running {
    /// Lets it end by itself, so that the next start finds a database that was shut down.
    fn stop(mut self) -> Result<()> {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::TERM).context("ask the host to stop")?;
        self.0.wait().context("wait for the host to stop")?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After `stop` it has been waited for, and both calls do nothing.
        let _ended = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// A port that is free now; the host takes it a moment later.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    listener.local_addr().context("read the free port")
}

fn resident_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1_024.0)
}
