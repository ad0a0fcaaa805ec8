//! Uploads in parts: a folder each, with a description and a sealed file per part. Completing joins
//! the parts inside the kernel. Knows nothing of how bytes arrive.

use super::disk::{Disk, Record, etag_of, now_ms};
use super::sealed::{Draft, Sealed, failed, sync_folder};
use crate::checksum::{Checksums, Crc32c, Hasher, hex, sha256_from_hex};
use crate::name::{Attributes, Place, invalid};
use crate::store::{
    ArrivedPart, BlobError, Condition, NamedPart, PAGE_MAX, PART_BYTES_MIN, PartPage, PartPut,
    Stored, Upload,
};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// An upload that nobody finished is forgotten after this.
const UPLOAD_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Looking for forgotten uploads reads a folder; once an hour is plenty.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

const DESCRIPTION: &str = "upload";

#[derive(Serialize, Deserialize)]
struct Description {
    bucket: String,
    key: String,
    attributes: Attributes,
    created_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct PartRecord {
    etag: String,
    crc32c: u32,
    sha256: String,
}

impl PartRecord {
    fn checksums(&self) -> Checksums {
        Checksums { crc32c: Some(self.crc32c), sha256: sha256_from_hex(&self.sha256) }
    }
}

impl Disk {
    pub(super) fn create_upload(
        &self,
        place: &Place,
        attributes: Attributes,
    ) -> Result<String, BlobError> {
        self.sweep_uploads_sometimes();
        let id = uuid::Uuid::new_v4().simple().to_string();
        let description = Description {
            bucket: place.bucket.to_string(),
            key: place.key.to_string(),
            attributes,
            created_ms: now_ms(),
        };
        let mut draft = self.draft()?;
        draft.seal(&description).map_err(|e| failed(&e))?;
        let folder = self.uploads().join(&id);
        draft.place(&self.root, &folder.join(DESCRIPTION)).map_err(|e| failed(&e))?;
        Ok(id)
    }

    /// The folder of an upload that is open for its place.
    fn find_upload(&self, upload: &Upload) -> Result<(PathBuf, Description), BlobError> {
        // Only what we made ourselves can be a file name.
        let id = uuid::Uuid::try_parse(&upload.id).map_err(|_| BlobError::NoSuchUpload)?;
        let folder = self.uploads().join(id.simple().to_string());
        let sealed = Sealed::<Description>::open(&folder.join(DESCRIPTION))?;
        let description = sealed.ok_or(BlobError::NoSuchUpload)?.record;
        let Place { bucket, key } = &upload.place;
        if description.bucket != bucket.as_str() || description.key != key.as_str() {
            return Err(BlobError::NoSuchUpload);
        }
        Ok((folder, description))
    }

    pub(super) fn check_upload(&self, upload: &Upload) -> Result<(), BlobError> {
        self.find_upload(upload).map(|_| ())
    }

    pub(super) fn place_part(
        &self,
        upload: &Upload,
        part: &PartPut,
        mut draft: Draft,
    ) -> Result<Stored, BlobError> {
        let (size, checksums) = (draft.bytes(), draft.checksums());
        part.expected.agree(&checksums)?;
        let (crc32c, sha256) = (checksums.crc32c, checksums.sha256);
        let sha256 = sha256.expect("a draft hashes");
        let record = PartRecord {
            etag: etag_of(&sha256),
            crc32c: crc32c.expect("a draft hashes"),
            sha256: hex(&sha256),
        };
        draft.seal(&record).map_err(|e| failed(&e))?;
        let (folder, _) = self.find_upload(upload)?;
        match draft.place_beside(&folder.join(part_name(part.number))) {
            // Completed or aborted while the part was on its way.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(BlobError::NoSuchUpload),
            Err(e) => Err(failed(&e)),
            Ok(()) => Ok(Stored { size, etag: record.etag, checksums }),
        }
    }

    pub(super) fn list_parts(&self, upload: &Upload, after: u32) -> Result<PartPage, BlobError> {
        let (folder, _) = self.find_upload(upload)?;
        let mut numbers = part_numbers(&folder).map_err(|e| failed(&e))?;
        numbers.retain(|number| *number > after);
        numbers.sort_unstable();
        let next = numbers.get(PAGE_MAX - 1).copied().filter(|_| numbers.len() > PAGE_MAX);
        numbers.truncate(PAGE_MAX);
        let mut parts = Vec::with_capacity(numbers.len());
        for number in numbers {
            if let Some(part) = Sealed::<PartRecord>::open(&folder.join(part_name(number)))? {
                parts.push(ArrivedPart { number, size: part.size, etag: part.record.etag });
            }
        }
        Ok(PartPage { parts, next })
    }

    pub(super) fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[NamedPart],
        condition: Option<&Condition>,
    ) -> Result<Stored, BlobError> {
        let (folder, description) = self.find_upload(upload)?;
        let mut draft = self.draft()?;
        let (mut size, mut crc32c, mut etags) = (0, 0, Hasher::default());
        for (index, named) in parts.iter().enumerate() {
            let part = open_part(&folder, named)?;
            if part.size < PART_BYTES_MIN && index + 1 < parts.len() {
                return Err(invalid(format!(
                    "part {} has less than {PART_BYTES_MIN} bytes and is not the last",
                    named.number
                )));
            }
            if size + part.size > self.object_bytes_max {
                return Err(BlobError::TooLarge { limit: self.object_bytes_max });
            }
            draft.append(&part.file, part.size).map_err(|e| failed(&e))?;
            crc32c = Crc32c::join(crc32c, part.record.crc32c, part.size);
            size += part.size;
            etags.update(part.record.etag.as_bytes());
        }
        let digest = etags.finish().sha256.expect("a hasher hashes");
        let etag = format!("{}-{}", etag_of(&digest), parts.len());
        let sole = if let [part] = parts { Some(open_part(&folder, part)?.record) } else { None };
        let checksums = Checksums {
            crc32c: Some(crc32c),
            sha256: sole.and_then(|record| record.checksums().sha256),
        };
        let record = Record::new(&upload.place.key, etag, description.attributes, checksums);
        draft.seal(&record).map_err(|e| failed(&e))?;
        self.commit(&upload.place, draft, condition)?;
        self.discard(&folder).map_err(|e| failed(&e))?;
        Ok(Stored { size, etag: record.etag, checksums })
    }

    pub(super) fn abort_upload(&self, upload: &Upload) -> Result<(), BlobError> {
        let (folder, _) = self.find_upload(upload)?;
        self.discard(&folder).map_err(|e| failed(&e))
    }

    /// Out of sight at once, then off the disk.
    fn discard(&self, folder: &Path) -> io::Result<()> {
        let grave = self.temporary().join(uuid::Uuid::new_v4().simple().to_string());
        match fs::rename(folder, &grave) {
            // Someone else was faster.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed?,
        }
        sync_folder(&self.uploads())?;
        fs::remove_dir_all(grave)
    }

    fn sweep_uploads_sometimes(&self) {
        let (now, every) = (now_ms(), SWEEP_EVERY.as_millis() as u64);
        let last = self.swept_ms.load(Ordering::Relaxed);
        let due = now.saturating_sub(last) >= every
            && self
                .swept_ms
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if due && let Err(error) = self.sweep_uploads(now) {
            tracing::warn!(%error, "forgotten uploads could not be removed");
        }
    }

    /// Forgets the uploads that are too old at `now`, and what is left of broken ones.
    pub(super) fn sweep_uploads(&self, now: u64) -> io::Result<()> {
        for entry in fs::read_dir(self.uploads())? {
            let folder = entry?.path();
            let description = Sealed::<Description>::open(&folder.join(DESCRIPTION));
            let born = description.ok().flatten().map_or(0, |found| found.record.created_ms);
            if now.saturating_sub(born) > UPLOAD_AGE_MAX.as_millis() as u64 {
                self.discard(&folder)?;
            }
        }
        Ok(())
    }
}

fn open_part(folder: &Path, named: &NamedPart) -> Result<Sealed<PartRecord>, BlobError> {
    let part = Sealed::<PartRecord>::open(&folder.join(part_name(named.number)))?;
    part.filter(|part| part.record.etag == named.etag)
        .ok_or_else(|| invalid(format!("part {} with this etag has not arrived", named.number)))
}

fn part_name(number: u32) -> String {
    format!("{number:05}")
}

fn part_numbers(folder: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(numbers)
}
