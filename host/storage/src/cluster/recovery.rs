//! A private cluster made again from a copy of its files and the log since: how it goes back to an
//! instant. Knows folders and the server's own recovery; refuses to know where the copy and the log
//! come from.

use super::binaries::Binaries;
use super::place::{Place, give};
use super::process::{Process, as_user, log_tail};
use super::{Settings, archiving, lock, setup};
use crate::error::Error;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Child;

/// Beside the data folder, where the server's `restore_command` finds the log.
const REPLAY: &str = "replay";

const AUTO: &str = "postgresql.auto.conf";

/// How often the server is asked whether it has arrived. There is no limit: it may repeat days.
const ASK: Duration = Duration::from_millis(100);

/// Until a host starts on it, which decides.
const ARCHIVE_SECONDS: u32 = 60;

/// What the server says when its log ends before the instant.
const TOO_SHORT: &str = "recovery ended before configured recovery target was reached";

/// A copy of a cluster's files that is being unpacked into a home.
pub struct Recovery {
    place: Place,
    tar: Child,
    _lock: File,
}

/// Where a recovery has ended.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// When the last transaction that is in it was committed, as RFC 3339; None when the log had
    /// none after the copy.
    pub last_commit: Option<String>,
}

/// How a recovery can fail.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The log has no transaction after the instant, so that nobody knows that it reaches there.
    #[error("the archived log ends before that instant")]
    TooShort,
    #[error(transparent)]
    Storage(#[from] Error),
}

impl Recovery {
    /// Begins to unpack into `home`, over whatever an earlier attempt has left there.
    ///
    /// # Errors
    ///
    /// [`Error::HomeInUse`], [`Error::File`], and [`Error::Program`] without `tar`.
    pub async fn begin(home: &Path) -> Result<Self, Error> {
        // From the start: a log that begins without would tear the archive of whoever goes on.
        archiving::archive(home, Some(ARCHIVE_SECONDS))?;
        let place = Place::make(home)?;
        let held = lock(&place)?;
        // An attempt that was killed leaves its server, which would go on in the new files.
        if let Some(mut process) = Process::left_running(&place) {
            process.stop().await;
        }
        for folder in [&place.data, &place.state.join(REPLAY)] {
            let broken = |source| Error::File { path: folder.clone(), source };
            if folder.exists() {
                fs::remove_dir_all(folder).map_err(broken)?;
            }
            fs::create_dir(folder).map_err(broken)?;
            fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(broken)?;
        }
        let mut tar = tokio::process::Command::new("tar");
        tar.args(["--extract", "--no-same-owner", "--directory"]).arg(&place.data);
        tar.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let tar = tar.kill_on_drop(true).spawn().map_err(|e| unpack(&e.to_string()))?;
        Ok(Self { place, tar, _lock: held })
    }

    /// The next bytes of the copy.
    ///
    /// # Errors
    ///
    /// [`Error::Program`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let input = self.tar.stdin.as_mut().ok_or_else(|| unpack("it has no input"))?;
        input.write_all(bytes).await.map_err(|e| unpack(&e.to_string()))
    }

    /// Ends the copy; returns the folder into which each file of the log belongs, by its name.
    ///
    /// # Errors
    ///
    /// [`Error::Program`].
    pub async fn unpacked(&mut self) -> Result<PathBuf, Error> {
        drop(self.tar.stdin.take());
        let status = self.tar.wait().await.map_err(|e| unpack(&e.to_string()))?;
        match status.success() {
            true => Ok(self.place.state.join(REPLAY)),
            false => Err(unpack("the copy of the cluster is no archive")),
        }
    }

    /// Repeats the log up to `until`, or to its end, and stops the server again. `until` is like
    /// `2027-01-31 14:07:30.5+00`: where the server reads it, it does not know `Z` yet.
    ///
    /// # Errors
    ///
    /// [`RecoveryError::TooShort`]; [`Error::Cluster`] with the end of the server's log.
    pub async fn run(&self, until: Option<&str>) -> Result<Recovered, RecoveryError> {
        let place = &self.place;
        setup::configure(place, &Settings::default())?;
        let auto = place.data.join(AUTO);
        let before = fs::read_to_string(&auto).unwrap_or_default();
        written(&auto, &format!("{before}{}", wanted(until)))?;
        written(&place.data.join("recovery.signal"), "")?;
        owned(place, &place.data)?;
        owned(place, &place.state.join(REPLAY))?;
        let version = fs::read_to_string(place.data.join("PG_VERSION"));
        let version = version.map_err(|source| Error::File { path: place.data.clone(), source })?;
        let binaries = Binaries::find(Some(version.trim()), &place.data)?;
        let mut process = Process::start(place, &binaries)?;
        let arrived = arrive(place, &mut process).await;
        let last_commit = match arrived {
            Ok(()) => setup::last_replayed(place).await,
            Err(error) => Err(error),
        };
        process.stop().await;
        let last_commit = last_commit.map_err(|error| match error {
            Error::Cluster { detail, .. } if detail.contains(TOO_SHORT) => RecoveryError::TooShort,
            error => error.into(),
        })?;
        written(&auto, &before)?;
        let replay = place.state.join(REPLAY);
        fs::remove_dir_all(&replay).map_err(|source| Error::File { path: replay, source })?;
        Ok(Recovered { last_commit })
    }

    /// Reads every page of the stopped cluster and compares it with its checksum; returns what
    /// `pg_checksums` says.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when a page is not what was written.
    pub fn check_pages(&self) -> Result<String, Error> {
        let program = "pg_checksums";
        let failed = |detail: &str| Error::Program { program, detail: detail.to_owned() };
        let version = fs::read_to_string(self.place.data.join("PG_VERSION"));
        let version = version.map_err(|e| failed(&e.to_string()))?;
        let binaries = Binaries::find(Some(version.trim()), &self.place.data)?;
        let mut command = Command::new(binaries.folder.join(program));
        command.arg("--check").arg("-D").arg(&self.place.data).stdin(Stdio::null());
        as_user(&mut command, &self.place);
        let output = command.output().map_err(|e| failed(&e.to_string()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        match output.status.success() {
            true => Ok(said.lines().map(str::trim).collect::<Vec<_>>().join(", ")),
            false => Err(failed(String::from_utf8_lossy(&output.stderr).trim())),
        }
    }
}

fn unpack(detail: &str) -> Error {
    Error::Program { program: "tar", detail: detail.to_owned() }
}

/// Nobody is let in before the server has arrived.
fn wanted(until: Option<&str>) -> String {
    let mut text = format!(
        "\nrestore_command = 'test -f ../{REPLAY}/%f && cp ../{REPLAY}/%f %p'\n\
         hot_standby = off\nrecovery_target_action = 'promote'\n"
    );
    if let Some(until) = until {
        text += &format!("recovery_target_time = '{}'\n", until.replace('\'', ""));
    }
    text
}

async fn arrive(place: &Place, process: &mut Process) -> Result<(), Error> {
    loop {
        let error = match setup::answers(place).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let waiting = matches!(error, Error::Unreachable { .. } | Error::StartingUp { .. });
        if process.has_ended() || !waiting {
            let detail = format!("{error}; its log ends with:\n{}", log_tail(place));
            return Err(Error::Cluster { doing: "recover", detail });
        }
        tokio::time::sleep(ASK).await;
    }
}

fn written(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// All of it, for the server's user.
fn owned(place: &Place, path: &Path) -> Result<(), Error> {
    give(path, place.user)?;
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        let broken = |source| Error::File { path: path.to_owned(), source };
        for entry in fs::read_dir(path).map_err(broken)? {
            owned(place, &entry.map_err(broken)?.path())?;
        }
    }
    Ok(())
}
