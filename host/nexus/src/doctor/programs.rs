//! Programs of this machine that the host, its backups and its workers call.

use super::{Check, Finding, Ground};
use crate::settings::Database as Choice;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(super) const CHECKS: &[Check] = &[
    Check::plain("programs", "postgres", |ground| match &ground.settings {
        Ok(settings) if !matches!(settings.database, Choice::Private) => {
            Finding::skip("DATABASE_URL names a server")
        }
        _ => postgres(&folders(ground)),
    }),
    Check::plain("programs", "pg_dump", |ground| backup_program(&folders(ground), "pg_dump")),
    Check::plain("programs", "pg_restore", |ground| backup_program(&folders(ground), "pg_restore")),
    Check::plain("programs", "workers", |ground| match &ground.settings {
        Ok(settings) if settings.workers.count == 0 => Finding::skip("this host starts none"),
        Ok(settings) => workers(settings.workers.program.as_deref()),
        Err(_) => Finding::skip("the settings are wrong"),
    }),
    Check::plain("programs", "version", |_| {
        Finding::ok(format!("nexus {}", env!("CARGO_PKG_VERSION")))
    }),
];

/// The oldest PostgreSQL that migrations are written for.
const MAJOR_MIN: u32 = 15;

/// Where PostgreSQL's programs may be: the operator's folder alone if there is one.
fn folders(ground: &Ground) -> Vec<PathBuf> {
    if let Some(chosen) = ground.set("NEXUS_PG_BIN") {
        return vec![PathBuf::from(chosen)];
    }
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian.map(|version| version.path().join("bin")).chain(std::env::split_paths(&path)).collect()
}

/// What a program says of its version; None when it does not run.
pub(super) fn version_of(program: &Path, argument: &str) -> Option<String> {
    let said = Command::new(program).arg(argument).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    said.lines().next().map(str::to_owned).filter(|line| !line.is_empty())
}

/// The newest of a program in these folders: its path, its major version, and what it says.
fn newest(folders: &[PathBuf], program: &str) -> Option<(PathBuf, u32, String)> {
    let there = folders.iter().map(|folder| folder.join(program)).filter(|file| file.is_file());
    let told = there.filter_map(|file| {
        let said = version_of(&file, "--version")?;
        let number = said.split_whitespace().find(|word| word.starts_with(char::is_numeric))?;
        let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
        Some((file, digits.parse().ok()?, said))
    });
    told.max_by_key(|(_, major, _)| *major)
}

fn postgres(folders: &[PathBuf]) -> Finding {
    let todo = "`apt-get install postgresql`, or set NEXUS_PG_BIN or DATABASE_URL";
    match newest(folders, "postgres") {
        Some((file, major, said)) if major >= MAJOR_MIN => {
            match file.with_file_name("initdb").is_file() {
                true => Finding::ok(said),
                false => Finding::fail(format!("{said}, without initdb"), todo),
            }
        }
        Some((_, _, said)) => Finding::fail(format!("{said} is too old"), todo),
        None => Finding::fail("there is none on this machine", todo),
    }
}

fn backup_program(folders: &[PathBuf], program: &str) -> Finding {
    let todo = "`apt-get install postgresql-client`: backups need it";
    match newest(folders, program) {
        Some((_, major, said)) if major >= MAJOR_MIN => Finding::ok(said),
        Some((_, _, said)) => Finding::warn(format!("{said} is too old"), todo),
        None => Finding::warn(format!("there is no {program}"), todo),
    }
}

fn workers(program: Option<&Path>) -> Finding {
    match program {
        Some(file) if file.is_file() => Finding::ok(file.display().to_string()),
        Some(file) => Finding::fail(
            format!("{} is no program", file.display()),
            "correct NEXUS_WORKER_PROGRAM, or set NEXUS_WORKERS=0",
        ),
        None => Finding::warn(
            "there is no nx-media beside this program",
            "nothing is transcoded here: `cargo xtask build`, or run workers elsewhere",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Warn};
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn script(folder: &Path, name: &str, says: &str) {
        let file = folder.join(name);
        std::fs::write(&file, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn programs_that_are_old_incomplete_or_missing_are_told() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        script(old.path(), "postgres", "postgres (PostgreSQL) 13.9");
        script(old.path(), "pg_dump", "pg_dump (PostgreSQL) 13.9");
        script(new.path(), "postgres", "postgres (PostgreSQL) 16.2 (Debian)");
        script(new.path(), "pg_dump", "pg_dump (PostgreSQL) 16.2");
        let both = [old.path().to_owned(), new.path().to_owned()];
        assert_eq!((postgres(&both[..1]).outcome, postgres(&[]).outcome), (Fail, Fail));
        assert!(postgres(&both).found.contains("without initdb"));
        script(new.path(), "initdb", "initdb (PostgreSQL) 16.2");
        assert_eq!(postgres(&both).outcome, Ok);
        assert_eq!(backup_program(&both[..1], "pg_dump").outcome, Warn);
        assert_eq!(backup_program(&both, "pg_dump").outcome, Ok);
        assert_eq!(backup_program(&both, "pg_restore").outcome, Warn);
    }

    #[test]
    fn a_host_that_is_to_start_workers_needs_their_program() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nx-media");
        assert_eq!((workers(None).outcome, workers(Some(&file)).outcome), (Warn, Fail));
        std::fs::write(&file, "").unwrap();
        assert_eq!(workers(Some(&file)).outcome, Ok);
    }
}
