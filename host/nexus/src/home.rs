//! The state folder: made, locked for one host, and known by whom it is held.

use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file that stands in a home while a backup is restored into it.
pub(crate) const RESTORING: &str = "restoring";

/// How often a home that is in use is tried again: connections wait meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error(
        "another host{} runs on {}: stop it, or give this one its own folder with NEXUS_HOME",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(),
        .folder.display()
    )]
    InUse { folder: PathBuf, pid: Option<u32> },
    #[error(
        "a restore into {} was begun and not finished: run `nexus restore` again, which begins \
         anew, or remove {} if what is there is what you want",
        .folder.display(), .folder.join(RESTORING).display()
    )]
    HalfRestored { folder: PathBuf },
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

/// The folder, ours as long as this value lives.
#[derive(Debug)]
pub struct Home {
    folder: PathBuf,
    /// The lock is the kernel's: it ends with the process, however that ends.
    _lock: File,
}

impl Home {
    /// Makes the folder if need be and takes it for this process.
    ///
    /// # Errors
    ///
    /// [`HomeError::InUse`] when another host holds it, [`HomeError::HalfRestored`] when a restore
    /// into it was cut off.
    pub fn take(folder: &Path) -> Result<Self, HomeError> {
        let home = Self::take_to_restore(folder)?;
        match home.file(RESTORING).exists() {
            true => Err(HomeError::HalfRestored { folder: home.folder }),
            false => Ok(home),
        }
    }

    /// As [`Home::take`], once the host that has it is gone.
    ///
    /// # Errors
    ///
    /// As [`Home::take`]; [`HomeError::InUse`] when it does not go within `limit`.
    pub(crate) async fn take_after(folder: &Path, limit: Duration) -> Result<Self, HomeError> {
        let deadline = Instant::now() + limit;
        loop {
            match Self::take(folder) {
                Err(HomeError::InUse { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                taken => return taken,
            }
        }
    }

    /// As [`Home::take`], also where a restore was cut off.
    pub(crate) fn take_to_restore(folder: &Path) -> Result<Self, HomeError> {
        let broken = |path: &Path, source| HomeError::Io { path: path.to_owned(), source };
        let made = DirBuilder::new().recursive(true).mode(0o755).create(folder);
        made.map_err(|source| broken(folder, source))?;
        let folder = folder.canonicalize().map_err(|source| broken(folder, source))?;
        let path = folder.join("nexus.pid");
        let mut options = File::options();
        let opened = options.create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = opened.map_err(|source| broken(&path, source))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let read = file.read_to_string(&mut holder);
            let pid = read.ok().and_then(|_| holder.trim().parse().ok());
            return Err(HomeError::InUse { folder, pid });
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|source| broken(&path, source))?;
        Ok(Self { folder, _lock: file })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_host_on_one_home_is_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::take(&folder.path().join("state")).unwrap();
        let error = Home::take(home.folder()).unwrap_err();
        let HomeError::InUse { pid, .. } = &error else { panic!("{error}") };
        assert_eq!(*pid, Some(std::process::id()));
        assert!(error.to_string().contains("NEXUS_HOME"));
        drop(home);
        Home::take(&folder.path().join("state")).unwrap();
    }
}
