//! An upload by tus-js-client, over a line that breaks, to a host that is killed: what arrives is
//! the file, and little is sent twice.
//!
//! 64 MiB; with `NEXUS_LONG=1` a gibibyte, 20 cuts and 3 kills.

use crate::tools::{self, claim_success};
use nexus_harness::prelude::*;
use nexus_harness::repository;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::broadcast;

/// Whose upload it is.
const OWNER: &str = "01890000-0000-7000-8000-0000000000a1";
/// Of what was sent, so much may be sent again.
const AGAIN_MAX: f64 = 0.02;
/// What a host may grow by while a file passes, whatever the file's size.
const GROWTH_MIB_MAX: u64 = 192;

struct Story {
    bytes: u64,
    /// Of the line, so that buffers on the way hold little: bytes per second.
    pace: u64,
    cuts: u64,
    kills: u64,
}

fn story() -> Story {
    match std::env::var_os("NEXUS_LONG") {
        Some(_) => Story { bytes: 1 << 30, pace: 12_000_000, cuts: 20, kills: 3 },
        None => Story { bytes: 64 << 20, pace: 2_500_000, cuts: 4, kills: 1 },
    }
}

/// The real program with a home, a database and addresses of its own.
struct Host {
    folder: TempDir,
    public: SocketAddr,
    operators: SocketAddr,
    manifest: PathBuf,
    child: Mutex<Option<Child>>,
}

fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// The suite's manifest with these services alone.
fn subset(names: &[&str]) -> String {
    let whole = fs::read_to_string(repository().join("spin.toml")).unwrap();
    let mut parts = whole.split("\n# components/");
    let head = parts.next().unwrap_or_default().to_owned();
    let own = parts.filter(|part| part.split('/').nth(1).is_some_and(|it| names.contains(&it)));
    let manifest = own.fold(head, |manifest, part| manifest + "\n# components/" + part);
    let staged = repository().join(".nexus/components");
    manifest.replace("\".nexus/components", &format!("\"{}", staged.display()))
}

impl Host {
    fn new() -> Host {
        let folder = TempDir::with_prefix("nx-").unwrap();
        // The database server's user passes through.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o711)).unwrap();
        let compiled = repository().join(".nexus/compiled");
        fs::create_dir_all(&compiled).unwrap();
        symlink(compiled, home.join("compiled")).unwrap();
        let manifest = folder.path().join("spin.toml");
        fs::write(&manifest, subset(&["users", "uploader"])).unwrap();
        let (public, operators) = (free_address(), free_address());
        Host { folder, public, operators, manifest, child: Mutex::new(None) }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn program() -> Command {
        Command::new(repository().join(".nexus/bin/nexus"))
    }

    async fn start(&self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"));
        let log = log.unwrap();
        let mut command = Host::program();
        command.args(["up", "-f"]).arg(&self.manifest);
        command.env("NEXUS_HOME", self.home()).env("NEXUS_LOG_FORMAT", "json");
        command.env("NEXUS_MIGRATIONS", repository().join("migrations"));
        command.env("NEXUS_LISTEN", self.public.to_string());
        command.env("NEXUS_ADMIN_LISTEN", self.operators.to_string());
        command.env("NEXUS_PUBLIC_URL", format!("http://{}", self.public));
        command.env("NEXUS_WORKERS", "0").env_remove("DATABASE_URL").env_remove("REDIS_URL");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        *self.child.lock().unwrap() = Some(command.spawn().unwrap());
        eventually("the host is ready", seconds(240), async || {
            self.client()
                .request(http::Method::GET, "/ready")
                .try_send()
                .await
                .is_ok_and(|answer| answer.status == 200)
        })
        .await;
    }

    fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.public))
    }

    fn token(&self) -> String {
        let mut mint = Host::program();
        mint.args(["token", "mint", "--kind", "user", "--subject", OWNER]);
        mint.env("NEXUS_HOME", self.home());
        mint.env("NEXUS_PUBLIC_URL", format!("http://{}", self.public));
        let output = mint.output().unwrap();
        claim_success(&output, "nexus token mint");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// SIGKILL; the process is gone when this returns.
    fn kill(&self) {
        let mut child = self.child.lock().unwrap().take().expect("the host runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Resident memory, in MiB; 0 while it does not run.
    fn resident_mib(&self) -> u64 {
        let Some(pid) = self.child.lock().unwrap().as_ref().map(Child::id) else { return 0 };
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
        kib.unwrap_or(0u64) / 1024
    }
}

impl Drop for Host {
    /// In order, so that its database server stops too.
    fn drop(&mut self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
            if !asked || child.wait().is_err() {
                eprintln!("the host did not end");
            }
        }
    }
}

/// A line between a client and the host that can be broken, and knows what went over it.
struct Line {
    address: SocketAddr,
    sent: AtomicU64,
    broken: broadcast::Sender<()>,
    pace: u64,
}

impl Line {
    async fn to(host: SocketAddr, pace: u64) -> Arc<Line> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (broken, _) = broadcast::channel(4);
        let line = Arc::new(Line { address, sent: AtomicU64::new(0), broken, pace });
        let accepting = line.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().carry(client, host));
            }
        });
        line
    }

    async fn carry(self: Arc<Self>, client: TcpStream, host: SocketAddr) {
        let mut broken = self.broken.subscribe();
        let Ok(server) = TcpStream::connect(host).await else { return };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let up = async {
            let mut chunk = vec![0; 32 << 10];
            while let Ok(bytes @ 1..) = from_client.read(&mut chunk).await {
                // The pace of the line, which is what this is about.
                let takes = Duration::from_secs_f64(bytes as f64 / self.pace as f64);
                tokio::time::sleep(takes).await;
                if to_server.write_all(&chunk[..bytes]).await.is_err() {
                    break;
                }
                self.sent.fetch_add(bytes as u64, Relaxed);
            }
        };
        let down = tokio::io::copy(&mut from_server, &mut to_client);
        tokio::select! {
            () = up => {}
            _ = down => {}
            _ = broken.recv() => {}
        }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    fn cut(&self) {
        // Nobody on the line is as good.
        let _nobody = self.broken.send(());
    }
}

/// Begins like a film; the rest never repeats. Gives its SHA-256.
fn write_film(path: &Path, bytes: u64) -> String {
    let (mut file, mut hash) = (File::create(path).unwrap(), Sha256::new());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut written = 0;
    while written < bytes {
        let mut chunk = Vec::with_capacity(1 << 20);
        if written == 0 {
            chunk.extend_from_slice(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41");
        }
        while chunk.len() < 1 << 20 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            chunk.extend_from_slice(&(state >> 16).to_le_bytes());
        }
        chunk.truncate((bytes - written).min(1 << 20) as usize);
        hash.update(&chunk);
        file.write_all(&chunk).unwrap();
        written += chunk.len() as u64;
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where something happens: a cut or, now and then, a kill; evenly over the file.
fn incidents(story: &Story) -> Vec<(u64, bool)> {
    let all = story.cuts + story.kills;
    let every = all / story.kills.max(1);
    (0..all)
        .map(|n| {
            let place = story.bytes * (2 * n + 1) / (2 * all);
            (place, n % every == every / 2 && n / every < story.kills)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_arrives_whole_over_a_line_that_breaks_to_a_host_that_is_killed() {
    let (story, host) = (story(), Host::new());
    host.start().await;
    let film = host.folder.path().join("film.mp4");
    let digest = write_film(&film, story.bytes);
    let line = Line::to(host.public, story.pace).await;
    let token = host.token();
    let mut client = tools::node("tus.mjs");
    client.env("NEXUS_URL", format!("http://{}", line.address)).env("NEXUS_TOKEN", &token);
    client.env("TUS_FILE", &film).stderr(Stdio::null());
    let what = format!("{client:?}");
    let mut running = tokio::task::spawn_blocking(move || client.output());
    let (mut resident, mut kills) = (Vec::new(), 0);
    for (place, is_kill) in incidents(&story) {
        let there = async {
            while line.sent() < place {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = there => {}
            ended = &mut running => panic!("{what} ended early: {ended:?}"),
        }
        resident.push(host.resident_mib());
        line.cut();
        if is_kill {
            kills += 1;
            host.kill();
            host.start().await;
            resident.clear();
        }
    }
    assert_eq!(kills, story.kills);
    let output = running.await.unwrap().unwrap();
    claim_success(&output, &what);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = said["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let ada = host.client().bearer(&token);
    let path = format!("/api/uploader/v1/objects/{id}");
    let mut shown = Value::Null;
    eventually("the upload is completed", seconds(120), async || {
        shown = ada.get(&path).await.ok().json();
        shown["state"] == "completed"
    })
    .await;
    assert_eq!(shown["sha256"], digest, "{shown}");
    let again = line.sent().saturating_sub(story.bytes) as f64 / story.bytes as f64;
    let growth = resident.iter().max().unwrap_or(&0) - resident.iter().min().unwrap_or(&0);
    println!(
        "{} MiB, {} cuts, {} kills: {:.3} % sent again, resident {:?} MiB",
        story.bytes >> 20,
        story.cuts,
        story.kills,
        again * 100.0,
        resident,
    );
    assert!(again < AGAIN_MAX, "{:.2} % was sent again", again * 100.0);
    assert!(growth <= GROWTH_MIB_MAX, "the host grew by {growth} MiB: {resident:?}");
}
