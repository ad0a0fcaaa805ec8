//! Backups: everything an installation keeps, encrypted, with a list of it written last; and the
//! way back. Knows the format; refuses to know the command line.
//!
//! A backup is a folder, or one file (`….nxb`):
//!
//! ```text
//! folder   header.json · pack-00001.nxb … · contents.nxb
//! file     "NXBACKUP" · header's bytes (u32 BE) · header · pack · contents ·
//!          where the contents begin (u64 BE) · "NXBKPEND"
//! ```
//!
//! - The **header** is JSON that anybody can read: format, version, a random id, how the key is
//!   made, and a value by which a wrong key is told from a broken backup.
//! - A **pack** is entries one after the other. Each entry (the database, an object, a file) is a
//!   sealed stream of its own: pieces of 64 KiB, each XChaCha20-Poly1305 under the entry's key,
//!   with a nonce of 15 zero bytes, one byte that is 1 for the last piece, and the piece's number
//!   (u64 BE). That is the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015): no
//!   piece can be changed, moved, left out or cut off unnoticed.
//! - The **contents** are JSON, sealed the same way with the header as associated data, and so
//!   authenticate both: where each entry lies, its bytes and SHA-256, the SHA-256 of each pack, the
//!   rows of each table. They are written last and appear by a rename: a backup that was cut off
//!   has none, and is refused.
//!
//! Keys: 32 bytes from a file, or Argon2id of a passphrase; from that and the id HKDF-SHA-256 makes
//! the master key, and from it the key of each entry by its number. The id is new in each backup,
//! so that no key is used twice and nonces may count from zero.

mod archive;
mod check;
mod contents;
mod installation;
mod key;
mod pack;
mod record;
mod recover;
mod restore;
mod retention;
mod seal;
mod source;
mod take;
mod verify;

pub use archive::Archive;
pub(crate) use archive::waiting;
pub use check::{Checked, Line, Verdict};
pub use installation::Installation;
pub use key::Given;
pub use record::Record;
pub use recover::{Back, Instant, Reached};
pub use restore::{Restored, Restoring, restore};
pub use retention::{Keep, Pruned, name, prune};
pub use take::{Taken, Taking, take};

use std::path::{Path, PathBuf};

/// The newest version of the format that this host reads.
pub const VERSION: u32 = 2;

/// What a backup has that holds neither files of a server nor its log.
const VERSION_OF_DUMPS: u32 = 1;

/// Why a backup is not read, in words for whoever needs it now.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{} is no backup", .0.display())]
    NoBackup(PathBuf),
    #[error(
        "{} is not whole: it has no list of its contents, which is written last, so the backup was \
         cut off or is still being made",
        .0.display()
    )]
    Unfinished(PathBuf),
    #[error(
        "the backup has format {0}, this host reads up to {VERSION}: restore it with the version \
         of nexus that made it, or a newer one"
    )]
    Newer(u32),
    #[error("the key or passphrase is not the one this backup was made with")]
    WrongKey,
    #[error("the backup was made with a {0}, which was not given")]
    OtherKind(&'static str),
    #[error("{part} was cut: it has {found} bytes instead of {expected}")]
    Cut { part: String, found: u64, expected: u64 },
    #[error("{0} was changed: its bytes are not those that were written")]
    Changed(String),
    #[error("{0} is missing")]
    Missing(String),
    #[error(
        "the backup has no copy of the server's files, so it leads to no instant but its own: it \
         was made while the server did not archive its log, see NEXUS_WAL_ARCHIVE"
    )]
    NoBase,
    #[error("the backup was made at {0}: to go back further, take an earlier one")]
    TooLate(String),
    #[error("read {}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl Refusal {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Why a restore does not begin.
#[derive(Debug, thiserror::Error)]
pub enum NotEmpty {
    #[error(
        "{} is not empty: a backup is restored into a new home, so that nothing is lost by it",
        .0.display()
    )]
    Home(PathBuf),
    #[error("the database has schemas already ({0}): a backup is restored into an empty one")]
    Database(String),
    #[error("the bucket {0} has objects already: a backup is restored into an empty store")]
    Bucket(String),
    #[error("{} exists already", .0.display())]
    Target(PathBuf),
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    (text.len() % 2 == 0).then(|| digits.map(byte).collect()).flatten()
}
