//! The one trait behind `nexus:blob`, and the values that pass through it. Knows no backend, no
//! guest and no HTTP. What a method promises, every backend keeps: `tests/conformance.rs` asks.

use crate::checksum::Checksums;
use crate::name::{Attributes, BucketName, Key, Place};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// Bytes on their way in or out; pulled, so the slower side sets the pace. An error ends it.
pub type Body = BoxStream<'static, Result<Bytes, BlobError>>;

/// The smallest part of an upload but its last (S3's rule).
pub const PART_BYTES_MIN: u64 = 5 << 20;
/// The largest part of an upload (S3's rule).
pub const PART_BYTES_MAX: u64 = 5 << 30;
/// The highest part number (S3's rule).
pub const PART_NUMBER_MAX: u32 = 10_000;
/// A part of unknown size waits in memory on S3, so it may not be larger than this.
pub const UNSIZED_PART_BYTES_MAX: u64 = 16 << 20;
/// Entries of one page and keys of one deletion (S3's rule).
pub const PAGE_MAX: usize = 1000;
/// The longest life of a signed URL (S3's rule for signature version 4).
pub const SIGNED_SECONDS_MAX: u32 = 604_800;

/// Why an operation did nothing; one variant per case of `nexus:blob/buckets.error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    #[error("the store has no bucket {0}")]
    NoSuchBucket(String),
    #[error("there is no object under this key")]
    NoSuchKey,
    #[error("no such upload is open")]
    NoSuchUpload,
    #[error("access denied: {0}")]
    AccessDenied(String),
    #[error("the condition does not hold")]
    PreconditionFailed,
    #[error("no byte of the range lies inside the object")]
    RangeNotSatisfiable,
    #[error("the bytes are not those the checksum was made of")]
    ChecksumMismatch,
    #[error("more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the body does not have its declared size")]
    Incomplete,
    #[error("against the rules: {0}")]
    Invalid(String),
    #[error("the object store is unavailable: {0}")]
    Unavailable(String),
    #[error("the object store failed: {0}")]
    Other(String),
}

/// An object without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub key: Key,
    pub size: u64,
    /// Opaque, without quotes.
    pub etag: String,
    pub attributes: Attributes,
    pub modified: SystemTime,
    pub checksums: Checksums,
}

/// What a write left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub size: u64,
    pub etag: String,
    pub checksums: Checksums,
}

/// When a write may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Absent,
    /// The etag, without quotes.
    Matches(String),
}

#[derive(Debug, Clone, Default)]
pub struct Put {
    pub attributes: Attributes,
    /// Bytes to come, if known.
    pub size: Option<u64>,
    pub expected: Checksums,
    pub condition: Option<Condition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    Slice { offset: u64, length: u64 },
    From(u64),
    Last(u64),
}

impl ByteRange {
    /// The part of `0..size` that is meant; cut at the end (RFC 9110 section 14.1.2).
    ///
    /// # Errors
    ///
    /// [`BlobError::RangeNotSatisfiable`] when that is nothing.
    pub fn within(self, size: u64) -> Result<Range<u64>, BlobError> {
        let range = match self {
            Self::Slice { offset, length } => offset..offset.saturating_add(length).min(size),
            Self::From(offset) => offset..size,
            Self::Last(length) => size.saturating_sub(length)..size,
        };
        if range.is_empty() { Err(BlobError::RangeNotSatisfiable) } else { Ok(range) }
    }
}

#[derive(Debug, Clone, Default)]
pub struct Get {
    pub range: Option<ByteRange>,
    pub if_match: Option<String>,
}

/// An object being read. The body is of the state the object had when the call returned.
pub struct Download {
    pub object: Object,
    /// Which bytes the body holds.
    pub range: Range<u64>,
    pub body: Body,
}

#[derive(Debug, Clone)]
pub struct Query {
    pub prefix: String,
    pub delimiter: Option<String>,
    pub cursor: Option<String>,
    /// 1 to [`PAGE_MAX`].
    pub limit: usize,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub size: u64,
    /// Empty where the store does not say.
    pub etag: String,
    pub modified: SystemTime,
}

/// Keys in the order of their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    pub prefixes: Vec<String>,
    pub next: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Copying {
    /// None keeps the source's.
    pub attributes: Option<Attributes>,
    pub if_match: Option<String>,
}

/// An upload in parts: its id is good for one place only.
#[derive(Debug, Clone)]
pub struct Upload {
    pub place: Place,
    pub id: String,
}

/// What is known of a part before its bytes arrive.
#[derive(Debug, Clone)]
pub struct PartPut {
    /// 1 to [`PART_NUMBER_MAX`].
    pub number: u32,
    pub size: Option<u64>,
    pub expected: Checksums,
}

/// A part that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivedPart {
    pub number: u32,
    pub size: u64,
    /// Empty where the store does not say.
    pub etag: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartPage {
    pub parts: Vec<ArrivedPart>,
    /// The number to go on after.
    pub next: Option<u32>,
}

/// A part as the completion names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPart {
    pub number: u32,
    pub etag: String,
}

/// What a signed URL permits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    Download { file_name: Option<String>, content_type: Option<String> },
    Upload { content_type: Option<String>, size: Option<u64> },
    Part { upload_id: String, number: u32, size: Option<u64> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUrl {
    pub url: String,
    pub method: &'static str,
    /// What the client must send, exactly so.
    pub headers: Vec<(String, String)>,
    pub expires: SystemTime,
}

/// An object store. A write is seen whole or not at all; dropping a call's future before it
/// returns stores nothing, or all.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Whether the store can be reached; makes the physical bucket or folder if it is missing.
    async fn ready(&self) -> Result<(), BlobError>;

    /// Stores an object. The body's error, a wrong size and a wrong checksum store nothing.
    async fn put(&self, place: &Place, put: Put, body: Body) -> Result<Stored, BlobError>;

    /// Begins to read. Reading a whole object whose CRC32C is known ends with
    /// [`BlobError::ChecksumMismatch`] when the bytes are not those.
    async fn get(&self, place: &Place, get: Get) -> Result<Download, BlobError>;

    async fn head(&self, place: &Place) -> Result<Object, BlobError>;

    /// Removes; what is not there counts as removed.
    async fn delete(&self, place: &Place) -> Result<(), BlobError>;

    /// Removes up to [`PAGE_MAX`] objects; returns those that stayed.
    async fn delete_many(
        &self,
        bucket: &BucketName,
        keys: Vec<Key>,
    ) -> Result<Vec<(Key, BlobError)>, BlobError>;

    async fn list(&self, bucket: &BucketName, query: Query) -> Result<Page, BlobError>;

    async fn copy(&self, from: &Place, to: &Place, copying: Copying) -> Result<Stored, BlobError>;

    /// Opens an upload in parts; the id is the answer.
    async fn create_upload(&self, place: &Place, with: Attributes) -> Result<String, BlobError>;

    async fn upload_part(
        &self,
        upload: &Upload,
        part: PartPut,
        body: Body,
    ) -> Result<Stored, BlobError>;

    async fn list_parts(&self, upload: &Upload, after: u32) -> Result<PartPage, BlobError>;

    /// Parts in ascending order; those not named are forgotten.
    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: Vec<NamedPart>,
        condition: Option<Condition>,
    ) -> Result<Stored, BlobError>;

    async fn abort_upload(&self, upload: &Upload) -> Result<(), BlobError>;

    /// Signs a URL for `lifetime`, 1 second to [`SIGNED_SECONDS_MAX`].
    async fn sign(
        &self,
        place: &Place,
        permission: Permission,
        lifetime: Duration,
    ) -> Result<SignedUrl, BlobError>;
}

/// The rules that do not depend on the backend, in one place.
pub(crate) mod rules {
    use super::*;
    use crate::name::{check_content_type, check_prefix, invalid};

    pub(crate) fn put(put: Put) -> Result<Put, BlobError> {
        Ok(Put { attributes: put.attributes.checked()?, ..put })
    }

    pub(crate) fn query(query: &Query) -> Result<(), BlobError> {
        check_prefix(&query.prefix)?;
        if query.delimiter.as_ref().is_some_and(|d| !(1..=16).contains(&d.len())) {
            return Err(invalid("a delimiter has 1 to 16 bytes".into()));
        }
        if !(1..=PAGE_MAX).contains(&query.limit) {
            return Err(invalid(format!("a page has 1 to {PAGE_MAX} entries")));
        }
        Ok(())
    }

    pub(crate) fn part(part: &PartPut) -> Result<(), BlobError> {
        part_number(part.number)?;
        match part.size {
            Some(size) if size > PART_BYTES_MAX => {
                Err(BlobError::TooLarge { limit: PART_BYTES_MAX })
            }
            _ => Ok(()),
        }
    }

    fn part_number(number: u32) -> Result<(), BlobError> {
        if (1..=PART_NUMBER_MAX).contains(&number) {
            return Ok(());
        }
        Err(invalid(format!("part numbers go from 1 to {PART_NUMBER_MAX}")))
    }

    pub(crate) fn named_parts(parts: &[NamedPart]) -> Result<(), BlobError> {
        if parts.is_empty() {
            return Err(invalid("an upload is completed with at least one part".into()));
        }
        parts.iter().try_for_each(|part| part_number(part.number))?;
        if !parts.is_sorted_by(|a, b| a.number < b.number) {
            return Err(invalid("parts are named once each, in ascending order".into()));
        }
        Ok(())
    }

    pub(crate) fn keys(keys: &[Key]) -> Result<(), BlobError> {
        if keys.len() <= PAGE_MAX {
            return Ok(());
        }
        Err(invalid(format!("at most {PAGE_MAX} keys are deleted at once")))
    }

    pub(crate) fn permission(permission: &Permission, lifetime: Duration) -> Result<(), BlobError> {
        let longest = Duration::from_secs(SIGNED_SECONDS_MAX.into());
        if !(Duration::from_secs(1)..=longest).contains(&lifetime) {
            return Err(invalid(format!("a URL lives 1 to {SIGNED_SECONDS_MAX} seconds")));
        }
        match permission {
            Permission::Download { file_name, content_type } => {
                let name = file_name.as_deref().unwrap_or("a");
                if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
                    return Err(invalid("a file name has 1 to 255 plain bytes".into()));
                }
                content_type.as_deref().map_or(Ok(()), check_content_type)
            }
            Permission::Upload { content_type, .. } => {
                content_type.as_deref().map_or(Ok(()), check_content_type)
            }
            Permission::Part { number, .. } => part_number(*number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_end_and_never_empty() {
        let slice = |offset, length| ByteRange::Slice { offset, length }.within(10).ok();
        assert_eq!(slice(0, 10), Some(0..10));
        assert_eq!(slice(9, u64::MAX), Some(9..10));
        assert_eq!((slice(10, 1), slice(0, 0), slice(u64::MAX, 1)), (None, None, None));
        assert_eq!(ByteRange::From(3).within(10), Ok(3..10));
        assert_eq!(ByteRange::From(10).within(10), Err(BlobError::RangeNotSatisfiable));
        assert_eq!(ByteRange::Last(3).within(10), Ok(7..10));
        assert_eq!(ByteRange::Last(30).within(10), Ok(0..10));
        assert_eq!(ByteRange::Last(0).within(10), Err(BlobError::RangeNotSatisfiable));
        assert_eq!(ByteRange::Last(1).within(0), Err(BlobError::RangeNotSatisfiable));
    }
}
