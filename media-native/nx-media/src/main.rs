//! `nx-media`: every native worker in one program. Knows which there are, the command line and the
//! signals; the loop is the protocol's, the work each worker's.

mod shifts;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use futures::future::try_join_all;
use nexus_media_mail::Mail;
use nexus_media_probe::Probe;
use nexus_media_protocol::wire::Offers;
use nexus_media_protocol::{Crew, Settings, Token};
use nexus_media_thumbnail::{Image, Thumbnail};
use nexus_media_transcode::Transcode;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Does media jobs for a Nexus host: claims them over HTTP, works, tells how it went.
#[derive(Debug, Parser)]
#[command(name = "nx-media", version, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Work until told to stop (SIGINT or SIGTERM): running jobs may finish within a bound, then
    /// they are given back
    Run(RunOptions),
    /// Print the kinds of jobs that this program does, one a line
    Kinds,
}

#[derive(Debug, Args)]
struct RunOptions {
    /// The host's operators' address
    #[arg(long, env = "NEXUS_HOST", value_name = "URL", default_value = "http://127.0.0.1:8081")]
    host: String,
    /// The workers' token; a variable only, because other users can read command lines
    #[arg(long, env = "NEXUS_WORKER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file that holds the token, such as `worker-token` of the host's home
    #[arg(long, env = "NEXUS_WORKER_TOKEN_FILE", value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Only these kinds
    #[arg(long, env = "NEXUS_WORKER_KINDS", value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<String>,
    /// What this machine offers, as JSON, e.g. `{"gpu": 1, "codec": ["av1"]}`; the encoders that
    /// work here are found out
    #[arg(long, env = "NEXUS_WORKER_OFFERS", value_name = "JSON", default_value = "{}",
        value_parser = offers)]
    offers: Offers,
    /// Long jobs at once; mail, pictures and first versions of films have places of their own
    #[arg(long, env = "NEXUS_WORKER_JOBS", value_name = "NUMBER", default_value = "1")]
    jobs: NonZeroUsize,
    /// Folder for the files of running jobs; default: `nx-media` in the temporary folder
    #[arg(long, env = "NEXUS_WORKER_SCRATCH", value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    /// Seconds that running jobs get to finish when the program is told to stop
    #[arg(long, env = "NEXUS_WORKER_DRAIN", value_name = "SECONDS", default_value_t = 10)]
    drain_seconds: u32,
    /// End, with success, once nothing was to be done for so many seconds: for machines that are
    /// started when there is work (KEDA's ScaledJob); default: wait for ever
    #[arg(long, env = "NEXUS_WORKER_IDLE_EXIT", value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    idle_exit: Option<u32>,
    /// Which log lines are written
    #[arg(long, env = "NEXUS_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

fn offers(text: &str) -> Result<Offers, String> {
    serde_json::from_str(text).map_err(|error| format!("no JSON object: {error}"))
}

fn crew(transcode: Transcode) -> Crew {
    let crew = Crew::default().with(Mail::from_env()).with(Probe::default());
    crew.with(Image).with(Thumbnail).with(transcode)
}

fn main() -> Result<()> {
    match CommandLine::parse().command {
        Command::Kinds => {
            crew(Transcode::default()).kinds().for_each(|kind| println!("{kind}"));
            Ok(())
        }
        Command::Run(options) => {
            let filter = tracing_subscriber::EnvFilter::try_new(&options.log);
            tracing_subscriber::fmt()
                .with_env_filter(filter.context("read NEXUS_LOG")?)
                .with_writer(std::io::stderr)
                .with_ansi(false)
                .without_time()
                .init();
            // What was in memory here is somebody's film.
            setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
                .context("leave no core files")?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .context("start threads")?;
            let worked = runtime.block_on(work(options));
            // A job's thread that would not stop ends with the process.
            runtime.shutdown_background();
            worked
        }
    }
}

async fn work(options: RunOptions) -> Result<()> {
    let token = token(&options)?;
    let scratch = options.scratch.unwrap_or_else(|| std::env::temp_dir().join("nx-media"));
    let quick = crew(Transcode::default());
    let kinds = if options.kinds.is_empty() {
        quick.kinds().map(str::to_owned).collect()
    } else {
        options.kinds
    };
    let settings = Settings {
        host: options.host,
        token,
        name: name(),
        scratch,
        kinds: Some(kinds),
        offers: options.offers,
        most: options.jobs.get(),
        drain: Duration::from_secs(options.drain_seconds.into()),
        idle_exit: options.idle_exit.map(|seconds| Duration::from_secs(seconds.into())),
    };
    let (tell, told) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt()).context("listen to SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen to SIGTERM")?;
    let asked = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tell.send_replace(true);
        // The shifts end everything.
        std::future::pending::<()>().await;
    };
    let ended = |mut told: watch::Receiver<bool>| async move {
        drop(told.wait_for(|told| *told).await);
    };
    let quickly = async {
        match shifts::quick(&settings) {
            Some(shift) => quick.run(shift, ended(told.clone())).await,
            None => Ok(()),
        }
    };
    let films = async {
        let shifts = shifts::films(&settings);
        if shifts.is_empty() {
            return Ok(());
        }
        // Whoever waits for mail does not wait for this.
        let transcode = Transcode::detect(&std::env::temp_dir()).await;
        let encoders: Vec<_> = transcode.encoders().collect();
        let crew = crew(transcode);
        let working = shifts.into_iter().map(|mut shift| {
            shifts::offer(&mut shift.offers, "encoder", encoders.iter().copied());
            crew.run(shift, ended(told.clone()))
        });
        try_join_all(working).await.map(|_| ())
    };
    tokio::select! {
        worked = async { tokio::try_join!(quickly, films) } => {
            worked.map(|_| ()).context("work for the host")
        }
        () = asked => Ok(()),
    }
}

fn token(options: &RunOptions) -> Result<Token> {
    let token = match (&options.token, &options.token_file) {
        (Some(token), _) => token.clone(),
        (None, Some(file)) => {
            std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?
        }
        (None, None) => anyhow::bail!("there is no token: set NEXUS_WORKER_TOKEN"),
    };
    Ok(Token::new(&token)?)
}

/// Machine and process, as the host accepts it.
fn name() -> String {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let machine: String = machine.chars().filter(char::is_ascii_graphic).take(60).collect();
    format!("{machine}/{}", std::process::id())
}
