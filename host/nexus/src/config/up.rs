//! The options of `nexus up`, and the [`Settings`] that they and the environment come to.

use super::{ApplicationOptions, CompiledOptions, HomeOptions, LogOptions, environment, origin};
use crate::manifest;
use crate::runtime_config::RuntimeConfig;
use crate::settings::{Database, Objects, Settings, Tls, Tokens, Workers};
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use http::Uri;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct UpOptions {
    #[command(flatten)]
    pub home: HomeOptions,
    #[command(flatten)]
    pub application: ApplicationOptions,
    #[command(flatten)]
    pub compiled: CompiledOptions,
    /// Run the revisions that the manifest names even where a newer one was deployed
    #[arg(long)]
    pub from_manifest: bool,
    /// What becomes of artifacts that none of the keys has signed: `required`, `warn` or `off`
    /// [default: off while the public URL is this machine's own, otherwise warn]
    #[arg(long, env = "NEXUS_SIGNATURES", value_name = "POLICY")]
    pub signatures: Option<nexus_artifact::Policy>,
    /// Public keys whose signatures count: a PEM file, or a folder of them
    #[arg(long, env = "NEXUS_SIGNATURE_KEYS", value_name = "PATH")]
    pub signature_keys: Option<PathBuf>,
    /// Take the place of the host that runs on this home: it finishes and leaves once this one is
    /// prepared, and no connection is refused in between
    #[arg(long)]
    pub takeover: bool,
    /// Spin's runtime configuration: `[[variables_provider]]` and `[key_value_store.default]`
    #[arg(long, env = "RUNTIME_CONFIG_FILE", value_name = "FILE")]
    pub runtime_config_file: Option<PathBuf>,
    #[command(flatten)]
    pub http: HttpOptions,
    #[command(flatten)]
    pub admin: AdminOptions,
    #[command(flatten)]
    pub stores: StoreOptions,
    #[command(flatten)]
    pub log: LogOptions,
    /// Threads that serve HTTP; default: one per core
    #[arg(long, env = "NEXUS_SHARDS", value_name = "NUMBER")]
    pub shards: Option<std::num::NonZeroUsize>,
    /// Silence in milliseconds after which another host may take over a message that this one is
    /// handling; default: as each queue says, 60000
    #[arg(long, env = "NEXUS_QUEUE_LEASE_MS", value_name = "MS",
        value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub queue_lease_ms: Option<u64>,
    /// Component instances that may be alive at once
    #[arg(long, env = "NEXUS_INSTANCES_MAX", value_name = "NUMBER", default_value_t = 2_000,
        value_parser = clap::value_parser!(u32).range(16..=100_000))]
    pub instances_max: u32,
    /// Whether tokens signed with a key in the home folder are accepted while the public URL is
    /// this machine's own
    #[arg(long, env = "NEXUS_DEV_TOKENS", value_name = "WHEN", default_value = "auto")]
    pub dev_tokens: DevTokens,
    /// File with the key under which all others are encrypted: 32 bytes as base64
    ///
    /// `openssl rand -base64 32` makes one. NEXUS_ROOT_KEY may hold the key itself instead. Without
    /// either, a host whose public URL is this machine's own makes one in its home folder; any
    /// other refuses to keep keys.
    #[arg(long, env = "NEXUS_ROOT_KEY_FILE", value_name = "FILE")]
    pub root_key_file: Option<PathBuf>,
    /// Finished media that is kept in memory, in MiB
    #[arg(long, env = "NEXUS_MEDIA_MEMORY", value_name = "MIB", default_value_t = 256)]
    pub media_memory: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DevTokens {
    /// While the public URL is this machine's own
    Auto,
    /// Never
    Off,
}

/// The public side.
#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpOptions {
    /// Addresses to serve on in cleartext; port 0 picks a free one
    #[arg(
        long,
        env = "NEXUS_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = "127.0.0.1:8080"
    )]
    pub listen: Vec<SocketAddr>,
    /// Address to serve on over TLS
    #[arg(long, env = "NEXUS_TLS_LISTEN", value_name = "ADDRESS",
        requires_all = ["tls_cert", "tls_key"])]
    pub tls_listen: Option<SocketAddr>,
    /// Certificate chain, PEM, leaf first; read again when it changes
    #[arg(long, env = "NEXUS_TLS_CERT", value_name = "FILE",
        requires_all = ["tls_listen", "tls_key"])]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(long, env = "NEXUS_TLS_KEY", value_name = "FILE",
        requires_all = ["tls_listen", "tls_cert"])]
    pub tls_key: Option<PathBuf>,
    /// The origin that clients know this installation by [default: http://localhost and the port of
    /// the first listener]
    #[arg(long, env = "NEXUS_PUBLIC_URL", value_name = "URL", value_parser = origin)]
    pub public_url: Option<Uri>,
    /// Web pages of these origins may call this host, besides its own
    #[arg(long, env = "NEXUS_CORS_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origins: Vec<String>,
    /// Networks whose `x-forwarded-for` is believed
    #[arg(long, env = "NEXUS_TRUSTED_PROXIES", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpNet>,
    /// Only these networks may connect
    #[arg(long, env = "NEXUS_IP_ALLOW", value_name = "NETWORK", value_delimiter = ',')]
    pub ip_allow: Vec<IpNet>,
    /// These networks may not connect
    #[arg(long, env = "NEXUS_IP_DENY", value_name = "NETWORK", value_delimiter = ',')]
    pub ip_deny: Vec<IpNet>,
}

/// The operators' side.
#[derive(Debug, Args)]
#[command(next_help_heading = "Operators")]
pub struct AdminOptions {
    /// Address of the operators' API, page and metrics
    #[arg(
        long,
        env = "NEXUS_ADMIN_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8081"
    )]
    pub admin_listen: SocketAddr,
    /// The operators' bearer token; default: made once, in `admin-token` of the home folder
    ///
    /// Prefer the variable: other users of the machine can read command lines.
    #[arg(long, env = "NEXUS_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// The workers' bearer token; default: made once, in `worker-token` of the home folder
    #[arg(long, env = "NEXUS_WORKER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub worker_token: Option<String>,
    /// Processes of local workers, started when there is a job for them; 0 starts none
    #[arg(long, env = "NEXUS_WORKERS", value_name = "NUMBER", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(0..=64))]
    pub workers: u32,
    /// The workers' program; default: `nx-media` beside this one, if it is there
    #[arg(long, env = "NEXUS_WORKER_PROGRAM", value_name = "FILE")]
    pub worker_program: Option<PathBuf>,
}

/// What stands behind the components.
#[derive(Debug, Args)]
#[command(next_help_heading = "Stores")]
pub struct StoreOptions {
    /// PostgreSQL 15 or newer; default: a private cluster from this machine's programs
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Connections to PostgreSQL, of all components and the host together; default: 100 to a
    /// private cluster, 40 to a server
    #[arg(long, env = "NEXUS_PG_CONNECTIONS_MAX", value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(6..=10_000))]
    pub pg_connections_max: Option<u32>,
    /// Folder of the migrations; default: `migrations` beside the manifest, or those that this
    /// program was installed with
    #[arg(long, env = "NEXUS_MIGRATIONS", value_name = "FOLDER")]
    pub migrations: Option<PathBuf>,
    /// Redis 7 or newer for key-value, counters and pub/sub; default: kept by the host itself
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// The S3 bucket for objects; default: a folder in the home
    ///
    /// It holds every bucket of the components, each under its own prefix. Credentials come from
    /// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
    #[arg(long, env = "NEXUS_S3_BUCKET", value_name = "NAME")]
    pub s3_bucket: Option<String>,
    /// The S3 server, if it is not Amazon's
    #[arg(long, env = "NEXUS_S3_ENDPOINT", value_name = "URL", requires = "s3_bucket")]
    pub s3_endpoint: Option<String>,
    /// Where browsers reach the same S3 server, for signed URLs, if that differs
    #[arg(long, env = "NEXUS_S3_PUBLIC_ENDPOINT", value_name = "URL", requires = "s3_bucket")]
    pub s3_public_endpoint: Option<String>,
    /// The region requests are signed for
    #[arg(long, env = "NEXUS_S3_REGION", value_name = "NAME", default_value = "us-east-1")]
    pub s3_region: String,
}

impl UpOptions {
    /// Reads the manifest and the runtime configuration and puts everything together.
    ///
    /// Fails when a file is missing or says something this host does not do.
    pub fn settings(self) -> Result<Settings> {
        let file = manifest::file(&self.application)?;
        let manifest = manifest::read(&file, &self.application.component_ids)?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let mut settings = Settings::new(self.home.home, manifest);
        self.compiled.apply(&mut settings);
        settings.migrations = match self.stores.migrations {
            Some(named) if !named.is_dir() => bail!("{} is no folder", named.display()),
            Some(named) => Some(named),
            None => migrations_of(folder),
        };
        settings.environment = environment();
        let mut redis_url = self.stores.redis_url;
        if let Some(file) = &self.runtime_config_file {
            let asked = RuntimeConfig::read(file)?;
            // What the environment says is nearer to the operator than a file.
            settings.environment.splice(0..0, asked.variables);
            redis_url = redis_url.or(asked.redis_url);
        }
        settings.redis_url = redis_url;
        settings.database = match self.stores.database_url {
            Some(url) => Database::Url(url),
            None => Database::Private,
        };
        settings.archive = self.log.archive()?;
        settings.pg_connections_max = self.stores.pg_connections_max.map(|n| n as usize);
        settings.objects = self.stores.s3_bucket.map(|bucket| Objects {
            endpoint: self.stores.s3_endpoint,
            public_endpoint: self.stores.s3_public_endpoint,
            bucket,
            region: self.stores.s3_region,
        });
        settings.admin_listen = self.admin.admin_listen;
        settings.admin_token = self.admin.admin_token;
        settings.worker_token = self.admin.worker_token;
        settings.queue_lease = self.queue_lease_ms.map(std::time::Duration::from_millis);
        settings.workers = Workers {
            program: self.admin.worker_program.or_else(program_beside),
            count: self.admin.workers,
        };
        settings.instances_max = self.instances_max;
        settings.shards = self.shards.unwrap_or(settings.shards);
        settings.tokens = match self.dev_tokens {
            DevTokens::Auto => Tokens::Development,
            DevTokens::Off => Tokens::None,
        };
        settings.root_key = match &self.root_key_file {
            Some(file) => {
                let key = std::fs::read_to_string(file);
                Some(key.with_context(|| format!("read the root key in {}", file.display()))?)
            }
            None => std::env::var("NEXUS_ROOT_KEY").ok(),
        };
        settings.media_memory = u64::from(self.media_memory) << 20;
        settings.from_manifest = self.from_manifest;
        settings.signatures = self.signatures;
        settings.signature_keys = self.signature_keys;
        self.http.apply(&mut settings);
        Ok(settings)
    }
}

/// The migrations beside a manifest. A component of its own has at most those of its schema there:
/// the platform's come with the installation that this program belongs to.
fn migrations_of(folder: &Path) -> Option<PathBuf> {
    let beside = folder.join("migrations");
    if beside.join("platform").is_dir() {
        return Some(beside);
    }
    installed_migrations().or_else(|| Some(beside).filter(|folder| folder.is_dir()))
}

/// `/opt/nexus/migrations` of `/opt/nexus/bin/nexus`; of a checkout's `.nexus/bin`, the checkout's.
fn installed_migrations() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    let mut root = program.parent()?.parent()?;
    if root.ends_with(".nexus") {
        root = root.parent()?;
    }
    Some(root.join("migrations")).filter(|folder| folder.join("platform").is_dir())
}

/// The first listener as a browser on this machine calls it. A port yet to be picked has no name;
/// then the address that is picked is the origin.
fn own_url(listen: &[SocketAddr]) -> Option<Uri> {
    let port = listen.first()?.port();
    let url = || format!("http://localhost:{port}").parse().expect("a port makes a URL");
    (port != 0).then(url)
}

impl HttpOptions {
    fn apply(self, settings: &mut Settings) {
        settings.public_url = self.public_url.or_else(|| own_url(&self.listen));
        settings.listen = self.listen;
        settings.tls = match (self.tls_listen, self.tls_cert, self.tls_key) {
            (Some(listen), Some(certificate), Some(key)) => Some(Tls { listen, certificate, key }),
            _ => None,
        };
        settings.cors_origins = self.cors_origins;
        settings.trusted_proxies = self.trusted_proxies;
        settings.ip_allow = self.ip_allow;
        settings.ip_deny = self.ip_deny;
    }
}

/// Where `cargo xtask build` and the images put it.
fn program_beside() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.with_file_name("nx-media");
    program.is_file().then_some(program)
}
