//! The values of `nexus:blob/buckets` to and from those of [`crate::store`]. Nothing but that.

use super::buckets as wit;
use crate::checksum::{Checksums, hex, sha256_from_hex};
use crate::name::{Attributes, invalid};
use crate::store::{
    BlobError, ByteRange, Condition, Copying, Entry, Get, NamedPart, Object, Page, PartPage,
    PartPut, Permission, Put, Query, SignedUrl, Stored,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl From<BlobError> for wit::Error {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::NoSuchBucket(name) => Self::NoSuchBucket(name),
            BlobError::NoSuchKey => Self::NoSuchKey,
            BlobError::NoSuchUpload => Self::NoSuchUpload,
            BlobError::AccessDenied(why) => Self::AccessDenied(why),
            BlobError::PreconditionFailed => Self::PreconditionFailed,
            BlobError::RangeNotSatisfiable => Self::RangeNotSatisfiable,
            BlobError::ChecksumMismatch => Self::ChecksumMismatch,
            BlobError::TooLarge { limit } => Self::TooLarge(limit),
            BlobError::Incomplete => Self::Incomplete,
            BlobError::Invalid(rule) => Self::Invalid(rule),
            BlobError::Unavailable(why) => Self::Unavailable(why),
            BlobError::Other(what) => Self::Other(what),
        }
    }
}

impl TryFrom<&wit::Checksums> for Checksums {
    type Error = BlobError;

    fn try_from(checksums: &wit::Checksums) -> Result<Self, BlobError> {
        let sha256 = checksums.sha256.as_deref().map(|text| {
            sha256_from_hex(text)
                .ok_or_else(|| invalid("a SHA-256 is 64 lower-case hexadecimal digits".into()))
        });
        Ok(Self { crc32c: checksums.crc32c, sha256: sha256.transpose()? })
    }
}

impl From<Checksums> for wit::Checksums {
    fn from(checksums: Checksums) -> Self {
        let sha256 = checksums.sha256.map(|sha256| hex(&sha256));
        Self { crc32c: checksums.crc32c, sha256 }
    }
}

impl From<Object> for wit::Object {
    fn from(object: Object) -> Self {
        Self {
            key: object.key.to_string(),
            size: object.size,
            etag: object.etag,
            content_type: object.attributes.content_type,
            metadata: object.attributes.metadata.into_iter().collect(),
            modified_ms: since_1970(object.modified).as_millis() as u64,
            checksums: object.checksums.into(),
        }
    }
}

impl From<Stored> for wit::Stored {
    fn from(stored: Stored) -> Self {
        Self { size: stored.size, etag: stored.etag, checksums: stored.checksums.into() }
    }
}

impl From<wit::Condition> for Condition {
    fn from(condition: wit::Condition) -> Self {
        match condition {
            wit::Condition::Absent => Self::Absent,
            wit::Condition::Matches(etag) => Self::Matches(etag),
        }
    }
}

impl TryFrom<wit::Attributes> for Attributes {
    type Error = BlobError;

    fn try_from(attributes: wit::Attributes) -> Result<Self, BlobError> {
        let given = attributes.metadata.len();
        let metadata: std::collections::BTreeMap<_, _> = attributes.metadata.into_iter().collect();
        if metadata.len() < given {
            return Err(invalid("a metadata name is given once".into()));
        }
        Self { content_type: attributes.content_type, metadata }.checked()
    }
}

impl TryFrom<wit::PutOptions> for Put {
    type Error = BlobError;

    fn try_from(options: wit::PutOptions) -> Result<Self, BlobError> {
        let (content_type, metadata) = (options.content_type, options.metadata);
        Ok(Self {
            attributes: wit::Attributes { content_type, metadata }.try_into()?,
            size: options.size,
            expected: (&options.expected).try_into()?,
            condition: options.condition.map(Into::into),
        })
    }
}

impl From<wit::GetOptions> for Get {
    fn from(options: wit::GetOptions) -> Self {
        let range = options.range.map(|range| match range {
            wit::Range::Slice((offset, length)) => ByteRange::Slice { offset, length },
            wit::Range::From(offset) => ByteRange::From(offset),
            wit::Range::Last(length) => ByteRange::Last(length),
        });
        Self { range, if_match: options.if_match }
    }
}

impl From<wit::ListOptions> for Query {
    fn from(options: wit::ListOptions) -> Self {
        Self {
            prefix: options.prefix,
            delimiter: options.delimiter,
            cursor: options.cursor,
            limit: options.limit as usize,
        }
    }
}

impl From<Page> for wit::Page {
    fn from(page: Page) -> Self {
        let entry = |entry: Entry| wit::Entry {
            key: entry.key,
            size: entry.size,
            etag: entry.etag,
            modified_ms: since_1970(entry.modified).as_millis() as u64,
        };
        let entries = page.entries.into_iter().map(entry).collect();
        Self { entries, prefixes: page.prefixes, next: page.next }
    }
}

impl TryFrom<wit::CopyOptions> for Copying {
    type Error = BlobError;

    fn try_from(options: wit::CopyOptions) -> Result<Self, BlobError> {
        let attributes = options.attributes.map(TryInto::try_into).transpose()?;
        Ok(Self { attributes, if_match: options.if_match })
    }
}

pub(super) fn part(number: u32, options: &wit::PartOptions) -> Result<PartPut, BlobError> {
    Ok(PartPut { number, size: options.size, expected: (&options.expected).try_into()? })
}

impl From<wit::Part> for NamedPart {
    fn from(part: wit::Part) -> Self {
        Self { number: part.number, etag: part.etag }
    }
}

impl From<PartPage> for wit::PartPage {
    fn from(page: PartPage) -> Self {
        let parts = page.parts.into_iter();
        let parts = parts.map(|part| wit::ArrivedPart {
            number: part.number,
            size: part.size,
            etag: part.etag,
        });
        Self { parts: parts.collect(), next: page.next }
    }
}

impl From<wit::Permission> for Permission {
    fn from(permission: wit::Permission) -> Self {
        match permission {
            wit::Permission::Download(wit::Download { file_name, content_type }) => {
                Self::Download { file_name, content_type }
            }
            wit::Permission::Upload(wit::Upload { content_type, size }) => {
                Self::Upload { content_type, size }
            }
            wit::Permission::UploadPart(wit::PartUpload { upload_id, number, size }) => {
                Self::Part { upload_id, number, size }
            }
        }
    }
}

impl From<SignedUrl> for wit::SignedUrl {
    fn from(signed: SignedUrl) -> Self {
        Self {
            url: signed.url,
            method: signed.method.to_owned(),
            headers: signed.headers,
            expires_at: since_1970(signed.expires).as_secs(),
        }
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}
