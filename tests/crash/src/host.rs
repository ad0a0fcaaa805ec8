//! One process of the host's real program: started, asked over HTTP, stopped for a while, killed.

use crate::client::Client;
use crate::ground::{Ground, eventually, repository};
use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A first start may compile, on a busy machine.
const READY_MAX: Duration = Duration::from_secs(120);

/// A stop waits for running requests and deliveries.
const STOP_MAX: Duration = Duration::from_secs(60);

/// A host with a home and addresses of its own, which stay the same from one start to the next.
pub struct HostProcess {
    name: String,
    program: PathBuf,
    manifest: PathBuf,
    migrations: PathBuf,
    /// None where it makes its own.
    url: Option<String>,
    home: PathBuf,
    public: SocketAddr,
    operators: SocketAddr,
    environment: Vec<(String, String)>,
    client: Client,
    child: Option<Child>,
    starts: u32,
}

/// The host's program as `cargo xtask build` stages it.
///
/// # Errors
///
/// When it is not staged.
pub fn program() -> Result<PathBuf> {
    let program = repository().join(".nexus/bin/nexus");
    ensure!(program.is_file(), "{} is missing: run cargo xtask build", program.display());
    Ok(program)
}

impl HostProcess {
    /// Not started yet.
    ///
    /// # Errors
    ///
    /// When its home cannot be made.
    pub fn new(ground: &Ground, program: &Path, name: &str, manifest: &Path) -> Result<Self> {
        let home = ground.folder().join(name);
        std::fs::create_dir(&home).with_context(|| format!("make the home of {name}"))?;
        let compiled = repository().join(".nexus/compiled");
        std::fs::create_dir_all(&compiled).context("make the folder of compiled code")?;
        // What other hosts have compiled need not be compiled again.
        symlink(compiled, home.join("compiled")).context("share compiled code")?;
        Ok(Self {
            name: name.to_owned(),
            program: program.to_owned(),
            manifest: manifest.to_owned(),
            migrations: ground.migrations(),
            url: Some(ground.url().to_owned()),
            home,
            public: free_address()?,
            operators: free_address()?,
            environment: Vec::new(),
            client: Client::default(),
            child: None,
            starts: 0,
        })
    }

    /// One more variable of its environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Not the ground's database, but one that it makes in its home.
    #[must_use]
    pub fn with_its_own_database(mut self) -> Self {
        self.url = None;
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn address(&self) -> SocketAddr {
        self.public
    }

    pub fn operators(&self) -> SocketAddr {
        self.operators
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its number while it runs.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Starts it and does not wait.
    ///
    /// # Errors
    ///
    /// When the program cannot be run.
    pub fn spawn(&mut self) -> Result<()> {
        self.child = Some(self.another(&[])?);
        Ok(())
    }

    /// Starts another process that takes the place of this one, and waits until this one has left.
    ///
    /// # Errors
    ///
    /// When the program cannot be run, or the old process does not end well.
    ///
    /// # Panics
    ///
    /// When the old process does not end.
    pub async fn take_over(&mut self) -> Result<()> {
        let next = self.another(&["--takeover"])?;
        if let Some(before) = self.child.replace(next) {
            let code = ended(before, "the host before leaves").await;
            ensure!(code == Some(0), "the host before ended with {code:?}");
        }
        Ok(())
    }

    /// Starts another process that cannot take this one's place; its exit code.
    ///
    /// # Errors
    ///
    /// When the program cannot be run.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub async fn take_over_in_vain(&mut self) -> Result<Option<i32>> {
        let next = self.another(&["--takeover"])?;
        Ok(ended(next, "the next host gives up").await)
    }

    fn another(&mut self, options: &[&str]) -> Result<Child> {
        self.starts += 1;
        let log = self.home.join(format!("{}.log", self.starts));
        let log = File::create(log).context("make the host's log")?;
        let mut command = Command::new(&self.program);
        // Nothing of the developer's own set-up may leak in.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["NEXUS_", "OTEL_", "SPIN_"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command
            .args(["up", "-f"])
            .arg(&self.manifest)
            .args(options)
            .env("NEXUS_MIGRATIONS", &self.migrations);
        command.env("NEXUS_HOME", &self.home).env("NEXUS_LOG_FORMAT", "json");
        command.env("NEXUS_LOG", "info,guest=warn,trigger_http=warn");
        command.env("NEXUS_LISTEN", self.public.to_string());
        command.env("NEXUS_ADMIN_LISTEN", self.operators.to_string());
        // Signed links lead here.
        command.env("NEXUS_PUBLIC_URL", format!("http://{}", self.public));
        command.env("NEXUS_WORKERS", "0");
        command.env_remove("DATABASE_URL").env_remove("REDIS_URL");
        command.envs(self.url.as_ref().map(|url| ("DATABASE_URL", url)));
        // Small enough to start fast.
        command.env("NEXUS_SHARDS", "1").env("NEXUS_INSTANCES_MAX", "256");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let out = log.try_clone().context("share the log between both outputs")?;
        command.stdin(Stdio::null()).stdout(out).stderr(log);
        command.spawn().context("start the host")
    }

    /// Whether it lets calls through at this moment.
    pub async fn is_ready(&self) -> bool {
        self.child.is_some()
            && self.client.get(self.public, "/ready", "").await.is_ok_and(|it| it.status == 200)
    }

    /// Waits until it does.
    ///
    /// # Panics
    ///
    /// When that does not come; the message ends with its log.
    pub async fn ready(&mut self) {
        let end = std::time::Instant::now() + READY_MAX;
        while !self.is_ready().await {
            let ended = self.child.as_mut().is_none_or(|it| !matches!(it.try_wait(), Ok(None)));
            let late = std::time::Instant::now() > end;
            assert!(!ended && !late, "host {} is not ready: {}", self.name, self.last_words());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A token that may do everything, from its home; there once it was ready.
    ///
    /// # Errors
    ///
    /// When it has never been ready.
    pub fn token(&self) -> Result<String> {
        self.secret("dev-token")
    }

    /// One of the secrets in its home.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn secret(&self, file: &str) -> Result<String> {
        let text = std::fs::read_to_string(self.home.join(file));
        Ok(text.with_context(|| format!("read {file} of {}", self.name))?.trim().to_owned())
    }

    /// SIGKILL, and the process is gone when this returns. False when it was not running.
    pub fn kill(&mut self) -> bool {
        let Some(mut child) = self.child.take() else { return false };
        let killed = child.kill().is_ok();
        // A process that nobody waits for keeps its number.
        killed && child.wait().is_ok()
    }

    /// SIGSTOP: it keeps everything and does nothing.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("the host does not run")?;
        kill_process(Pid::from_child(child), signal).context("send a signal to the host")
    }

    /// Asks it to stop and waits until it has; its exit code.
    ///
    /// # Errors
    ///
    /// When it does not run.
    ///
    /// # Panics
    ///
    /// When it does not stop.
    pub async fn stop(&mut self) -> Result<Option<i32>> {
        self.signal(Signal::TERM)?;
        let child = self.child.take().context("the host does not run")?;
        Ok(ended(child, "the host stops").await)
    }

    /// The sum of a counter over all its labels, as Prometheus would read it; None while the host
    /// does not answer, or knows no such counter.
    pub async fn counter(&self, metric: &str) -> Option<f64> {
        let page = self.client.get(self.operators, "/metrics", "").await.ok()?.text();
        let lines = page.lines().filter(|line| {
            let rest = line.strip_prefix(metric);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        let values: Vec<f64> =
            lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Lines of all its logs that contain one of these words.
    pub fn logged(&self, words: &[&str]) -> Vec<String> {
        let logs = (1..=self.starts).map(|n| self.home.join(format!("{n}.log")));
        let texts = logs.filter_map(|log| std::fs::read_to_string(log).ok());
        let found = |text: String| {
            let hits = text.lines().filter(|line| words.iter().any(|word| line.contains(word)));
            hits.map(str::to_owned).collect::<Vec<_>>()
        };
        texts.flat_map(found).collect()
    }

    /// How often it was started.
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// The end of its latest log.
    pub fn last_words(&self) -> String {
        let log = self.home.join(format!("{}.log", self.starts));
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn ended(mut child: Child, what: &str) -> Option<i32> {
    let mut status = None;
    eventually(what, STOP_MAX, async || {
        status = child.try_wait().ok().flatten();
        status.is_some()
    })
    .await;
    status.and_then(|status| status.code())
}

/// A port that is free now; the host takes it a moment later, and again after each kill.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    listener.local_addr().context("read the free port")
}
