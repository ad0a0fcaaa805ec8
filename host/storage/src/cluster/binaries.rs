//! Where this machine keeps PostgreSQL's programs. Knows Debian's layout, PATH and
//! `NEXUS_PG_BIN`; refuses to know what is done with them.

use crate::error::{Error, OLDEST_MAJOR};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with `initdb` and `postgres`, and their major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) folder: PathBuf,
    pub(crate) major: u32,
}

impl Binaries {
    /// The newest installed version, or the one that made an existing cluster.
    pub(crate) fn find(made_by: Option<&str>, data: &Path) -> Result<Self, Error> {
        let (found, looked) = installed();
        if let Some(made_by) = made_by {
            let same = found.into_iter().find(|b| b.major.to_string() == made_by);
            return same.ok_or_else(|| Error::OtherMajor {
                folder: data.to_owned(),
                made_by: made_by.to_owned(),
            });
        }
        let newest = found.into_iter().max_by_key(|b| b.major);
        match newest {
            Some(newest) if newest.major >= OLDEST_MAJOR => Ok(newest),
            Some(old) => Err(Error::TooOld {
                found: old.major.to_string(),
                address: old.folder.display().to_string(),
            }),
            None => Err(Error::NoServer { looked }),
        }
    }
}

/// Everything found, the operator's choice alone if there is one, and where it was looked for.
fn installed() -> (Vec<Binaries>, String) {
    if let Some(chosen) = std::env::var_os("NEXUS_PG_BIN") {
        let folder = PathBuf::from(chosen);
        return (probe(&folder).into_iter().collect(), folder.display().to_string());
    }
    let debian = std::fs::read_dir("/usr/lib/postgresql");
    let versions = debian.into_iter().flatten().flatten().map(|dir| dir.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = versions.chain(std::env::split_paths(&path));
    let found = folders.filter_map(|folder| probe(&folder)).collect();
    (found, "/usr/lib/postgresql/*/bin, PATH".into())
}

fn probe(folder: &Path) -> Option<Binaries> {
    if !folder.join("initdb").is_file() || !folder.join("postgres").is_file() {
        return None;
    }
    // Debian names the folder after the version, which saves starting a program.
    let named = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let major = match named.and_then(|name| name.parse().ok()) {
        Some(major) => major,
        None => {
            let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
            major_of(&String::from_utf8_lossy(&output.stdout))?
        }
    };
    Some(Binaries { folder: folder.to_owned(), major })
}

/// From `postgres (PostgreSQL) 15.14 (Debian …)`, or `17devel`.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(2)?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_line_names_the_major() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 19devel"), Some(19));
        assert_eq!(major_of("command not found"), None);
    }
}
