//! The peers: the native twin, `wasmtime serve`, Express. One that is not installed is left out.

use crate::database::Database;
use crate::ours::probe_file;
use crate::process::{Process, free_address};
use crate::{Wanted, told};
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// What `wasmtime serve` is told to reuse instances well: from the help of its own options and of
/// wasmtime's pooling allocator.
const TUNED: [&str; 10] = [
    "--max-instance-reuse-count",
    "1000000",
    "--max-instance-concurrent-reuse-count",
    "32",
    "--idle-instance-timeout",
    "60s",
    "-Opooling-memory-keep-resident=4194304",
    "-Opooling-table-keep-resident=262144",
    "-Opooling-total-core-instances=4000",
    "--no-logging-prefix",
];

/// How `wasmtime serve` treats instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// As it comes.
    Default,
    /// With the settings that make it fastest.
    Tuned,
    /// One for each request, and fast at that.
    Never,
}

/// The native twin.
///
/// # Errors
/// When it does not start.
pub fn twin(folder: &Path, database: Option<&Database>) -> Result<Process> {
    start_twin(folder, "twin", database.map(Database::url).as_slice())
}

/// The native twin with its rows over sqlx.
///
/// # Errors
/// When it does not start, as one that was built without.
pub fn twin_over_sqlx(folder: &Path, database: &Database) -> Result<Process> {
    start_twin(folder, "twin-over-sqlx", &[database.whole_url(), "sqlx".to_owned()])
}

fn start_twin(folder: &Path, name: &str, arguments: &[String]) -> Result<Process> {
    let address = free_address()?;
    let own = std::env::current_exe().context("find this program")?;
    let mut command = Command::new(own.with_file_name("twin"));
    command.arg(address.to_string()).args(arguments);
    Process::start(command, address, folder.join(format!("{name}.log")))?.ready("/hello")
}

/// `wasmtime serve` with the guest `plain`, compiled before.
///
/// # Errors
/// When it is installed and does not start.
pub fn serve(wanted: &Wanted, folder: &Path, reuse: Reuse) -> Result<Option<Process>> {
    let program = wanted.tools.join("wasmtime/bin/wasmtime");
    if !program.is_file() {
        told::word("wasmtime is not installed: `wasmtime serve` is left out");
        return Ok(None);
    }
    let address = free_address()?;
    let mut command = Command::new(&program);
    command.args(["serve", "-Scli", "--addr", &address.to_string()]);
    match reuse {
        Reuse::Default => {}
        Reuse::Tuned => {
            command.args(TUNED);
        }
        Reuse::Never => {
            command.args(["--max-instance-reuse-count", "1"]).args(&TUNED[6..]);
        }
    }
    command.arg(probe_file("plain")?);
    let log = folder.join(format!("serve-{reuse:?}.log"));
    Process::start(command, address, log)?.ready("/hello").map(Some)
}

/// Express, in one process.
///
/// # Errors
/// When it is installed and does not start.
pub fn express(
    wanted: &Wanted,
    folder: &Path,
    database: Option<&Database>,
) -> Result<Option<Process>> {
    let home = wanted.tools.join("express");
    if !home.join("node_modules/express").is_dir() {
        told::word("Express is not installed: it is left out");
        return Ok(None);
    }
    let address = free_address()?;
    let mut node = Command::new("node");
    node.arg(home.join("server.mjs")).arg(address.port().to_string());
    node.args(database.map(Database::socket)).env("NODE_ENV", "production");
    let log = folder.join(format!("express-{}.log", address.port()));
    Process::start(node, address, log)?.ready("/hello").map(Some)
}

/// A folder for everybody's logs.
///
/// # Errors
/// When none can be made.
pub fn logs() -> Result<TempDir> {
    TempDir::new().context("make a temporary folder")
}

/// Ensures that `answer` is a success that ends with `body`: what is measured must be the same.
///
/// # Errors
/// When it is something else.
pub fn ensure_body(who: &str, answer: &str, body: &str) -> Result<()> {
    let well = answer.starts_with("HTTP/1.1 20") && answer.contains(body);
    ensure!(well, "{who} answered something else: {answer}");
    Ok(())
}
