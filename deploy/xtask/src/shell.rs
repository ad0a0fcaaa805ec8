//! Running programs: the child's output is the user's, the error names the command as typed.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What `cargo run` leaves in the environment of a program it starts. A second cargo must not
/// see it: build scripts that watch such a variable would run again on every call, and the
/// library path of one compiler would reach the other.
const LEFT_BY_CARGO: [&str; 5] =
    ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/// The user's own `cargo` in `folder`, as if typed at the prompt.
pub fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let left = LEFT_BY_CARGO.iter().any(|it| text == *it);
        if left || text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_BIN_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Runs to the end; its output goes where ours goes.
pub fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    let status = command.status().with_context(|| format!("start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs to the end and returns what it wrote to stdout; stderr is part of the error.
pub fn capture(command: &mut Command) -> Result<String> {
    let line = line(command);
    let answer =
        command.stdin(Stdio::null()).output().with_context(|| format!("start `{line}`"))?;
    if !answer.status.success() {
        let words = String::from_utf8_lossy(&answer.stderr);
        bail!("`{line}` failed ({}): {}", answer.status, words.trim());
    }
    String::from_utf8(answer.stdout).with_context(|| format!("`{line}` wrote no text"))
}

/// The first line that a program says about its version, on stdout; `None` when it cannot run.
pub fn first_line(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let text = capture(Command::new(program).args(arguments)).ok()?;
    text.lines().next().map(str::to_owned)
}

/// Runs with its output in `log`, and ends it when `limit` has passed.
pub fn run_into(command: &mut Command, log: &Path, limit: Duration) -> Result<()> {
    let line = line(command);
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let out = std::fs::File::create(log).with_context(|| format!("write {}", log.display()))?;
    let err = out.try_clone().context("share the log between both outputs")?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let mut child = command.spawn().with_context(|| format!("start `{line}`"))?;
    let end = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("wait for `{line}`"))? {
            break status;
        }
        if Instant::now() > end {
            child.kill().with_context(|| format!("end `{line}`"))?;
            child.wait().with_context(|| format!("wait for `{line}`"))?;
            bail!("`{line}` took longer than {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if !status.success() {
        bail!("`{line}` failed ({status}); the end of {}:\n{}", log.display(), tail(log, 15));
    }
    Ok(())
}

/// The last `lines` lines of a file, each indented; empty when it cannot be read.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    let last = &all[all.len().saturating_sub(lines)..];
    last.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// Where a program is found on PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Whether this process may install packages for the whole machine.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command as one would type it.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+:,./@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{word}'") }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_named_as_one_would_type_it() {
        let error = capture(Command::new("sh").args(["-c", "echo no >&2; exit 3"]));
        let words = error.expect_err("exit 3 is a failure").to_string();
        assert_eq!(words, "`sh -c 'echo no >&2; exit 3'` failed (exit status: 3): no");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_at_its_limit() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let began = Instant::now();
        let limit = Duration::from_millis(200);
        let error = run_into(Command::new("sleep").arg("30"), &folder.path().join("log"), limit);
        assert!(error.expect_err("30 s is too long").to_string().contains("longer than"));
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
