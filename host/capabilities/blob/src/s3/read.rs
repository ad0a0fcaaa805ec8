//! HEAD and GET: S3's headers as an [`Object`], its stream as a body. Knows nothing of writing but
//! which metadata carries what S3 has no field for.

use super::Remote;
use super::fault::fault;
use crate::body;
use crate::checksum::{Checksums, sha256_from_hex};
use crate::name::{Attributes, Place, RESERVED_PREFIX};
use crate::store::{BlobError, Body, ByteRange, Download, Get, Object};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::ChecksumMode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use futures::stream::unfold;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// S3 keeps one checksum per object; the SHA-256 travels as metadata.
pub(super) const SHA256: &str = "nexus-sha256";

/// An object, and the metadata of ours that a copy must keep.
pub(super) struct Found {
    pub(super) object: Object,
    pub(super) reserved: HashMap<String, String>,
}

/// The headers that HEAD and GET have in common.
struct Headers {
    size: u64,
    etag: String,
    content_type: Option<String>,
    metadata: HashMap<String, String>,
    modified: SystemTime,
    crc32c: Option<u32>,
}

impl Headers {
    fn found(self, place: &Place) -> Found {
        let (reserved, own): (HashMap<_, _>, HashMap<_, _>) =
            self.metadata.into_iter().partition(|(name, _)| name.starts_with(RESERVED_PREFIX));
        let sha256 = reserved.get(SHA256).and_then(|hex| sha256_from_hex(hex));
        let metadata = own.into_iter().collect();
        let object = Object {
            key: place.key.clone(),
            size: self.size,
            etag: self.etag,
            attributes: Attributes { content_type: self.content_type, metadata },
            modified: self.modified,
            checksums: Checksums { crc32c: self.crc32c, sha256 },
        };
        Found { object, reserved }
    }
}

impl Remote {
    pub(super) async fn head(&self, place: &Place) -> Result<Found, BlobError> {
        let request = self.client.head_object().bucket(self.bucket()).key(Self::key(place));
        let request = request.checksum_mode(ChecksumMode::Enabled);
        let answer = request.send().await.map_err(|e| fault(e, self.bucket()))?;
        let headers = Headers {
            size: bytes(answer.content_length()),
            etag: etag(answer.e_tag()),
            modified: time(answer.last_modified()),
            crc32c: crc32c(answer.checksum_crc32_c()),
            content_type: answer.content_type,
            metadata: answer.metadata.unwrap_or_default(),
        };
        Ok(headers.found(place))
    }

    pub(super) async fn get(&self, place: &Place, get: Get) -> Result<Download, BlobError> {
        let range = get.range.map(range_header).transpose()?;
        let request = self.client.get_object().bucket(self.bucket()).key(Self::key(place));
        let request = request
            .checksum_mode(ChecksumMode::Enabled)
            .set_range(range)
            .set_if_match(get.if_match.as_deref().map(quoted));
        let answer = request.send().await.map_err(|e| fault(e, self.bucket()))?;
        let length = bytes(answer.content_length());
        let (first, size) = match answer.content_range().and_then(content_range) {
            Some((first, size)) => (first, size),
            None => (0, length),
        };
        let headers = Headers {
            size,
            etag: etag(answer.e_tag()),
            modified: time(answer.last_modified()),
            crc32c: crc32c(answer.checksum_crc32_c()),
            content_type: answer.content_type,
            metadata: answer.metadata.unwrap_or_default(),
        };
        let object = headers.found(place).object;
        let crc32c = object.checksums.crc32c.filter(|_| length == size);
        let body = body::verified(received(answer.body), size, crc32c);
        Ok(Download { object, range: first..first + length, body })
    }
}

fn received(body: ByteStream) -> Body {
    let step = |mut body: ByteStream| async {
        let chunk = body.next().await?;
        let chunk = chunk.map_err(|e| BlobError::Unavailable(format!("read an object: {e}")));
        Some((chunk, body))
    };
    unfold(body, step).boxed()
}

/// RFC 9110 section 14.1.2. An empty range has no spelling; servers count in 63 bits.
fn range_header(range: ByteRange) -> Result<String, BlobError> {
    const LAST: u64 = i64::MAX as u64;
    match range {
        ByteRange::Slice { length: 0, .. } | ByteRange::Last(0) => {
            Err(BlobError::RangeNotSatisfiable)
        }
        ByteRange::Slice { offset, .. } | ByteRange::From(offset) if offset > LAST => {
            Err(BlobError::RangeNotSatisfiable)
        }
        ByteRange::Slice { offset, length } => {
            Ok(format!("bytes={offset}-{}", offset.saturating_add(length - 1).min(LAST)))
        }
        ByteRange::From(offset) => Ok(format!("bytes={offset}-")),
        ByteRange::Last(length) => Ok(format!("bytes=-{}", length.min(LAST))),
    }
}

/// First byte and size of the whole, from `bytes 5-9/100`.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, size.parse().ok()?))
}

pub(super) fn bytes(length: Option<i64>) -> u64 {
    length.and_then(|length| length.try_into().ok()).unwrap_or(0)
}

/// Without its quotes; empty if S3 says none.
pub(super) fn etag(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

pub(super) fn time(time: Option<&DateTime>) -> SystemTime {
    time.and_then(|time| SystemTime::try_from(*time).ok()).unwrap_or(UNIX_EPOCH)
}

/// S3 writes the four bytes in base64, and `…-3` for one composed of three parts' checksums, which
/// is not the object's.
fn crc32c(text: Option<&str>) -> Option<u32> {
    let bytes = STANDARD.decode(text?).ok()?;
    bytes.try_into().ok().map(u32::from_be_bytes)
}

pub(super) fn crc32c_text(crc32c: u32) -> String {
    STANDARD.encode(crc32c.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_spelled_as_http_spells_them() {
        let header = |range| range_header(range).ok();
        let slice = |offset, length| header(ByteRange::Slice { offset, length });
        assert_eq!(slice(5, 1).as_deref(), Some("bytes=5-5"));
        assert_eq!(slice(1, u64::MAX).as_deref(), Some("bytes=1-9223372036854775807"));
        assert_eq!(slice(u64::MAX, 2), None);
        assert_eq!(slice(5, 0), None);
        assert_eq!(header(ByteRange::Last(0)), None);
        assert_eq!(header(ByteRange::Last(9)).as_deref(), Some("bytes=-9"));
    }

    #[test]
    fn a_composed_checksum_is_not_taken_for_the_objects_own() {
        assert_eq!(crc32c(Some("4waSgw==")), Some(0xe306_9283));
        assert_eq!(crc32c_text(0xe306_9283), "4waSgw==");
        assert_eq!(crc32c(Some("4waSgw==-3")), None);
        assert_eq!(crc32c(None), None);
    }

    #[test]
    fn a_content_range_tells_the_size_of_the_whole() {
        assert_eq!(content_range("bytes 5-9/100"), Some((5, 100)));
        assert_eq!(content_range("bytes 5-9/*"), None);
    }
}
