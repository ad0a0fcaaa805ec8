//! The command line and the environment: every option of the host, with its help text, turned into
//! [`Settings`]. Refuses to know how a setting is carried out.

mod artifact;
mod backup;
mod build;
mod configuration;
mod develop;
mod doctor;
mod observe;
mod operate;
mod rollout;

pub use artifact::{KeysCommand, KeysOptions, PullOptions, PushOptions};
pub use backup::{BackupCommand, BackupOptions, BackupVerifyOptions, KeyOptions, RestoreOptions};
pub use build::BuildOptions;
pub use configuration::{
    ConfigCommand, ConfigOptions, ReasonOptions, SecretCommand, SecretOptions,
};
pub use develop::{CompletionsOptions, DevOptions, InitOptions, Shell, Template};
pub use doctor::{DoctorOptions, Looked};
pub use observe::{
    AuditCommand, AuditOptions, CallQueueOptions, InvokeOptions, LogsOptions, OperatorsCommand,
    OperatorsOptions, Role, RunCronOptions, StatusOptions, TailOptions, Topic,
};
pub use operate::{
    CronCommand, CronOptions, DeadOptions, HostOptions, JobsCommand, JobsOptions, PageOptions,
    QueueCommand, QueueName, QueueOptions, ScheduleName, WhichOptions,
};
pub use rollout::{
    DeployOptions, FreezeOptions, PromoteOptions, RollbackOptions, RolloutCommand, RolloutOptions,
    Strategy, StrategyOptions, TrafficOptions, UnfreezeOptions, VersionsOptions, WaitOptions,
};

use crate::manifest;
use crate::runtime_config::RuntimeConfig;
use crate::settings::{Database, Objects, Settings, Tls, Tokens, Workers};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use http::Uri;
use ipnet::IpNet;
use nexus_runtime::PrincipalKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use uuid::Uuid;

/// Hosts WebAssembly components: HTTP in, PostgreSQL, key-value and object stores behind them.
///
/// Without any option it serves the application in ./spin.toml on http://127.0.0.1:8080, with a
/// private PostgreSQL and stores of its own under .nexus. Every option can be given as the
/// environment variable that its help names.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes of `up`: 0 stopped as asked; 1 failed; 2 the command line or a setting is wrong; \
3 another host uses the home folder or the address. the other commands have their own.
Logging: NEXUS_LOG, NEXUS_LOG_FORMAT. Traces go to an OpenTelemetry collector when \
OTEL_EXPORTER_OTLP_ENDPOINT names one (http/protobuf over http://); OTEL_EXPORTER_OTLP_HEADERS, \
OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and OTEL_TRACES_SAMPLER are honoured.
Variables of the application: NEXUS_VARIABLE_<NAME> or SPIN_VARIABLE_<NAME>, a file in \
NEXUS_CONFIGURATION_FILE, folders in NEXUS_CONFIGURATION_FOLDERS, Vault at VAULT_ADDR; see \
`nexus config --help`.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve an application until told to stop (SIGINT or SIGTERM; a second one stops at once)
    Up(Box<UpOptions>),
    /// Compile every component ahead of time, so that the next start only maps it
    Compile(CompileOptions),
    /// Print the one-time link by which the first administrator comes in
    SetupLink(HomeOptions),
    /// Begin a component: its folder, with code that builds and has a test
    #[command(after_help = develop::INIT_CODES)]
    Init(InitOptions),
    /// Run a component while it is written: each change is built and swapped in
    #[command(after_help = develop::DEV_CODES)]
    Dev(Box<DevOptions>),
    /// Make a component's artifact from its crate
    #[command(after_help = build::EXIT_CODES)]
    Build(BuildOptions),
    /// Send an artifact to the running host, or to a registry
    #[command(after_help = artifact::EXIT_CODES)]
    Push(Box<PushOptions>),
    /// Fetch an artifact from a registry or from the running host into a file
    #[command(after_help = artifact::EXIT_CODES)]
    Pull(Box<PullOptions>),
    /// Make keys, sign artifacts with them, and check signatures
    #[command(after_help = artifact::KEYS_EXIT_CODES)]
    Keys(KeysOptions),
    /// Bring an artifact to a component's callers, in steps that roll back by themselves
    #[command(after_help = rollout::EXIT_CODES)]
    Deploy(Box<DeployOptions>),
    /// Give the revision that is being rolled out all calls
    #[command(after_help = rollout::EXIT_CODES)]
    Promote(PromoteOptions),
    /// Give a component's calls back to an earlier revision
    #[command(after_help = rollout::EXIT_CODES)]
    Rollback(RollbackOptions),
    /// Look at rollouts, hold them, give them up
    #[command(after_help = rollout::EXIT_CODES)]
    Rollout(RolloutOptions),
    /// List a component's revisions
    #[command(after_help = operate::EXIT_CODES)]
    Versions(VersionsOptions),
    /// Show or set which revision gets which share of a component's calls
    #[command(after_help = operate::EXIT_CODES)]
    Traffic(TrafficOptions),
    /// Let no rollout begin or go on
    #[command(after_help = operate::EXIT_CODES)]
    Freeze(FreezeOptions),
    /// Let rollouts go on
    #[command(after_help = operate::EXIT_CODES)]
    Unfreeze(UnfreezeOptions),
    /// Show what runs: calls, errors, durations, rollouts, hosts, freezes
    #[command(after_help = operate::EXIT_CODES)]
    Status(StatusOptions),
    /// Show what is asked and logged, as it happens
    #[command(after_help = operate::EXIT_CODES)]
    Tail(TailOptions),
    /// Show what components have logged
    #[command(after_help = operate::EXIT_CODES)]
    Logs(LogsOptions),
    /// Ask a component something, as a client would
    #[command(after_help = observe::INVOKE_CODES)]
    Invoke(Box<InvokeOptions>),
    /// Send a message to a queue, or to every subscription of a topic
    #[command(after_help = operate::EXIT_CODES)]
    CallQueue(CallQueueOptions),
    /// Run a schedule once, now
    #[command(after_help = observe::RUN_CODES)]
    RunCron(RunCronOptions),
    /// Look whether this machine, the settings and an installation are well
    #[command(after_help = doctor::EXIT_CODES)]
    Doctor(Box<DoctorOptions>),
    /// See and set the variables of components
    #[command(after_help = configuration::EXIT_CODES)]
    Config(ConfigOptions),
    /// Set what components keep secret
    #[command(after_help = configuration::EXIT_CODES)]
    Secret(SecretOptions),
    /// See and change who may operate this installation
    #[command(after_help = operate::EXIT_CODES)]
    Operators(OperatorsOptions),
    /// See who did what, and whether that trail is whole
    #[command(after_help = observe::AUDIT_CODES)]
    Audit(AuditOptions),
    /// Print what a shell loads to complete this command line
    Completions(CompletionsOptions),
    /// Access tokens for development
    #[command(subcommand)]
    Token(TokenCommand),
    /// Look into the queues of a running host and act on them
    #[command(after_help = operate::EXIT_CODES)]
    Queue(QueueOptions),
    /// See when schedules of a running host are due, and run them by hand
    #[command(after_help = operate::EXIT_CODES)]
    Cron(CronOptions),
    /// See the jobs of native workers of a running host, and cancel them
    #[command(after_help = operate::EXIT_CODES)]
    Jobs(JobsOptions),
    /// Make an encrypted backup of an installation, running or not, or check one
    #[command(after_help = backup::EXIT_CODES, args_conflicts_with_subcommands = true)]
    Backup(Box<BackupOptions>),
    /// Restore a backup into a new, empty home
    #[command(after_help = backup::EXIT_CODES)]
    Restore(Box<RestoreOptions>),
    /// Print the version
    Version,
}

/// Where the host keeps its state, and how it speaks.
#[derive(Debug, Args)]
pub struct HomeOptions {
    /// Folder of the host's state: private database, stores, compiled code, tokens
    #[arg(long, env = "NEXUS_HOME", value_name = "FOLDER", default_value = ".nexus")]
    pub home: PathBuf,
    /// Which log lines are written, e.g. `info,guest=warn,trigger_http=debug`
    #[arg(long, env = "NEXUS_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// How log lines look; default: pretty on a terminal, otherwise json
    #[arg(long, env = "NEXUS_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line
    Json,
    /// Words for people
    Pretty,
}

/// Which application, and which of its components.
#[derive(Debug, Args)]
pub struct ApplicationOptions {
    /// The manifest, or the folder it stands in
    ///
    /// A name that is no file here, such as a container image, is only accepted when
    /// NEXUS_MANIFEST says which file of this machine is meant; that is how SpinKube calls.
    #[arg(short = 'f', long = "from", value_name = "FILE")]
    pub from: Option<String>,
    /// The manifest that is used when `--from` is absent or names no file; default: spin.toml
    #[arg(long, env = "NEXUS_MANIFEST", value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Load only this component; may be repeated
    #[arg(
        long = "component-id",
        env = "SPIN_COMPONENTS_TO_RETAIN",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub component_ids: Vec<String>,
}

#[derive(Debug, Args)]
pub struct UpOptions {
    #[command(flatten)]
    pub home: HomeOptions,
    #[command(flatten)]
    pub application: ApplicationOptions,
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

#[derive(Debug, Args)]
pub struct CompileOptions {
    #[command(flatten)]
    pub home: HomeOptions,
    #[command(flatten)]
    pub application: ApplicationOptions,
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Print a token signed with this home's development key (made by the first `nexus up`)
    Mint(MintOptions),
}

#[derive(Debug, Args)]
pub struct MintOptions {
    #[command(flatten)]
    pub home: HomeOptions,
    /// The issuer: the public URL of the host that shall accept the token [default: that of the
    /// host that has this home, or had it last]
    #[arg(long, env = "NEXUS_PUBLIC_URL", value_name = "URL", value_parser = origin)]
    pub public_url: Option<Uri>,
    /// Whom the token stands for
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub subject: String,
    /// What kind of principal that is
    #[arg(long, value_name = "KIND", default_value = "operator")]
    pub kind: TokenKind,
    /// Permissions, such as `catalog:view`; `*` is all
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "*")]
    pub permissions: Vec<String>,
    /// The tenant; default: the installation's own
    #[arg(long, value_name = "UUID")]
    pub tenant: Option<Uuid>,
    /// How long the token is valid
    #[arg(long, value_name = "HOURS", default_value_t = 12,
        value_parser = clap::value_parser!(u32).range(1..=24 * 30))]
    pub hours: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenKind {
    User,
    Service,
    Operator,
}

impl From<TokenKind> for PrincipalKind {
    fn from(kind: TokenKind) -> Self {
        match kind {
            TokenKind::User => Self::User,
            TokenKind::Service => Self::Service,
            TokenKind::Operator => Self::Operator,
        }
    }
}

/// `https://nexus.example`, without path: what issuers and links are built from.
fn origin(text: &str) -> Result<Uri, String> {
    let trimmed = text.trim_end_matches('/');
    let uri: Uri = trimmed.parse().map_err(|error| format!("not a URL: {error}"))?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let bare = uri.authority().is_some() && matches!(uri.path(), "" | "/") && uri.query().is_none();
    if web && bare { Ok(uri) } else { Err("it must be like https://nexus.example".into()) }
}

impl HomeOptions {
    /// Logging as these options and the OpenTelemetry variables ask for it.
    pub fn observability(&self) -> Result<nexus_observability::Settings> {
        use nexus_observability::{Format, otlp};
        let format = match self.log_format {
            Some(LogFormat::Json) => Format::Json,
            Some(LogFormat::Pretty) => Format::Pretty,
            None => Format::fitting(),
        };
        let otlp = otlp::Settings::read(crate::VERSION, |name| std::env::var(name).ok())?;
        Ok(nexus_observability::Settings { format, filter: self.log.clone(), otlp })
    }
}

impl UpOptions {
    /// Reads the manifest and the runtime configuration and puts everything together.
    ///
    /// Fails when a file is missing or says something this host does not do.
    pub fn settings(self) -> Result<Settings> {
        let file = manifest::file(&self.application)?;
        let manifest = manifest::read(&file, &self.application.component_ids)?;
        let folder = file.parent().unwrap_or(std::path::Path::new("."));
        let mut settings = Settings::new(self.home.home, manifest);
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
fn migrations_of(folder: &std::path::Path) -> Option<PathBuf> {
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

impl MintOptions {
    /// The tenant the token names.
    pub fn tenant(&self) -> Uuid {
        self.tenant.unwrap_or(nexus_runtime::DEFAULT_TENANT)
    }
}

/// Where `cargo xtask build` and the images put it.
fn program_beside() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.with_file_name("nx-media");
    program.is_file().then_some(program)
}

/// The process's environment; what is not UTF-8 cannot be a variable of the application.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

impl CommandLine {
    /// Reads the arguments of the process; on a mistake prints what is wrong and exits with 2.
    pub fn read() -> Self {
        Self::parse()
    }

    /// As [`CommandLine::read`], for any arguments.
    pub fn read_from<I, T>(arguments: I) -> Result<Self>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        Self::try_parse_from(arguments).context("read the command line")
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
