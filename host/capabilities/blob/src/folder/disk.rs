//! The part that blocks: where objects lie, how they are committed, and what a crash leaves.
//! Knows no runtime and no stream.

use super::path;
use super::sealed::{Draft, Sealed, failed, sync_folder};
use crate::checksum::{Checksums, hex, sha256_from_hex};
use crate::name::{Attributes, BucketName, Key, Place};
use crate::store::{BlobError, Condition, Object, Put, Stored};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writers of different keys seldom wait for each other with so many locks.
const LOCKS: usize = 64;

/// The part that blocks.
pub(super) struct Disk {
    pub(super) root: PathBuf,
    pub(super) object_bytes_max: u64,
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
    /// When forgotten uploads were looked for last.
    pub(super) swept_ms: AtomicU64,
    /// None where the folder is only read, beside whoever holds it.
    _lock: Option<File>,
}

/// What an object's file says about it.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) key: String,
    pub(super) etag: String,
    content_type: Option<String>,
    metadata: BTreeMap<String, String>,
    modified_ms: u64,
    crc32c: Option<u32>,
    sha256: Option<String>,
}

impl Disk {
    pub(super) fn open(root: PathBuf, object_bytes_max: u64) -> Result<Self, BlobError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let make = |folder: PathBuf| {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| failed(&e))
        };
        make(root.clone())?;
        let root = root.canonicalize().map_err(|e| failed(&e))?;
        let lock = File::create(root.join("lock")).map_err(|e| failed(&e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = root.display();
                return Err(BlobError::Unavailable(format!("{path} is in use by another host")));
            }
            Err(TryLockError::Error(e)) => return Err(failed(&e)),
        }
        let disk = Self::at(root, object_bytes_max, Some(lock));
        for folder in [disk.buckets(), disk.uploads(), disk.temporary()] {
            make(folder)?;
        }
        disk.sweep_temporary()
            .and_then(|()| disk.sweep_uploads(now_ms()))
            .map_err(|e| failed(&e))?;
        Ok(disk)
    }

    /// For reading beside a host: makes nothing, clears nothing, and cannot be written through.
    pub(super) fn beside(root: PathBuf) -> Self {
        Self::at(root, 0, None)
    }

    fn at(root: PathBuf, object_bytes_max: u64, _lock: Option<File>) -> Self {
        Self {
            root,
            object_bytes_max,
            locks: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            swept_ms: AtomicU64::new(now_ms()),
            _lock,
        }
    }

    /// The buckets that have ever held something, in order of their names.
    pub(super) fn bucket_names(&self) -> Result<Vec<BucketName>, BlobError> {
        let entries = match fs::read_dir(self.buckets()) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed(&e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(|e| failed(&e))?.file_name();
            names.extend(name.to_str().and_then(|name| BucketName::new(name).ok()));
        }
        names.sort();
        Ok(names)
    }

    fn buckets(&self) -> PathBuf {
        self.root.join("buckets")
    }

    pub(super) fn bucket(&self, bucket: &BucketName) -> PathBuf {
        self.buckets().join(bucket.as_str())
    }

    pub(super) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join("temporary")
    }

    fn object(&self, place: &Place) -> PathBuf {
        self.bucket(&place.bucket).join(path::of_key(place.key.as_str()))
    }

    pub(super) fn draft(&self) -> Result<Draft, BlobError> {
        Draft::create(&self.temporary()).map_err(|e| failed(&e))
    }

    /// Nothing in there can be in use: we hold the lock.
    fn sweep_temporary(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.temporary())? {
            let entry = entry?;
            let remove =
                if entry.file_type()?.is_dir() { fs::remove_dir_all } else { fs::remove_file };
            remove(entry.path())?;
        }
        Ok(())
    }

    /// Serialises the writers of one place, so that a condition still holds at the rename.
    fn guard(&self, place: &Place) -> MutexGuard<'_, ()> {
        let lock = self.hasher.hash_one(place) as usize % LOCKS;
        // It guards files, which a panic leaves whole.
        self.locks[lock].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, place: &Place) -> Result<Sealed<Record>, BlobError> {
        Sealed::open(&self.object(place))?.ok_or(BlobError::NoSuchKey)
    }

    pub(super) fn check(&self, place: &Place, condition: &Condition) -> Result<(), BlobError> {
        let found = Sealed::<Record>::open(&self.object(place))?;
        let holds = match (condition, &found) {
            (Condition::Absent, found) => found.is_none(),
            (Condition::Matches(etag), Some(found)) => *etag == found.record.etag,
            (Condition::Matches(_), None) => false,
        };
        if holds { Ok(()) } else { Err(BlobError::PreconditionFailed) }
    }

    pub(super) fn finish_put(
        &self,
        place: &Place,
        put: Put,
        mut draft: Draft,
    ) -> Result<Stored, BlobError> {
        let (size, checksums) = (draft.bytes(), draft.checksums());
        put.expected.agree(&checksums)?;
        let etag = etag_of(&checksums.sha256.expect("a draft hashes"));
        let record = Record::new(&place.key, etag, put.attributes, checksums);
        draft.seal(&record).map_err(|e| failed(&e))?;
        self.commit(place, draft, put.condition.as_ref())?;
        Ok(Stored { size, etag: record.etag, checksums })
    }

    /// Makes a sealed draft the object at `place`.
    pub(super) fn commit(
        &self,
        place: &Place,
        draft: Draft,
        condition: Option<&Condition>,
    ) -> Result<(), BlobError> {
        let _guard = self.guard(place);
        condition.map_or(Ok(()), |condition| self.check(place, condition))?;
        draft.place(&self.root, &self.object(place)).map_err(|e| failed(&e))
    }

    pub(super) fn delete(&self, place: &Place) -> Result<(), BlobError> {
        let _guard = self.guard(place);
        let path = self.object(place);
        match fs::remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failed(&e)),
            Ok(()) => {}
        }
        let bucket = self.bucket(&place.bucket);
        let mut folder = path.parent();
        sync_folder(folder.unwrap_or(&bucket)).map_err(|e| failed(&e))?;
        // Folders without objects go, up to the bucket; the first that is not empty stops this.
        while let Some(empty) = folder.filter(|folder| *folder != bucket) {
            if fs::remove_dir(empty).is_err() {
                break;
            }
            folder = empty.parent();
        }
        Ok(())
    }

    pub(super) fn copy(
        &self,
        from: &Place,
        to: &Place,
        attributes: Option<Attributes>,
        if_match: Option<String>,
    ) -> Result<Stored, BlobError> {
        let source = self.find(from)?;
        if if_match.is_some_and(|etag| etag != source.record.etag) {
            return Err(BlobError::PreconditionFailed);
        }
        let mut draft = self.draft()?;
        draft.append(&source.file, source.size).map_err(|e| failed(&e))?;
        let size = source.size;
        let Object { etag, attributes: kept, checksums, .. } = source.record.into_object(size)?;
        let record = Record::new(&to.key, etag, attributes.unwrap_or(kept), checksums);
        draft.seal(&record).map_err(|e| failed(&e))?;
        self.commit(to, draft, None)?;
        Ok(Stored { size, etag: record.etag, checksums })
    }
}

impl Record {
    pub(super) fn new(
        key: &Key,
        etag: String,
        attributes: Attributes,
        checksums: Checksums,
    ) -> Self {
        Self {
            key: key.to_string(),
            etag,
            content_type: attributes.content_type,
            metadata: attributes.metadata,
            modified_ms: now_ms(),
            crc32c: checksums.crc32c,
            sha256: checksums.sha256.map(|sha256| hex(&sha256)),
        }
    }

    pub(super) fn modified(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.modified_ms)
    }

    pub(super) fn into_object(self, size: u64) -> Result<Object, BlobError> {
        let modified = self.modified();
        let sha256 = self.sha256.as_deref().and_then(sha256_from_hex);
        Ok(Object {
            key: Key::new(&self.key)
                .map_err(|_| BlobError::Other("a record holds a bad key".into()))?,
            size,
            etag: self.etag,
            attributes: Attributes { content_type: self.content_type, metadata: self.metadata },
            modified,
            checksums: Checksums { crc32c: self.crc32c, sha256 },
        })
    }
}

/// The first half of a SHA-256: a strong validator that says nothing about how it was made.
pub(super) fn etag_of(sha256: &[u8; 32]) -> String {
    hex(&sha256[..16])
}

pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
