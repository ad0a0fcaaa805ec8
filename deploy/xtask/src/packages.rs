//! Debian packages: installs them as root, or says the line to run. Knows apt's habits; refuses
//! to know what the packages are for.

use crate::{progress, shell};
use anyhow::{Context, Result, bail};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

/// Two thousand seconds of a slow mirror; after that something waits for an answer.
const LIMIT: Duration = Duration::from_secs(2_000);

const CLUSTER_CONFIGURATION: &str = "/etc/postgresql-common/createcluster.conf";
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY: &str = "#!/bin/sh\n# written by cargo xtask doctor while it installs\nexit 101\n";

/// The line that a person would run to get `packages`.
pub fn line(packages: &[&str]) -> String {
    let sudo = if shell::is_root() { "" } else { "sudo " };
    let install = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    format!("{sudo}apt-get update && {sudo}{install}")
}

/// Whether this process may install packages here.
pub fn may_install() -> bool {
    shell::is_root() && shell::find("apt-get").is_some()
}

/// Installs `packages` without starting any service that they bring: we run our own servers, in
/// our own folders, and a database on the usual port is somebody else's business.
pub fn install(packages: &[&str], logs: &Path) -> Result<()> {
    if !may_install() {
        bail!("run: {}", line(packages));
    }
    let log = logs.join("apt.log");
    let _no_services = NoServices::declare()?;
    keep_from_creating_a_cluster()?;
    progress::stage("apt-get update", || shell::run_into(apt().arg("update"), &log, LIMIT))?;
    progress::stage(&format!("apt-get install {}", packages.join(" ")), || {
        let mut apt = apt();
        apt.args(["install", "-y", "--no-install-recommends"]).args(packages);
        shell::run_into(&mut apt, &log, LIMIT)
    })
    .with_context(|| format!("to try by hand: {}", line(packages)))?;
    keep_from_starting_at_boot(packages, &log)
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    // Another apt may be at work (a fresh machine updates itself); keep configuration files that
    // are there already, one of which we may just have written.
    apt.args(["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confold"]);
    apt
}

/// Debian's PostgreSQL package makes and starts a cluster on port 5432 unless this says no.
fn keep_from_creating_a_cluster() -> Result<()> {
    let path = Path::new(CLUSTER_CONFIGURATION);
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().context("the file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let words = "# written by cargo xtask doctor: the binaries are wanted, not a cluster\n\
                 create_main_cluster = false\n";
    fs::write(path, words).with_context(|| format!("write {CLUSTER_CONFIGURATION}"))
}

fn keep_from_starting_at_boot(packages: &[&str], log: &Path) -> Result<()> {
    if !Path::new("/run/systemd/system").is_dir() || !packages.contains(&"redis-server") {
        return Ok(());
    }
    let mut systemctl = Command::new("systemctl");
    systemctl.args(["disable", "redis-server"]);
    shell::run_into(&mut systemctl, log, Duration::from_secs(60))
}

/// While this lives, installed services are not started (Debian policy §9.3.3, `policy-rc.d`).
struct NoServices {
    ours: Option<PathBuf>,
}

impl NoServices {
    fn declare() -> Result<Self> {
        let path = PathBuf::from(SERVICE_POLICY);
        match fs::read_to_string(&path) {
            // Left over from a run that was killed: it is ours to take away.
            Ok(text) if text == POLICY => Ok(Self { ours: Some(path) }),
            Ok(_) => Ok(Self { ours: None }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::write(&path, POLICY).with_context(|| format!("write {SERVICE_POLICY}"))?;
                let executable = fs::Permissions::from_mode(0o755);
                fs::set_permissions(&path, executable)
                    .with_context(|| format!("make {SERVICE_POLICY} executable"))?;
                Ok(Self { ours: Some(path) })
            }
            Err(error) => Err(error).with_context(|| format!("read {SERVICE_POLICY}")),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(path) = &self.ours
            && let Err(error) = fs::remove_file(path)
        {
            eprintln!("    could not remove {}: {error}", path.display());
        }
    }
}
