//! What this machine has and lacks. Installs what is missing when it may, otherwise prints the
//! exact line to run. Changes nothing, and takes well under a second, when all is there.

use crate::workspace::Workspace;
use crate::{packages, progress, shell, toolchain};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A first build of host, guests and tests writes about this much.
const DISK_GIB_MIN: u64 = 12;

/// Some programs tell their life's story where a version is asked for.
const VERSION_SHOWN_MAX: usize = 60;

/// The test runner is compiled from source: minutes on two cores.
const NEXTEST_LIMIT: Duration = Duration::from_secs(3_600);

/// What a command is about to do, and so what it cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Compile host and guests.
    Build,
    /// Start the host: a build, and PostgreSQL unless `DATABASE_URL` names a server.
    Run,
    /// Everything the tests start for themselves.
    All,
}

/// One thing looked at.
#[derive(Debug)]
struct Check {
    name: &'static str,
    found: Result<String, String>,
    /// Debian packages that bring it; empty when apt is not its source.
    packages: &'static [&'static str],
    /// What else to run, when apt is not its source.
    line: &'static str,
    needed_for: Purpose,
    /// Work goes on without it, only less well.
    optional: bool,
}

/// `cargo xtask doctor`: looks at everything, mends what it may, prints what it saw.
pub fn run(ws: &Workspace, only_look: bool) -> Result<()> {
    if !only_look {
        toolchain::forget_refusal(ws);
    }
    let checks = if only_look {
        look(ws)
    } else {
        bring_nextest(ws);
        mend(ws, look(ws), Purpose::All)
    };
    for check in &checks {
        match &check.found {
            Ok(version) => {
                let short: String = version.chars().take(VERSION_SHOWN_MAX).collect();
                println!("  ok       {:<16} {short}", check.name);
            }
            Err(lacks) => {
                let word = if check.optional { "absent " } else { "MISSING" };
                println!("  {word}  {:<16} {lacks}", check.name);
                println!("           {:<16} run: {}", "", check.remedy());
            }
        }
    }
    refuse_if_lacking(&checks, Purpose::All)
}

/// Makes sure that the machine can do `purpose`; silent when it can.
pub fn ensure(ws: &Workspace, purpose: Purpose) -> Result<()> {
    let checks = mend(ws, look(ws), purpose);
    refuse_if_lacking(&checks, purpose)
}

impl Check {
    fn remedy(&self) -> String {
        if self.packages.is_empty() { self.line.into() } else { packages::line(self.packages) }
    }

    fn is_lacking(&self, purpose: Purpose) -> bool {
        self.found.is_err() && !self.optional && self.needed_for.is_part_of(purpose)
    }
}

impl Purpose {
    fn is_part_of(self, other: Self) -> bool {
        other == Self::All || self == other || (self == Self::Build && other == Self::Run)
    }
}

fn refuse_if_lacking(checks: &[Check], purpose: Purpose) -> Result<()> {
    let lacking = checks.iter().filter(|check| check.is_lacking(purpose));
    let lines: Vec<_> = lacking
        .map(|check| {
            let lacks = check.found.as_ref().err().map_or("", String::as_str);
            format!("  {}: {lacks}\n    run: {}", check.name, check.remedy())
        })
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    bail!("this machine lacks something that has to be there:\n{}", lines.join("\n"))
}

fn look(ws: &Workspace) -> Vec<Check> {
    let program = |name, found, packages, needed_for| Check {
        name,
        found,
        packages,
        line: "",
        needed_for,
        optional: false,
    };
    vec![
        Check {
            line: "curl -fsSL https://sh.rustup.rs | sh -s -- -y  (or: rustup update stable)",
            ..program("rust", at_least("rustc", "--version", &ws.rust_version), &[], Purpose::Build)
        },
        program(
            "C linker",
            first_of(&["cc", "gcc", "clang"]),
            &["gcc", "libc6-dev"],
            Purpose::Build,
        ),
        Check {
            line: "rustup target add wasm32-wasip2",
            ..program("guest compiler", guest(ws), guest_packages(), Purpose::Build)
        },
        Check {
            line: "cargo install cargo-nextest --locked  (tests run without it, too)",
            optional: true,
            ..program("cargo-nextest", nextest(), &[], Purpose::All)
        },
        program("PostgreSQL", postgres(), &["postgresql"], Purpose::Run),
        program(
            "Redis",
            at_least("redis-server", "--version", "7"),
            &["redis-server"],
            Purpose::All,
        ),
        program("ffmpeg", at_least("ffmpeg", "-version", "5.1"), &["ffmpeg"], Purpose::All),
        // Clients of others, and a browser, judge what we serve.
        program("Node.js", node(), &["nodejs"], Purpose::All),
        program("npm", at_least("npm", "--version", "8"), &["npm"], Purpose::All),
        program("Python", virtual_environments(), &["python3-venv"], Purpose::All),
        program("Chromium", first_of(&["chromium", "google-chrome"]), &["chromium"], Purpose::All),
        // Registries of others judge our artifacts.
        program(
            "OCI registry",
            first_of(&["docker-registry", "registry"]),
            &["docker-registry"],
            Purpose::All,
        ),
        program("skopeo", at_least("skopeo", "--version", "1"), &["skopeo"], Purpose::All),
        // So that the browser trusts a CA of a test's own.
        program("certutil", first_of(&["certutil"]), &["libnss3-tools"], Purpose::All),
        Check {
            line: "free some space, or set CARGO_TARGET_DIR to a roomier disk",
            optional: true,
            ..program("free disk", disk(&ws.root), &[], Purpose::Build)
        },
    ]
}

/// Brings what `purpose` lacks, as far as this process may, and looks again.
fn mend(ws: &Workspace, checks: Vec<Check>, purpose: Purpose) -> Vec<Check> {
    if !checks.iter().any(|check| check.is_lacking(purpose)) {
        return checks;
    }
    if checks.iter().any(|check| check.name == "guest compiler" && check.is_lacking(purpose)) {
        let asked =
            progress::stage("rustup target add wasm32-wasip2", || toolchain::ask_rustup(ws));
        if let Err(error) = asked {
            eprintln!("    {error:#}\n    trying the distribution's compiler");
        }
    }
    if packages::may_install() {
        // Tools and servers apart: a distribution without one still gives the other.
        let (tools, servers): (Vec<_>, Vec<_>) = look(ws)
            .into_iter()
            .filter(|check| check.is_lacking(purpose))
            .partition(|check| check.needed_for == Purpose::Build);
        for group in [tools, servers] {
            let wanted: Vec<_> = group.iter().flat_map(|check| check.packages).copied().collect();
            if wanted.is_empty() {
                continue;
            }
            if let Err(error) = packages::install(&wanted, &ws.target.join("xtask")) {
                eprintln!("    {error:#}");
            }
        }
    }
    look(ws)
}

/// Only when somebody asks the doctor: a test run would be over before this is.
fn bring_nextest(ws: &Workspace) {
    if nextest().is_ok() {
        return;
    }
    let mut cargo = shell::cargo(&ws.root);
    cargo.args(["install", "cargo-nextest", "--locked"]);
    let log = ws.target.join("xtask/nextest.log");
    let brought = progress::stage("cargo install cargo-nextest --locked", || {
        shell::run_into(&mut cargo, &log, NEXTEST_LIMIT)
    });
    if let Err(error) = brought {
        eprintln!("    {error:#}\n    tests run without it, too");
    }
}

fn at_least(program: &str, ask: &str, least: &str) -> Result<String, String> {
    match shell::first_line(program, &[ask]) {
        Some(version) if toolchain::at_least(&version, least) => Ok(version),
        Some(version) => Err(format!("{version}; {least} or newer is needed")),
        None => Err(format!("{program} is not installed")),
    }
}

/// Its own version is not written as others write theirs: `v18.20.4`.
fn node() -> Result<String, String> {
    match shell::first_line("node", &["--print", "process.versions.node"]) {
        Some(version) if toolchain::at_least(&version, "18") => Ok(version),
        Some(version) => Err(format!("{version}; 18 or newer is needed")),
        None => Err("node is not installed".into()),
    }
}

/// Python that can make virtual environments; Debian keeps that in a package of its own.
fn virtual_environments() -> Result<String, String> {
    at_least("python3", "--version", "3.9")?;
    let ask = ["-c", "import ensurepip, platform, venv; print(platform.python_version())"];
    let version = shell::first_line("python3", &ask);
    version.ok_or_else(|| "it cannot make virtual environments".into())
}

fn first_of(programs: &[&str]) -> Result<String, String> {
    let found = programs.iter().find_map(|program| shell::find(program));
    found.map(|path| path.display().to_string()).ok_or_else(|| "none is installed".into())
}

fn guest(ws: &Workspace) -> Result<String, String> {
    let found = toolchain::find(ws).map_err(|error| error.to_string())?;
    Ok(found.describe().into())
}

/// Debian's compiler is offered only where there is apt; elsewhere rustup is the way.
fn guest_packages() -> &'static [&'static str] {
    if shell::find("apt-get").is_some() { &toolchain::DEBIAN_PACKAGES } else { &[] }
}

/// Whether the test runner is there.
pub fn nextest() -> Result<String, String> {
    let version = shell::first_line("cargo-nextest", &["nextest", "--version"]);
    version.ok_or_else(|| "not installed; plain cargo test is used".into())
}

/// The newest PostgreSQL whose server programs are on this machine: on PATH, where Debian keeps
/// them beside one another, or wherever `pg_config` points. A `DATABASE_URL` stands in for it.
fn postgres() -> Result<String, String> {
    let mut places: Vec<PathBuf> = shell::find("postgres").into_iter().collect();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    places.extend(debian.map(|entry| entry.path().join("bin/postgres")));
    if let Some(folder) = shell::first_line("pg_config", &["--bindir"]) {
        places.push(Path::new(&folder).join("postgres"));
    }
    let versions = places.iter().filter_map(|place| shell::first_line(place, &["--version"]));
    let versions: Vec<_> = versions.collect();
    if let Some(good) = versions.iter().find(|version| toolchain::at_least(version, "15")) {
        return Ok(good.clone());
    }
    if std::env::var_os("DATABASE_URL").is_some() {
        return Ok("the server of DATABASE_URL".into());
    }
    match versions.first() {
        Some(old) => Err(format!("{old}; 15 or newer is needed")),
        None => Err("no server programs found".into()),
    }
}

fn disk(folder: &Path) -> Result<String, String> {
    let space = rustix::fs::statvfs(folder).map_err(|error| format!("cannot be read: {error}"))?;
    let gib = space.f_bavail * space.f_frsize / (1 << 30);
    if gib >= DISK_GIB_MIN {
        return Ok(format!("{gib} GiB"));
    }
    Err(format!("{gib} GiB; a first build of everything takes about {DISK_GIB_MIN} GiB"))
}
