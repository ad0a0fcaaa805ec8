//! A file that is whole or not there: content, then a record of it, then a seal. One rename makes
//! it visible, so no crash can leave content without its record or the other way round.
//! Knows no key, no bucket and no rule of the store.
//!
//! Layout: content · record (JSON) · record length (u32, little-endian) · CRC32C of the record
//! (u32, little-endian) · `NXBLOB01`.

use crate::checksum::{Checksums, Crc32c, Hasher};
use crate::store::BlobError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"NXBLOB01";
const SEAL_BYTES: u64 = 16;

/// A key of 960 bytes, metadata of 2 KiB, both escaped, and the rest.
const RECORD_BYTES_MAX: u64 = 32 * 1024;

/// Read at once from the end: holds almost every record, so a look takes two system calls.
const TAIL_BYTES: u64 = 4 * 1024;

/// A file being written; gone when dropped.
pub(super) struct Draft {
    file: File,
    path: PathBuf,
    hasher: Hasher,
    placed: bool,
}

impl Draft {
    /// Starts a new file in `folder`, readable by its owner only.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(uuid::Uuid::new_v4().simple().to_string());
        let file =
            File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path, hasher: Hasher::default(), placed: false })
    }

    /// Appends content, counted and hashed.
    pub(super) fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file.write_all(chunk)?;
        self.hasher.update(chunk);
        Ok(())
    }

    /// Appends the content of another file inside the kernel: on file systems that share extents
    /// nothing is copied. Neither counted nor hashed.
    pub(super) fn append(&mut self, other: &File, bytes: u64) -> io::Result<()> {
        let mut content = io::Read::take(other, bytes);
        let copied = io::copy(&mut content, &mut self.file)?;
        if copied == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Bytes written by [`Draft::write`].
    pub(super) fn bytes(&self) -> u64 {
        self.hasher.bytes()
    }

    /// Of what [`Draft::write`] has written.
    pub(super) fn checksums(&self) -> Checksums {
        self.hasher.clone().finish()
    }

    /// Ends the file with its record and brings all of it to the disk.
    pub(super) fn seal<R: Serialize>(&mut self, record: &R) -> io::Result<()> {
        let mut tail = serde_json::to_vec(record)?;
        let (length, crc) = (tail.len() as u32, Crc32c::of(&tail));
        tail.extend_from_slice(&length.to_le_bytes());
        tail.extend_from_slice(&crc.to_le_bytes());
        tail.extend_from_slice(MAGIC);
        self.file.write_all(&tail)?;
        self.file.sync_all()
    }

    /// Makes a sealed file visible as `target`, replacing what was there. Folders between `root`
    /// and `target` are made as needed.
    pub(super) fn place(mut self, root: &Path, target: &Path) -> io::Result<()> {
        let folder = target.parent().expect("a target lies below its root");
        // A deletion next door may remove a folder it has just emptied, between our two steps.
        for _ in 0..16 {
            make_folders(root, folder)?;
            match fs::rename(&self.path, target) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
                Ok(()) => {
                    self.placed = true;
                    return sync_folder(folder);
                }
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// As [`Draft::place`], into a folder that must be there already.
    pub(super) fn place_beside(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.placed = true;
        sync_folder(target.parent().expect("a target lies in a folder"))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.placed
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a temporary file stays behind");
        }
    }
}

/// Makes each missing folder from `root` down to `folder`, and brings its name to the disk.
pub(super) fn make_folders(root: &Path, folder: &Path) -> io::Result<()> {
    if folder == root || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().expect("a folder lies below its root");
    make_folders(root, parent)?;
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(parent),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // The parent was emptied and removed meanwhile: the caller tries again.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// A rename or removal is durable once its folder is. The folder itself may be gone by then.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// A sealed file, opened.
pub(super) struct Sealed<R> {
    pub(super) file: File,
    pub(super) record: R,
    /// Bytes of content.
    pub(super) size: u64,
}

impl<R: DeserializeOwned> Sealed<R> {
    /// Opens a file and reads its record; none if there is no such file.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, BlobError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(&e)),
        };
        match read_record(&file) {
            Ok((record, size)) => Ok(Some(Self { file, record, size })),
            Err(e) => Err(BlobError::Other(format!("{} is damaged: {e}", path.display()))),
        }
    }
}

fn read_record<R: DeserializeOwned>(file: &File) -> io::Result<(R, u64)> {
    let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let length = file.metadata()?.len();
    let mut tail = vec![0; length.min(TAIL_BYTES) as usize];
    let start = length - tail.len() as u64;
    file.read_exact_at(&mut tail, start)?;
    let (_, seal) = tail.split_last_chunk::<16>().ok_or_else(|| damaged("it has no seal"))?;
    let (record_length, rest) = seal.split_first_chunk::<4>().expect("16 bytes hold 4");
    let (crc, magic) = rest.split_first_chunk::<4>().expect("12 bytes hold 4");
    let record_length = u64::from(u32::from_le_bytes(*record_length));
    if magic != MAGIC || record_length > RECORD_BYTES_MAX || record_length + SEAL_BYTES > length {
        return Err(damaged("it has no seal"));
    }
    let size = length - SEAL_BYTES - record_length;
    let mut record = vec![0; record_length as usize];
    match tail.len().checked_sub((record_length + SEAL_BYTES) as usize) {
        Some(start) => record.copy_from_slice(&tail[start..tail.len() - SEAL_BYTES as usize]),
        None => file.read_exact_at(&mut record, size)?,
    }
    if Crc32c::of(&record) != u32::from_le_bytes(*crc) {
        return Err(damaged("its record does not match the seal"));
    }
    Ok((serde_json::from_slice(&record)?, size))
}

/// An I/O error in the store's words.
pub(super) fn failed(error: &io::Error) -> BlobError {
    use io::ErrorKind as E;
    match error.kind() {
        E::StorageFull | E::QuotaExceeded | E::OutOfMemory => {
            BlobError::Unavailable(error.to_string())
        }
        E::PermissionDenied | E::ReadOnlyFilesystem => BlobError::AccessDenied(error.to_string()),
        // Too many open files.
        _ if error.raw_os_error().is_some_and(|code| code == 23 || code == 24) => {
            BlobError::Unavailable(error.to_string())
        }
        _ => BlobError::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(content: &[u8], record: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("deep/er/file");
        let mut draft = Draft::create(folder.path()).unwrap();
        draft.write(content).unwrap();
        draft.seal(&record).unwrap();
        draft.place(folder.path(), &target).unwrap();
        (folder, target)
    }

    #[test]
    fn a_sealed_file_gives_back_its_record_and_the_size_of_its_content() {
        for (content, record) in
            [(0, "r".into()), (1, "r".into()), (100_000, "r".into()), (10, "x".repeat(20_000))]
        {
            let (_folder, path) = sealed(&vec![7; content], &record);
            let opened = Sealed::<String>::open(&path).unwrap().unwrap();
            assert_eq!((opened.record, opened.size), (record, content as u64));
        }
    }

    #[test]
    fn a_torn_file_is_never_taken_for_a_sealed_one() {
        let (_folder, path) = sealed(&[b'x'; 300], "record");
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(Sealed::<String>::open(&path).is_err(), "cut to {length}");
        }
        let mut flipped = whole.clone();
        flipped[303] ^= 1;
        fs::write(&path, flipped).unwrap();
        assert!(Sealed::<String>::open(&path).is_err(), "a changed record");
    }

    #[test]
    fn a_dropped_draft_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut draft = Draft::create(folder.path()).unwrap();
        draft.write(b"half").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(draft);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
