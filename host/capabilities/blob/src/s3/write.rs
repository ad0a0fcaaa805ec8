//! PUT of a body of any length: small ones in one request, large ones in parts, and never more in
//! memory than the budget. Each request can be tried again, because its bytes are still here.

use super::Remote;
use super::fault::fault;
use super::parted::{Parted, SentPart};
use super::read::{self, SHA256};
use crate::body;
use crate::checksum::{Checksums, Crc32c, Hasher, hex};
use crate::name::Place;
use crate::store::{BlobError, Body, Condition, PART_BYTES_MIN, Put, Stored};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use futures::StreamExt as _;
use http_body::{Frame, SizeHint};
use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longer than a part takes to leave; then the store is simply too slow for its guests.
const BUDGET_WAIT_MAX: Duration = Duration::from_secs(10);

/// Below the 10,000 that S3 allows, for parts cut short by pressure on the budget.
const PARTS_AIMED_AT: u64 = 9_000;
/// Bodies of unknown size double their parts after so many: 10,000 of them hold 8 TiB.
const PARTS_OF_ONE_SIZE: u32 = 1_000;

/// The bytes that all uploads together may hold.
pub(super) struct Budget {
    free: Arc<Semaphore>,
    bytes_max: usize,
    peak: AtomicUsize,
}

impl Budget {
    pub(super) fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(Semaphore::MAX_PERMITS);
        let free = Arc::new(Semaphore::new(bytes_max));
        Self { free, bytes_max, peak: AtomicUsize::new(0) }
    }

    /// Now, and at most ever.
    pub(super) fn used(&self) -> (usize, usize) {
        (self.bytes_max - self.free.available_permits(), self.peak.load(Ordering::Relaxed))
    }

    fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        let taken = self.free.clone().try_acquire_many_owned(bytes).ok()?;
        self.peak.fetch_max(self.used().0, Ordering::Relaxed);
        Some(taken)
    }

    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, BlobError> {
        let busy = || BlobError::Unavailable("too many uploads are under way".into());
        let permits = u32::try_from(bytes).map_err(|_| busy())?;
        let taken = self.free.clone().acquire_many_owned(permits);
        let taken = tokio::time::timeout(BUDGET_WAIT_MAX, taken).await.map_err(|_| busy())?;
        let taken = taken.map_err(|_| busy())?;
        self.peak.fetch_max(self.used().0, Ordering::Relaxed);
        Ok(taken)
    }
}

/// Bytes that wait to be sent, and their share of the budget.
#[derive(Default)]
pub(super) struct Buffer {
    chunks: Vec<Bytes>,
    pub(super) bytes: u64,
    crc32c: Option<Crc32c>,
    shares: Option<OwnedSemaphorePermit>,
}

impl Buffer {
    fn push(&mut self, chunk: Bytes, share: OwnedSemaphorePermit) {
        self.bytes += chunk.len() as u64;
        self.crc32c.get_or_insert_default().update(&chunk);
        self.chunks.push(chunk);
        match &mut self.shares {
            Some(shares) => shares.merge(share),
            None => self.shares = Some(share),
        }
    }

    pub(super) fn crc32c(&self) -> u32 {
        self.crc32c.as_ref().map_or(0, Crc32c::finish)
    }

    /// A body that can be sent again. The share lives as long as the body.
    pub(super) fn into_stream(self) -> ByteStream {
        let buffer = Arc::new(self);
        ByteStream::new(SdkBody::retryable(move || {
            SdkBody::from_body_1_x(Replay { left: buffer.bytes, next: 0, buffer: buffer.clone() })
        }))
    }
}

/// One sending of a buffer.
struct Replay {
    buffer: Arc<Buffer>,
    next: usize,
    left: u64,
}

impl http_body::Body for Replay {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.buffer.chunks.get(self.next).cloned();
        self.next += 1;
        self.left -= chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A body being cut into buffers.
pub(super) struct Cutter<'a> {
    body: Body,
    budget: &'a Budget,
    /// Of all that has passed.
    hasher: Hasher,
    /// What did not fit into the last buffer.
    rest: Bytes,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(body: Body, budget: &'a Budget) -> Self {
        Self { body, budget, hasher: Hasher::default(), rest: Bytes::new() }
    }

    /// The next `target` bytes; fewer at the end of the body, which the flag says, and fewer (but
    /// enough for a part) when the budget is short.
    pub(super) async fn next(&mut self, target: u64) -> Result<(Buffer, bool), BlobError> {
        let mut buffer = Buffer::default();
        while buffer.bytes < target {
            if self.rest.is_empty() {
                let Some(chunk) = self.body.next().await.transpose()? else {
                    return Ok((buffer, true));
                };
                self.hasher.update(&chunk);
                self.rest = chunk;
                continue;
            }
            let room = usize::try_from(target - buffer.bytes).unwrap_or(usize::MAX);
            let size = self.rest.len().min(room);
            let share = match self.budget.try_take(size) {
                Some(share) => share,
                None if buffer.bytes >= PART_BYTES_MIN => return Ok((buffer, false)),
                None => self.budget.take(size).await?,
            };
            buffer.push(self.rest.split_to(size), share);
        }
        Ok((buffer, false))
    }

    pub(super) fn checksums(&self) -> Checksums {
        self.hasher.clone().finish()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.hasher.bytes()
    }
}

impl Remote {
    pub(super) async fn put(
        self: Arc<Self>,
        place: &Place,
        put: Put,
        body: Body,
    ) -> Result<Stored, BlobError> {
        let limit = self.settings.object_bytes_max;
        if put.size.is_some_and(|size| size > limit) {
            return Err(BlobError::TooLarge { limit });
        }
        if let Some(condition) = &put.condition {
            // Nobody should send gigabytes only to hear this; S3 decides again at the end.
            self.check(place, condition).await?;
        }
        let body = body::sized(body, put.size, limit);
        let mut cutter = Cutter::new(body, &self.budget);
        let (first, whole) = cutter.next(self.part_bytes(1, put.size)).await?;
        if whole {
            let checksums = cutter.checksums();
            put.expected.agree(&checksums)?;
            return self.put_whole(place, put, first, checksums).await;
        }
        let mut metadata = put.attributes.clone();
        // Known before the first byte leaves, or not at all.
        let sha256 = put.expected.sha256.map(|sha256| (SHA256.to_owned(), hex(&sha256)));
        metadata.metadata.extend(sha256);
        let crc32c = self.settings.full_object_crc32c.then_some(());
        let id = self.create_upload(place, &metadata, crc32c).await?;
        let mut parted = Parted::new(self.clone(), place.clone(), id);
        parted.send(first).await?;
        loop {
            let target = self.part_bytes(parted.count() + 1, put.size);
            let (buffer, end) = cutter.next(target).await?;
            if buffer.bytes > 0 {
                parted.send(buffer).await?;
            }
            if end {
                break;
            }
        }
        let (size, checksums) = (cutter.bytes(), cutter.checksums());
        put.expected.agree(&checksums)?;
        let parts = parted.sent().await?;
        let etag = parted.complete(parts, put.condition.as_ref(), checksums.crc32c, size).await?;
        Ok(Stored { size, etag, checksums })
    }

    /// The size of a part that keeps their number below S3's limit.
    fn part_bytes(&self, number: u32, size: Option<u64>) -> u64 {
        let least = self.settings.part_bytes;
        match size {
            Some(size) => least.max(size / PARTS_AIMED_AT),
            None => least << ((number - 1) / PARTS_OF_ONE_SIZE).min(4),
        }
    }

    async fn check(&self, place: &Place, condition: &Condition) -> Result<(), BlobError> {
        let found = match self.head(place).await {
            Ok(found) => Some(found.object.etag),
            Err(BlobError::NoSuchKey) => None,
            Err(error) => return Err(error),
        };
        let holds = match condition {
            Condition::Absent => found.is_none(),
            Condition::Matches(etag) => found.as_ref() == Some(etag),
        };
        if holds { Ok(()) } else { Err(BlobError::PreconditionFailed) }
    }

    async fn put_whole(
        &self,
        place: &Place,
        put: Put,
        buffer: Buffer,
        checksums: Checksums,
    ) -> Result<Stored, BlobError> {
        let size = buffer.bytes;
        let mut metadata: HashMap<_, _> = put.attributes.metadata.into_iter().collect();
        metadata.extend(checksums.sha256.map(|sha256| (SHA256.to_owned(), hex(&sha256))));
        let (if_match, if_none_match) = conditions(put.condition.as_ref());
        let request = self.client.put_object().bucket(self.bucket()).key(Self::key(place));
        let request = request
            .set_content_type(put.attributes.content_type)
            .set_metadata(Some(metadata))
            .set_checksum_crc32_c(checksums.crc32c.map(read::crc32c_text))
            .set_if_match(if_match)
            .set_if_none_match(if_none_match)
            .content_length(size as i64)
            .body(buffer.into_stream());
        let answer = request.send().await.map_err(|e| fault(e, self.bucket()))?;
        Ok(Stored { size, etag: read::etag(answer.e_tag()), checksums })
    }
}

/// `If-Match` and `If-None-Match`.
pub(super) fn conditions(condition: Option<&Condition>) -> (Option<String>, Option<String>) {
    match condition {
        None => (None, None),
        Some(Condition::Absent) => (None, Some("*".into())),
        Some(Condition::Matches(etag)) => (Some(read::quoted(etag)), None),
    }
}

impl SentPart {
    /// Sends one buffer as one part.
    pub(super) async fn send(
        remote: &Remote,
        place: &Place,
        upload_id: &str,
        number: u32,
        buffer: Buffer,
    ) -> Result<Self, BlobError> {
        let (bytes, crc32c) = (buffer.bytes, buffer.crc32c());
        let keeps_crc = remote.settings.full_object_crc32c;
        let request = remote.client.upload_part().bucket(remote.bucket()).key(Remote::key(place));
        let request = request
            .upload_id(upload_id)
            .part_number(number as i32)
            .set_checksum_crc32_c(keeps_crc.then(|| read::crc32c_text(crc32c)))
            .content_length(bytes as i64)
            .body(buffer.into_stream());
        let answer = request.send().await.map_err(|e| fault(e, remote.bucket()))?;
        let crc32c = keeps_crc.then_some(crc32c);
        Ok(Self { number, etag: read::etag(answer.e_tag()), crc32c })
    }
}
