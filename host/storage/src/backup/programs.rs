//! Where `pg_dump` and `pg_restore` are. A server is dumped by programs of its own version or a
//! newer one, which are not always where a server's programs are. Refuses to know what they do.

use crate::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program of exactly this major version, otherwise the oldest one that is newer.
pub(super) fn find(program: &'static str, major: u32) -> Result<PathBuf, Error> {
    let found = folders().into_iter().map(|folder| folder.join(program));
    let found = found.filter(|path| path.is_file());
    let versions = found.filter_map(|path| Some((version(&path)?, path)));
    let fitting = versions.filter(|(version, _)| *version >= major);
    let best = fitting.min_by_key(|(version, _)| *version);
    best.map(|(_, path)| path).ok_or(Error::NoProgram { program, major })
}

/// The operator's choice alone if there is one; otherwise Debian's folders and PATH.
fn folders() -> Vec<PathBuf> {
    if let Some(chosen) = std::env::var_os("NEXUS_PG_BIN") {
        return vec![chosen.into()];
    }
    let debian = std::fs::read_dir("/usr/lib/postgresql");
    let versions = debian.into_iter().flatten().flatten().map(|dir| dir.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    versions.chain(std::env::split_paths(&path)).collect()
}

/// From `pg_dump (PostgreSQL) 15.14 (Debian …)`.
fn version(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").output().ok()?;
    major_of(&String::from_utf8_lossy(&output.stdout))
}

fn major_of(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(2)?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_program_is_its_third_word() {
        assert_eq!(major_of("pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("pg_restore (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("not found"), None);
    }
}
