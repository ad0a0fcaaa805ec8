//! What a host is made from. The binary fills it from the command line, tests fill it by hand.

use crate::backup::Archive;
use crate::takeover::Handed;
use http::Uri;
use ipnet::IpNet;
use nexus_artifact::Policy;
use nexus_runtime::Manifest;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything [`crate::Host::start`] needs to know.
pub struct Settings {
    /// Folder of the host's state; one host at a time uses it.
    pub home: PathBuf,
    pub manifest: Arc<Manifest>,
    /// Folder of compiled components; hosts of one user may share it.
    pub compiled: PathBuf,
    /// Folder with one folder of migrations per service; None leaves the database as it is.
    pub migrations: Option<PathBuf>,
    /// Where application variables come from (`NEXUS_VARIABLE_…`, `SPIN_VARIABLE_…`).
    pub environment: Vec<(String, String)>,
    /// Cleartext listeners; port 0 picks a free one.
    pub listen: Vec<SocketAddr>,
    pub tls: Option<Tls>,
    /// The origin that clients know: issuer of tokens, start of links. None is the first address
    /// of `listen`, also when its port is picked.
    pub public_url: Option<Uri>,
    pub cors_origins: Vec<String>,
    pub trusted_proxies: Vec<IpNet>,
    pub ip_allow: Vec<IpNet>,
    pub ip_deny: Vec<IpNet>,
    pub admin_listen: SocketAddr,
    /// None makes one and keeps it in the home.
    pub admin_token: Option<String>,
    /// What workers show. None makes one and keeps it in the home.
    pub worker_token: Option<String>,
    pub workers: Workers,
    /// Under which name this host holds leases: for people, so it need not be unique.
    pub host_name: String,
    /// Silence after which another host may take over what this one holds; None leaves it to each
    /// queue.
    pub queue_lease: Option<Duration>,
    pub database: Database,
    /// Where the log of a private server goes.
    pub archive: Option<Archive>,
    /// Connections to PostgreSQL of this host. None is 100 for a private cluster, where an idle one
    /// costs 2 MiB and reconnecting costs 10 ms, and 40 for a server that others use too.
    pub pg_connections_max: Option<usize>,
    /// None keeps keys, counters and channels in the host itself.
    pub redis_url: Option<String>,
    /// None keeps objects in the home.
    pub objects: Option<Objects>,
    /// Threads that serve HTTP.
    pub shards: NonZeroUsize,
    /// Component instances alive at once.
    pub instances_max: u32,
    /// Whether what components compute is bounded.
    pub cpu_limits: bool,
    pub tokens: Tokens,
    /// The key under which all others are encrypted: 32 bytes as base64. None makes one in the
    /// home while the public URL is this machine's own, and refuses to keep keys otherwise.
    pub root_key: Option<String>,
    /// Bytes of finished media that this host keeps in memory.
    pub media_memory: u64,
    /// Serve what the manifest names, whatever was deployed.
    pub from_manifest: bool,
    /// What becomes of artifacts that nobody known has signed. None is `off` while the public URL
    /// is this machine's own, and `warn` otherwise.
    pub signatures: Option<Policy>,
    /// PEM file, or a folder of them, with the keys whose signatures count.
    pub signature_keys: Option<PathBuf>,
    /// Sockets of the host before, which is leaving: its home is waited for, and nothing is
    /// accepted before this one can answer.
    pub inherited: Vec<Handed>,
}

/// The native workers that the host itself starts.
#[derive(Debug, Clone)]
pub struct Workers {
    /// `nx-media`; None starts none.
    pub program: Option<PathBuf>,
    /// Processes at once; 0 starts none.
    pub count: u32,
}

/// A listener that speaks TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    pub listen: SocketAddr,
    /// PEM, leaf first.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// Which PostgreSQL.
#[derive(Clone)]
pub enum Database {
    /// A cluster of the host's own, in its home.
    Private,
    /// An operator's server.
    Url(String),
    /// One that is open already.
    Open(nexus_storage::Database),
    /// None; components that ask for one are told that it is away.
    None,
}

/// An S3 bucket; credentials come from the AWS variables.
#[derive(Debug, Clone)]
pub struct Objects {
    /// None is Amazon's own, by region.
    pub endpoint: Option<String>,
    /// Where browsers reach the same store, if that differs.
    pub public_endpoint: Option<String>,
    pub bucket: String,
    pub region: String,
}

/// Whose bearer tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tokens {
    /// Besides the platform's own those signed with a key that the host makes in its home, while
    /// the public URL is this machine's own.
    Development,
    /// Nobody's.
    None,
}

impl Settings {
    /// The defaults of the command line.
    pub fn new(home: PathBuf, manifest: Manifest) -> Self {
        Self {
            compiled: home.join("compiled"),
            home,
            manifest: Arc::new(manifest),
            migrations: None,
            environment: Vec::new(),
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            tls: None,
            public_url: Some(Uri::from_static("http://localhost:8080")),
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            ip_allow: Vec::new(),
            ip_deny: Vec::new(),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            admin_token: None,
            worker_token: None,
            workers: Workers { program: None, count: 1 },
            host_name: host_name(),
            queue_lease: None,
            database: Database::Private,
            archive: None,
            pg_connections_max: None,
            redis_url: None,
            objects: None,
            shards: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            instances_max: 2_000,
            cpu_limits: true,
            tokens: Tokens::Development,
            root_key: None,
            media_memory: 256 << 20,
            from_manifest: false,
            signatures: None,
            signature_keys: None,
            inherited: Vec::new(),
        }
    }
}

/// The machine's name and this process's number.
fn host_name() -> String {
    format!("{}-{}", machine_name(), std::process::id())
}

pub(crate) fn machine_name() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    machine.trim().to_owned()
}
