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
mod token;
mod up;

pub use artifact::{KeysCommand, KeysOptions, PullOptions, PushOptions};
pub use backup::{
    BackupCommand, BackupOptions, BackupVerifyOptions, KeyOptions, LogOptions, RestoreOptions,
};
pub use build::BuildOptions;
pub use configuration::{
    ConfigCommand, ConfigOptions, ForceOptions, ReasonOptions, SecretCommand, SecretOptions,
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
pub use token::{MintOptions, TokenCommand, TokenKind};
pub use up::{AdminOptions, DevTokens, HttpOptions, StoreOptions, UpOptions};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use http::Uri;
use std::path::PathBuf;

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
Logging: NEXUS_LOG, NEXUS_LOG_FORMAT. Traces and metrics go to an OpenTelemetry collector when \
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
    #[command(after_help = rollout::TRAFFIC_CODES)]
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

/// Where compiled code is kept.
#[derive(Debug, Args)]
pub struct CompiledOptions {
    /// Folder of the components' compiled code, which may be filled ahead of the start (`compile`)
    /// and shared by hosts of one user; default: `compiled` in the home folder
    ///
    /// Whoever can write there decides what this host runs.
    #[arg(long, env = "NEXUS_COMPILED", value_name = "FOLDER")]
    pub compiled: Option<PathBuf>,
    /// Whether components' computing is bounded, by `cpu_ms` and by turns
    ///
    /// `off` answers up to a tenth more requests, for components that are trusted to come to an
    /// end: one that does not keeps its thread until the host is restarted.
    #[arg(long, env = "NEXUS_CPU_LIMITS", value_name = "WHEN", default_value = "on")]
    pub cpu_limits: CpuLimits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CpuLimits {
    /// Always
    On,
    /// Never
    Off,
}

impl CompiledOptions {
    pub(crate) fn apply(self, settings: &mut crate::settings::Settings) {
        if let Some(folder) = self.compiled {
            settings.compiled = folder;
        }
        settings.cpu_limits = self.cpu_limits == CpuLimits::On;
    }
}

#[derive(Debug, Args)]
pub struct CompileOptions {
    #[command(flatten)]
    pub home: HomeOptions,
    #[command(flatten)]
    pub application: ApplicationOptions,
    #[command(flatten)]
    pub compiled: CompiledOptions,
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
