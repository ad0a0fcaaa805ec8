//! Where the private cluster lives and as whom it runs: PostgreSQL refuses to run as root, and
//! the user it runs as instead may not be able to enter the checkout.
//!
//! Knows folders and users. Refuses to know what is in the data folder.

use crate::error::Error;
use sha2::{Digest, Sha256};
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Bytes of a unix socket's path, without the closing zero (`sun_path` of unix(7)).
const SOCKET_PATH_MAX: usize = 107;

/// Where PostgreSQL adds its own name to the socket folder.
const SOCKET: &str = ".s.PGSQL.5432.lock";

/// Where state goes that must be out of a closed home.
const SYSTEM_STATE: &str = "/var/lib/nexus";

/// Whom the server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether that is somebody else than the host.
    pub(crate) other: bool,
}

/// The folders of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The host's home, as messages name it.
    pub(crate) home: PathBuf,
    /// The host's own part: lock, secret, log.
    pub(crate) state: PathBuf,
    /// The server's part.
    pub(crate) data: PathBuf,
    pub(crate) sockets: PathBuf,
    pub(crate) user: User,
}

impl Place {
    /// Decides, and makes the folders.
    pub(crate) fn make(home: &Path) -> Result<Self, Error> {
        let broken = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { path, source }
        };
        fs::create_dir_all(home).map_err(broken(home))?;
        let home = home.canonicalize().map_err(broken(home))?;
        let user = user()?;
        let digest = Sha256::digest(home.as_os_str().as_bytes());
        let hash: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let inside = home.join("pg");
        let state = match !user.other || may_pass(&home, user) {
            true => inside,
            false => {
                let outside = Path::new(SYSTEM_STATE).join(&hash);
                leave_a_sign(&inside, &outside).map_err(broken(&inside))?;
                outside
            }
        };
        fs::create_dir_all(&state).map_err(broken(&state))?;
        // Passable for the server's user, listable for nobody.
        fs::set_permissions(&state, Permissions::from_mode(0o711)).map_err(broken(&state))?;
        let mut sockets = state.join("run");
        if sockets.join(SOCKET).as_os_str().len() > SOCKET_PATH_MAX {
            sockets = std::env::temp_dir().join(format!("nexus-{hash}"));
        }
        private_folder(&sockets, user)?;
        Ok(Self { data: state.join("data"), home, state, sockets, user })
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.state.join("postgres.log")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.state.join("lock")
    }

    pub(crate) fn secret(&self) -> PathBuf {
        self.state.join("secret")
    }

    /// Says which version of a first start's work was done to its end.
    pub(crate) fn complete(&self) -> PathBuf {
        self.state.join("complete")
    }
}

/// The host's own user; the user `postgres` (or `NEXUS_PG_USER`) when that is root.
fn user() -> Result<User, Error> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    if !uid.is_root() {
        return Ok(User { uid: uid.as_raw(), gid: gid.as_raw(), other: false });
    }
    let name = std::env::var("NEXUS_PG_USER").unwrap_or_else(|_| "postgres".into());
    let accounts = fs::read_to_string("/etc/passwd")
        .map_err(|source| Error::File { path: "/etc/passwd".into(), source })?;
    match account(&accounts, &name) {
        Some((0, _)) | None => Err(Error::Cluster {
            doing: "choose a user",
            detail: format!(
                "PostgreSQL does not run as root and there is no user {name}: create it, or set \
                 NEXUS_PG_USER"
            ),
        }),
        Some((uid, gid)) => Ok(User { uid, gid, other: true }),
    }
}

/// Reads passwd(5).
fn account(accounts: &str, name: &str) -> Option<(u32, u32)> {
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Whether a user may pass through a folder and everything above it.
fn may_pass(folder: &Path, user: User) -> bool {
    folder.ancestors().all(|folder| {
        fs::metadata(folder).is_ok_and(|m| {
            let shift = match (m.uid() == user.uid, m.gid() == user.gid) {
                (true, _) => 6,
                (false, true) => 3,
                (false, false) => 0,
            };
            m.mode() >> shift & 1 == 1
        })
    })
}

/// A link, so that whoever looks for the data in the home finds it.
fn leave_a_sign(link: &Path, target: &Path) -> std::io::Result<()> {
    match fs::read_link(link) {
        Ok(old) if old == target => return Ok(()),
        Ok(_) => fs::remove_file(link)?,
        Err(_) => {}
    }
    std::os::unix::fs::symlink(target, link)
}

/// A folder that only the server's user (and root) can enter. In a shared folder somebody may
/// have made it first.
fn private_folder(folder: &Path, user: User) -> Result<(), Error> {
    let broken = |source| Error::File { path: folder.to_owned(), source };
    match fs::create_dir(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(broken(e)),
        _ => {}
    }
    let found = fs::symlink_metadata(folder).map_err(broken)?;
    let own = rustix::process::geteuid().as_raw();
    if !found.is_dir() || (found.uid() != user.uid && found.uid() != own) {
        return Err(Error::Cluster {
            doing: "make a folder for its socket",
            detail: format!("{} belongs to somebody else", folder.display()),
        });
    }
    give(folder, user)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(broken)
}

/// Makes a path the server user's own.
pub(crate) fn give(path: &Path, user: User) -> Result<(), Error> {
    if user.other {
        std::os::unix::fs::lchown(path, Some(user.uid), Some(user.gid))
            .map_err(|source| Error::File { path: path.to_owned(), source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\npostgres:x:107:115:,,,:/var:/bin/sh\n";
        assert_eq!(account(accounts, "postgres"), Some((107, 115)));
        assert_eq!(account(accounts, "post"), None);
    }

    #[test]
    fn a_closed_folder_above_keeps_a_stranger_out() {
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("a");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
        let stranger = User { uid: 54_321, gid: 54_321, other: true };
        fs::set_permissions(top.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(!may_pass(&inner, stranger));
        fs::set_permissions(top.path(), Permissions::from_mode(0o711)).unwrap();
        assert!(may_pass(&inner, stranger));
    }
}
