//! The folder under which each job gets one of its own, gone when the job is. What dead processes
//! left behind is removed at the next start.

use crate::error::Error;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Says that a process lives: it holds the lock on this file.
const LOCK: &str = "lock";

/// This process's folder, removed when dropped.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    _lock: File,
}

/// A job's folder, removed when dropped.
#[derive(Debug)]
pub(crate) struct JobFolder(PathBuf);

impl Scratch {
    /// Makes a folder for this process in `root`, and removes those whose process has died.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when there can be no folder there.
    pub fn open(root: &Path) -> Result<Self, Error> {
        make(root)?;
        remove_left_over(root);
        let folder = root.join(format!("{}-{}", std::process::id(), Uuid::new_v4().simple()));
        make(&folder)?;
        let folder = folder.canonicalize().map_err(|source| failed(&folder, source))?;
        let path = folder.join(LOCK);
        let lock = File::create_new(&path).map_err(|source| failed(&path, source))?;
        let locked = flock(&lock, FlockOperation::NonBlockingLockExclusive);
        locked.map_err(|error| failed(&path, error.into()))?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn for_job(&self, job: Uuid, attempt: u32) -> Result<JobFolder, Error> {
        let folder = self.folder.join(format!("{job}-{attempt}-{}", Uuid::new_v4().simple()));
        make(&folder)?;
        Ok(JobFolder(folder))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl JobFolder {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

impl Drop for JobFolder {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Nobody but this user looks into a job's files.
fn make(folder: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| failed(folder, source))
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}

fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "a folder stays behind");
        }
        _ => {}
    }
}

/// A folder without a lock file is either being made at this moment or not ours: it stays.
fn remove_left_over(root: &Path) {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    for folder in entries.map(|entry| entry.path()) {
        let Ok(lock) = File::open(folder.join(LOCK)) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            tracing::info!(folder = %folder.display(), "what a dead worker left is removed");
            remove(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_leave_is_removed_and_what_the_living_use_stays() {
        let root = tempfile::tempdir().unwrap();
        let living = Scratch::open(root.path()).unwrap();
        let job = living.for_job(Uuid::nil(), 1).unwrap();
        fs::write(job.path().join("input"), "x").unwrap();
        let dead = root.path().join("1-dead");
        make(&dead.join("job")).unwrap();
        File::create_new(dead.join(LOCK)).unwrap();
        let stranger = root.path().join("no-lock");
        make(&stranger).unwrap();
        let second = Scratch::open(root.path()).unwrap();
        assert!(!dead.exists() && stranger.exists());
        assert!(job.path().join("input").exists());
        let (folder, kept) = (job.path().to_owned(), living.folder().to_owned());
        drop(job);
        assert!(!folder.exists() && kept.exists());
        drop((living, second));
        assert!(!kept.exists());
    }
}
