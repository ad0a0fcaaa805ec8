//! What the origin of media gives a second, and what an answer costs it, beside nginx with the same
//! files: 2 KiB (a playlist's size), 100 KiB (a small segment), 1 MiB (a large one). `wrk` asks
//! both alike; they take turns, so that a busy moment of the machine concerns both. The origin
//! proves a playback token for each request; nginx sends files to whoever asks.
//!
//! Answers a second depend on what else the machine does; microseconds of CPU for an answer
//! (`…_cpu`, of the threads or processes that serve) hardly do.
//!
//! What an answer costs, as `perf` and `strace` see it: one `recv` and one `writev`, which hands
//! head and body to the kernel without a copy of ours. The kernel's own copy out of our memory
//! (`_copy_from_iter`) is 1 % of the CPU time at 2 KiB, 24 % at 100 KiB and 29 % at 1 MiB; nginx
//! has next to none, because `sendfile` lends the pages of its files. Without that copy 100 KiB
//! would cost a quarter less; it takes objects that lie in files of memory and a socket that is
//! ours, where hyper has a buffer and, mostly, TLS between. At 2 KiB it is the proof of the token,
//! the request's id and span, the checks of its head and the counting, each of them a few per cent.
//! (Seen with our own code hardly optimised: in the release profile the copy's share is larger.)
//!
//! Prints one JSON object a line: `{"metric": …, "value": …}`, by rounds. Run by
//! `cargo xtask bench media`.

use async_trait::async_trait;
use futures::StreamExt as _;
use nexus_runtime::{
    Call, CallError, ComponentId, Manifest, Request, Response, Shutdown, Trigger as _, full,
};
use serde_json::json;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use trigger_http::{
    Backend, HttpConfig, HttpTrigger, KEY_BYTES, MediaOrigin, Opened, Packages, PackagesAway,
    Playback, View,
};
use uuid::Uuid;

/// The host's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEY: [u8; KEY_BYTES] = [7; KEY_BYTES];
const PACKAGE: Uuid = Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0001);
const SIZES: [(&str, usize); 3] = [("2_kib", 2 << 10), ("100_kib", 100 << 10), ("1_mib", 1 << 20)];
/// How long each side is asked for each size in a round.
const SECONDS: u32 = 3;
const CONNECTIONS: u32 = 32;

/// Files below a folder, as packages.
struct Folder(tempfile::TempDir);

#[async_trait]
impl Packages for Folder {
    async fn open(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Opened>, PackagesAway> {
        let path = self.0.path().join(key.replacen("packages/", "media/", 1));
        let Ok(bytes) = std::fs::read(path) else { return Ok(None) };
        let size = bytes.len() as u64;
        let range = range.unwrap_or(0..size);
        let part = bytes[range.start as usize..range.end as usize].to_vec();
        let body = futures::stream::iter([Ok(bytes::Bytes::from(part))]).boxed();
        Ok(Some(Opened { size, etag: "e1".into(), body }))
    }
}

/// A host without components, with as many shards as there are cores.
#[derive(Clone)]
struct Nothing(Arc<Manifest>);

impl Backend for Nothing {
    fn generation(&self) -> u64 {
        1
    }

    fn view(&self) -> View {
        View {
            generation: 1,
            application: self.0.application.clone(),
            version: self.0.version.clone(),
            routes: self.0.routes.clone(),
            components: Default::default(),
            native: Default::default(),
        }
    }

    async fn call(&self, _: &ComponentId, _: Request, _: Call) -> Result<Response, CallError> {
        Ok(http::Response::new(full("")))
    }

    fn shards(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    fn enter_shard(&self, _index: usize) {}
}

fn main() {
    let rounds = std::env::args().skip_while(|arg| arg != "--rounds").nth(1);
    let rounds: usize = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("start a runtime").block_on(measure(rounds));
}

async fn measure(rounds: usize) {
    let folder = files();
    let nginx = Nginx::start(folder.path());
    let origin = MediaOrigin::new(KEY, 256 << 20);
    origin.read_from(Arc::new(Folder(folder)));
    let any = "127.0.0.1:0".parse().expect("an address");
    let config = HttpConfig { listen: vec![any], media: Some(origin), ..HttpConfig::default() };
    let trigger = HttpTrigger::new(config).expect("bind a port");
    let own = trigger.addresses()[0];
    let manifest = "spin_manifest_version = 2\n[application]\nname = \"origin\"\n";
    let manifest = Manifest::parse(manifest, Path::new("spin.toml")).expect("a manifest");
    let (stop, told) = Shutdown::channel();
    let serving = tokio::spawn(trigger.serve(Nothing(Arc::new(manifest)), told));
    let measured = tokio::task::spawn_blocking(move || {
        for _ in 0..rounds {
            for (name, size) in SIZES {
                let target = format!("{}?t={}", path(size), token());
                let own = asked(own, &target, &Serving::threads("nexus-http"));
                let other = asked(nginx.address, &path(size), &nginx.serving());
                for (metric, value) in [
                    (format!("origin_{name}"), own.per_second),
                    (format!("nginx_{name}"), other.per_second),
                    (format!("origin_over_nginx_{name}"), own.per_second / other.per_second),
                    (format!("origin_{name}_cpu"), own.cpu),
                    (format!("nginx_{name}_cpu"), other.cpu),
                    (format!("origin_cpu_over_nginx_{name}"), own.cpu / other.cpu),
                ] {
                    println!("{}", json!({ "metric": metric, "value": value }));
                }
            }
        }
    });
    measured.await.expect("both answer");
    stop.shut_down();
    serving.await.expect("the host ends").expect("it ends well");
}

fn path(size: usize) -> String {
    format!("/media/{PACKAGE}/v480/{size}.m4s")
}

fn files() -> tempfile::TempDir {
    let folder = tempfile::TempDir::new().expect("a folder");
    for (_, size) in SIZES {
        let file = folder.path().join(path(size).trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("write");
        let bytes: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
        std::fs::write(file, bytes).expect("write");
    }
    // For nginx, whose workers may be somebody else.
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), all).expect("it is ours");
    folder
}

fn token() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let playback = Playback {
        tenant: Uuid::nil(),
        package: PACKAGE,
        session: Uuid::from_u128(3),
        height_max: 480,
        expires: now.as_secs() as u32 + 3600,
    };
    playback.token(&KEY)
}

/// What one server did for `wrk`.
struct Asked {
    /// Answers.
    per_second: f64,
    /// Microseconds for each.
    cpu: f64,
}

/// Who serves: folders of `/proc`, one for each thread.
struct Serving(Vec<PathBuf>);

impl Serving {
    /// Threads of this process whose name begins so, once they are there.
    fn threads(name: &str) -> Self {
        let own = |task: &PathBuf| {
            std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.starts_with(name))
        };
        let (began, all) = (Instant::now(), std::thread::available_parallelism());
        let all = all.map_or(1, usize::from);
        loop {
            let found: Vec<_> = entries(Path::new("/proc/self/task")).filter(own).collect();
            if found.len() >= all {
                return Self(found);
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{name} does not serve");
            std::thread::yield_now();
        }
    }

    /// The processes that `parent` has started.
    fn children(parent: u32) -> Self {
        let own = |process: &PathBuf| {
            // The fourth field; what is before it ends with a bracket (proc(5)).
            let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
            let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            rest.split_whitespace().nth(1) == Some(&parent.to_string())
        };
        Self(entries(Path::new("/proc")).filter(own).collect())
    }

    /// Nanoseconds on a CPU until now.
    fn spent(&self) -> f64 {
        let of = |task: &PathBuf| {
            let text = std::fs::read_to_string(task.join("schedstat")).expect("it still serves");
            text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).expect("a number")
        };
        self.0.iter().map(of).sum()
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).expect("Linux").flatten().map(|entry| entry.path())
}

/// Has `wrk` ask an address.
fn asked(address: SocketAddr, target: &str, serving: &Serving) -> Asked {
    let before = serving.spent();
    let wrk = Command::new("wrk")
        .args(["-t", "1", "-c", &CONNECTIONS.to_string(), "-d", &format!("{SECONDS}s")])
        .arg(format!("http://{address}{target}"))
        .output()
        .expect("wrk runs");
    let spent = serving.spent() - before;
    let text = String::from_utf8_lossy(&wrk.stdout);
    let bad = ["Non-2xx", "Socket errors"].iter().any(|word| text.contains(word));
    assert!(wrk.status.success() && !bad, "{target}: {text}");
    let number = |found: Option<&str>| -> f64 {
        let number = found.and_then(|words| words.trim().parse().ok());
        number.unwrap_or_else(|| panic!("{text}"))
    };
    let per_second = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    let answers = text.lines().find_map(|line| line.split_once(" requests in ").map(|it| it.0));
    Asked { per_second: number(per_second), cpu: spent / number(answers) / 1_000.0 }
}

/// nginx with its best settings for files: kept open, sent by the kernel, nothing logged.
struct Nginx {
    child: Child,
    address: SocketAddr,
    _home: tempfile::TempDir,
}

impl Nginx {
    fn start(root: &Path) -> Self {
        let home = tempfile::TempDir::new().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
        let address = free.expect("a free port");
        let (own, root) = (home.path().display(), root.display());
        let configuration = format!(
            "daemon off; worker_processes auto; pid {own}/pid; error_log stderr crit;
            events {{ worker_connections 1024; }}
            http {{
              access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; etag on;
              keepalive_requests 100000000; open_file_cache max=1000 inactive=60s;
              client_body_temp_path {own}/b; proxy_temp_path {own}/p; fastcgi_temp_path {own}/f;
              uwsgi_temp_path {own}/u; scgi_temp_path {own}/s;
              types {{ video/mp4 m4s; }}
              server {{
                listen {address}; root {root};
                add_header cache-control \"public, max-age=31536000, immutable\";
              }}
            }}"
        );
        let file = home.path().join("nginx.conf");
        std::fs::write(&file, configuration).expect("write");
        let mut nginx = Command::new("nginx");
        nginx.arg("-c").arg(&file).stdout(Stdio::null());
        let child = nginx.spawn().expect("nginx runs: apt-get install nginx-light");
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "nginx does not listen");
            std::thread::yield_now();
        }
        Self { child, address, _home: home }
    }

    fn serving(&self) -> Serving {
        Serving::children(self.child.id())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGKILL would leave its workers.
        let _told = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ended = self.child.wait();
    }
}
