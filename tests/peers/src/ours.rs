//! Our host, by its real program with default settings: a manifest of probes, a home of its own.

use crate::database::Database;
use crate::process::{Process, free_address};
use crate::{Wanted, repository};
use anyhow::{Context as _, Result, ensure};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The service that the guest `measured` is.
pub const SERVICE: &str = "probe-measured";

/// Who is asked by who asks another service.
pub const SECOND: &str = "second";

/// A component of the host's manifest.
pub struct Part {
    pub id: String,
    pub source: PathBuf,
    /// Spin's pattern.
    pub route: String,
    /// Of `[component.X.tool.nexus]`.
    pub lines: &'static str,
}

impl Part {
    /// A probe at `/<id>/...`.
    pub fn of(id: &str, probe: &str, lines: &'static str) -> Result<Self> {
        let (id, route, source) = (id.to_owned(), format!("/{id}/..."), probe_file(probe)?);
        Ok(Self { id, source, route, lines })
    }
}

/// A staged probe.
///
/// # Errors
/// When it is not staged.
pub fn probe_file(name: &str) -> Result<PathBuf> {
    let file = repository().join(".nexus/probes").join(format!("{name}.wasm"));
    ensure!(file.is_file(), "{} is missing: run cargo xtask build {name}", file.display());
    Ok(file)
}

/// A home and what runs in it: started as often as one likes.
pub struct Home {
    folder: TempDir,
    program: PathBuf,
    database: String,
    operators: SocketAddr,
}

impl Home {
    /// Writes a manifest of `parts`.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn make(wanted: &Wanted, database: &Database, parts: &[Part]) -> Result<Self> {
        let folder = TempDir::with_prefix("nx-").context("make a temporary folder")?;
        let (program, operators) = (wanted.nexus(), free_address()?);
        let home = Self { folder, program, database: database.url(), operators };
        home.rewrite(parts)?;
        Ok(home)
    }

    /// Another manifest in its place.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rewrite(&self, parts: &[Part]) -> Result<()> {
        let text = manifest(parts)?;
        std::fs::write(self.folder().join("spin.toml"), text).context("write a manifest")
    }

    /// Files beside the manifest.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the host; returns when it is ready.
    ///
    /// # Errors
    /// When it does not become so.
    pub fn start(&self) -> Result<Process> {
        self.start_with(&[])
    }

    /// As [`Home::start`], with some of the settings of an environment.
    ///
    /// # Errors
    /// As there.
    pub fn start_with(&self, settings: &[(&str, &str)]) -> Result<Process> {
        let public = free_address()?;
        let mut command = self.command(public)?;
        command.envs(settings.iter().copied());
        let log = self.folder().join("host.log");
        Process::start(command, public, log)?.ready("/ready")
    }

    /// Brings a release of [`SERVICE`] to all of its callers, and waits until it is there.
    ///
    /// # Errors
    /// When the running host does not take it.
    pub fn deploy(&self, release: &Path) -> Result<()> {
        let mut deploy = self.program();
        deploy.args(["deploy", "--component", SERVICE, "--strategy", "instant", "--wait"]);
        deploy.args(["--admin", &self.operators.to_string()]).arg(release);
        let deployed = deploy.output().context("deploy a release")?;
        let words = String::from_utf8_lossy(&deployed.stderr);
        ensure!(deployed.status.success(), "a release was not taken: {words}");
        Ok(())
    }

    fn command(&self, public: SocketAddr) -> Result<Command> {
        let mut command = self.program();
        command.args(["up", "-f"]).arg(self.folder().join("spin.toml")).arg("--from-manifest");
        command.env("NEXUS_LISTEN", public.to_string());
        command.env("NEXUS_ADMIN_LISTEN", self.operators.to_string());
        command.env("NEXUS_MIGRATIONS", repository().join("migrations"));
        command.env("DATABASE_URL", &self.database);
        // For the addresses that clients have in `http.rs`.
        command.env("NEXUS_TRUSTED_PROXIES", "127.0.0.1/32");
        Ok(command)
    }

    fn program(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            // Settings of whoever runs this are not what is measured.
            let text = name.to_string_lossy();
            if ["NEXUS_", "SPIN_", "OTEL_", "REDIS_"].iter().any(|it| text.starts_with(it)) {
                command.env_remove(&name);
            }
        }
        command.env("NEXUS_HOME", self.folder());
        command
    }

    /// A token of a person, whom the host knows by nothing else.
    ///
    /// # Errors
    /// Before the first start.
    pub fn token(&self, subject: &str) -> Result<String> {
        let mut mint = self.program();
        mint.args(["token", "mint", "--kind", "user", "--permissions", "probe-measured:view"]);
        let minted = mint.args(["--subject", subject]).output().context("mint a token")?;
        let words = String::from_utf8_lossy(&minted.stderr);
        ensure!(minted.status.success(), "no token could be minted: {words}");
        Ok(String::from_utf8_lossy(&minted.stdout).trim().to_owned())
    }
}

fn manifest(parts: &[Part]) -> Result<String> {
    let mut text = String::from(
        "spin_manifest_version = 2\n[application]\nname = \"peers\"\nversion = \"0.0.0\"\n\
         [variables.pg_url]\nrequired = true\nsecret = true\n",
    );
    for Part { id, source, route, lines } in parts {
        write!(
            text,
            "[[trigger.http]]\nroute = \"{route}\"\ncomponent = \"{id}\"\n\
             [component.{id}]\nsource = \"{}\"\nvariables = {{ pg_url = \"{{{{ pg_url }}}}\" }}\n\
             allowed_outbound_hosts = [\"http://{SECOND}.spin.internal\"]\n\
             [component.{id}.tool.nexus]\n{lines}\n",
            source.display()
        )?;
    }
    Ok(text)
}
