//! Whether a private cluster archives its write-ahead log. Stands as a sign in the home, so that
//! every program that starts the server starts it alike: one start without it would tear the
//! archive. Knows the folder where the server puts what it has finished; refuses to know where
//! that goes from there.

use super::place::{Place, give};
use crate::error::Error;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const SIGN: &str = "archiving";

/// Beside the data folder, in which the server's commands run: they need no quoting then.
const SPOOL: &str = "wal";

/// Decides for the cluster in `home`, from its next start on: how many seconds a part of the log
/// waits at most until it is finished, or None for no archive. What was finished before stays.
///
/// # Errors
///
/// [`Error::File`], [`Error::Cluster`] when the folders cannot be made.
pub fn archive(home: &Path, seconds: Option<u32>) -> Result<(), Error> {
    let place = Place::make(home)?;
    let (sign, spool) = (place.state.join(SIGN), place.state.join(SPOOL));
    let Some(seconds) = seconds else {
        return match fs::remove_file(&sign) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::File { path: sign, source: error })
            }
            _ => Ok(()),
        };
    };
    let broken = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    fs::create_dir_all(&spool).map_err(broken(&spool))?;
    give(&spool, place.user)?;
    fs::set_permissions(&spool, Permissions::from_mode(0o700)).map_err(broken(&spool))?;
    fs::write(&sign, seconds.to_string()).map_err(broken(&sign))
}

/// Where the server of `home` puts finished parts of its log, if it archives.
///
/// # Errors
///
/// As [`archive`].
pub fn spool(home: &Path) -> Result<Option<PathBuf>, Error> {
    if !super::is_in(home) {
        return Ok(None);
    }
    let place = Place::make(home)?;
    Ok(seconds(&place).map(|_| place.state.join(SPOOL)))
}

pub(crate) fn seconds(place: &Place) -> Option<u32> {
    fs::read_to_string(place.state.join(SIGN)).ok()?.trim().parse().ok()
}

/// The server's part of the configuration. A part of the log is there under its name only once it
/// is whole and on the disk; the same part may come twice.
pub(crate) fn config(seconds: Option<u32>) -> String {
    match seconds {
        None => "wal_level = minimal\nmax_wal_senders = 0\n".into(),
        Some(seconds) => format!(
            "wal_level = replica\n\
             # For `pg_basebackup` alone.\n\
             max_wal_senders = 2\n\
             archive_mode = on\n\
             archive_timeout = {seconds}\n\
             archive_command = 'cp %p ../{SPOOL}/%f.part && sync ../{SPOOL}/%f.part && \
             mv ../{SPOOL}/%f.part ../{SPOOL}/%f'\n"
        ),
    }
}
