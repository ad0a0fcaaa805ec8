//! Uploads in parts, ours and the guest's, and copies of objects too large for one request.
//! An upload of ours that fails or is dropped is aborted: S3 charges for parts that nobody finishes.

use super::Remote;
use super::fault::fault;
use super::read::{self, Found};
use super::write::{Buffer, Cutter, conditions};
use crate::body;
use crate::checksum::{Checksums, Hasher};
use crate::name::{Attributes, Place};
use crate::signed::encoded_key;
use crate::store::{
    BlobError, Body, Condition, Copying, NamedPart, PartPut, Stored, UNSIZED_PART_BYTES_MAX,
    Upload,
};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, MetadataDirective,
};
use bytes::Bytes;
use futures::StreamExt as _;
use http_body::{Frame, SizeHint};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Parts of one object on their way at once: the next one fills while one leaves.
const SENDING_MAX: usize = 2;

/// A part that S3 has.
pub(super) struct SentPart {
    pub(super) number: u32,
    pub(super) etag: String,
    pub(super) crc32c: Option<u32>,
}

impl SentPart {
    fn completed(self) -> CompletedPart {
        CompletedPart::builder()
            .part_number(self.number as i32)
            .e_tag(read::quoted(&self.etag))
            .set_checksum_crc32_c(self.crc32c.map(read::crc32c_text))
            .build()
    }
}

/// An upload of ours; aborted when dropped before it is complete.
pub(super) struct Parted {
    remote: Arc<Remote>,
    place: Place,
    id: Option<String>,
    sending: JoinSet<Result<SentPart, BlobError>>,
    parts: Vec<SentPart>,
    count: u32,
}

impl Parted {
    pub(super) fn new(remote: Arc<Remote>, place: Place, id: String) -> Self {
        let (sending, parts) = (JoinSet::new(), Vec::new());
        Self { remote, place, id: Some(id), sending, parts, count: 0 }
    }

    /// Parts begun so far.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    fn id(&self) -> String {
        self.id.clone().expect("an upload has its id until it is complete")
    }

    /// Begins to send the next part, once fewer than [`SENDING_MAX`] are on their way.
    pub(super) async fn send(&mut self, buffer: Buffer) -> Result<(), BlobError> {
        if self.sending.len() >= SENDING_MAX {
            self.arrive().await?;
        }
        self.count += 1;
        let (remote, place, id, number) =
            (self.remote.clone(), self.place.clone(), self.id(), self.count);
        self.sending
            .spawn(async move { SentPart::send(&remote, &place, &id, number, buffer).await });
        Ok(())
    }

    async fn arrive(&mut self) -> Result<(), BlobError> {
        if let Some(part) = self.sending.join_next().await {
            self.parts.push(body::joined(part)?);
        }
        Ok(())
    }

    /// Waits for all parts.
    pub(super) async fn sent(&mut self) -> Result<Vec<CompletedPart>, BlobError> {
        while !self.sending.is_empty() {
            self.arrive().await?;
        }
        self.parts.sort_unstable_by_key(|part| part.number);
        Ok(self.parts.drain(..).map(SentPart::completed).collect())
    }

    /// Returns the etag.
    pub(super) async fn complete(
        mut self,
        parts: Vec<CompletedPart>,
        condition: Option<&Condition>,
        crc32c: Option<u32>,
        size: u64,
    ) -> Result<String, BlobError> {
        let remote = self.remote.clone();
        let crc32c = crc32c.filter(|_| remote.settings.full_object_crc32c);
        let (if_match, if_none_match) = conditions(condition);
        let request = remote.client.complete_multipart_upload().bucket(remote.bucket());
        let request = request
            .key(Remote::key(&self.place))
            .upload_id(self.id())
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .set_checksum_type(crc32c.map(|_| ChecksumType::FullObject))
            .set_checksum_crc32_c(crc32c.map(read::crc32c_text))
            .mpu_object_size(size as i64)
            .set_if_match(if_match)
            .set_if_none_match(if_none_match);
        let answer = request.send().await.map_err(|e| fault(e, remote.bucket()))?;
        self.id = None;
        Ok(read::etag(answer.e_tag()))
    }
}

impl Drop for Parted {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let (remote, place) = (self.remote.clone(), self.place.clone());
        let mut sending = std::mem::take(&mut self.sending);
        let abort = async move {
            // A part that arrives after the abort would stay.
            sending.shutdown().await;
            if let Err(error) = remote.abort_upload(&Upload { place, id }).await {
                tracing::warn!(%error, "an unfinished upload stays in the object store");
            }
        };
        if let Ok(home) = Handle::try_current() {
            home.spawn(abort);
        }
    }
}

impl Remote {
    /// `crc32c` asks S3 to expect the CRC32C of the whole.
    pub(super) async fn create_upload(
        &self,
        place: &Place,
        with: &Attributes,
        crc32c: Option<()>,
    ) -> Result<String, BlobError> {
        let metadata: HashMap<_, _> = with.metadata.clone().into_iter().collect();
        let request = self.client.create_multipart_upload().bucket(self.bucket());
        let request = request
            .key(Self::key(place))
            .set_content_type(with.content_type.clone())
            .set_metadata(Some(metadata))
            .set_checksum_algorithm(crc32c.map(|()| ChecksumAlgorithm::Crc32C))
            .set_checksum_type(crc32c.map(|()| ChecksumType::FullObject));
        let answer = request.send().await.map_err(|e| fault(e, self.bucket()))?;
        answer.upload_id.ok_or_else(|| BlobError::Other("S3 gave the upload no id".into()))
    }

    /// A part of the guest's: from memory, so that it can be tried again, or streamed through if
    /// it is known to be large.
    pub(super) async fn upload_part(
        &self,
        upload: &Upload,
        part: PartPut,
        body: Body,
    ) -> Result<Stored, BlobError> {
        let (size, etag, checksums) = match part.size {
            Some(size) if size > UNSIZED_PART_BYTES_MAX => {
                let passing = Passing::new(body::sized(body, Some(size), size), size);
                let seen = passing.seen.clone();
                let sent = self.send_part(upload, part.number, size, passing.into_stream()).await;
                let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // The body's own error is the cause of whatever S3 said.
                let hasher = seen?;
                (size, sent?, hasher.finish())
            }
            size => {
                let body = body::sized(body, size, UNSIZED_PART_BYTES_MAX);
                let mut cutter = Cutter::new(body, &self.budget);
                let (buffer, end) = cutter.next(u64::MAX).await?;
                if !end {
                    return Err(BlobError::Unavailable("too many uploads are under way".into()));
                }
                let (size, checksums) = (buffer.bytes, cutter.checksums());
                part.expected.agree(&checksums)?;
                let body = buffer.into_stream();
                (size, self.send_part(upload, part.number, size, body).await?, checksums)
            }
        };
        // Without its etag nobody can make the part a part of anything.
        part.expected.agree(&checksums)?;
        Ok(Stored { size, etag, checksums })
    }

    /// Returns the etag.
    async fn send_part(
        &self,
        upload: &Upload,
        number: u32,
        size: u64,
        body: ByteStream,
    ) -> Result<String, BlobError> {
        let request = self.client.upload_part().bucket(self.bucket());
        let request = request
            .key(Self::key(&upload.place))
            .upload_id(&upload.id)
            .part_number(number as i32)
            .content_length(size as i64)
            .body(body);
        // A guest may take its time to write gigabytes; its own limits bound that.
        let patient = TimeoutConfig::builder()
            .connect_timeout(self.settings.connect_timeout)
            .disable_read_timeout()
            .build();
        let config = aws_sdk_s3::config::Builder::new().timeout_config(patient);
        let sent = request.customize().config_override(config).send().await;
        let answer = sent.map_err(|e| fault(e, self.bucket()))?;
        Ok(read::etag(answer.e_tag()))
    }

    pub(super) async fn complete_upload(
        self: Arc<Self>,
        upload: &Upload,
        parts: Vec<NamedPart>,
        condition: Option<Condition>,
    ) -> Result<Stored, BlobError> {
        let parts = parts.into_iter().map(|part| {
            SentPart { number: part.number, etag: part.etag, crc32c: None }.completed()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let (if_match, if_none_match) = conditions(condition.as_ref());
        let request = self.client.complete_multipart_upload().bucket(self.bucket());
        let request = request
            .key(Self::key(&upload.place))
            .upload_id(&upload.id)
            .multipart_upload(parts)
            .set_if_match(if_match)
            .set_if_none_match(if_none_match);
        let answer = request.send().await.map_err(|e| fault(e, self.bucket()))?;
        let object = self.head(&upload.place).await?.object;
        let etag = read::etag(answer.e_tag());
        Ok(Stored { size: object.size, etag, checksums: object.checksums })
    }

    pub(super) async fn abort_upload(&self, upload: &Upload) -> Result<(), BlobError> {
        let request = self.client.abort_multipart_upload().bucket(self.bucket());
        let request = request.key(Self::key(&upload.place)).upload_id(&upload.id);
        request.send().await.map(|_| ()).map_err(|e| fault(e, self.bucket()))
    }

    pub(super) async fn copy(
        self: Arc<Self>,
        from: &Place,
        to: &Place,
        copying: Copying,
    ) -> Result<Stored, BlobError> {
        let source = self.head(from).await?;
        let Found { object, reserved } = &source;
        if copying.if_match.is_some_and(|etag| etag != object.etag) {
            return Err(BlobError::PreconditionFailed);
        }
        let (size, checksums) = (object.size, object.checksums);
        if from == to && copying.attributes.is_none() {
            // S3 calls a copy that changes nothing illegal; there is nothing to do either.
            return Ok(Stored { size, etag: object.etag.clone(), checksums });
        }
        let replaced = copying.attributes.is_some();
        let mut attributes = copying.attributes.unwrap_or_else(|| object.attributes.clone());
        attributes.metadata.extend(reserved.clone());
        let etag = if size > self.settings.copy_bytes_max {
            self.copy_parts(from, to, &source, &attributes).await
        } else {
            self.copy_whole(from, to, &source, attributes, replaced).await
        };
        match etag {
            Ok(etag) => Ok(Stored { size, etag, checksums }),
            // Between our look and the copy, by someone else: not what the caller asked about.
            Err(BlobError::PreconditionFailed) => {
                Err(BlobError::Unavailable("the object changed while it was copied".into()))
            }
            Err(error) => Err(error),
        }
    }

    fn copy_source(&self, from: &Place) -> String {
        format!("{}/{}", self.bucket(), encoded_key(&Self::key(from)))
    }

    async fn copy_whole(
        &self,
        from: &Place,
        to: &Place,
        source: &Found,
        attributes: Attributes,
        replaced: bool,
    ) -> Result<String, BlobError> {
        let mut request = self.client.copy_object().bucket(self.bucket()).key(Self::key(to));
        request = request
            .copy_source(self.copy_source(from))
            .copy_source_if_match(read::quoted(&source.object.etag));
        if replaced {
            let metadata: HashMap<_, _> = attributes.metadata.into_iter().collect();
            request = request
                .metadata_directive(MetadataDirective::Replace)
                .set_content_type(attributes.content_type)
                .set_metadata(Some(metadata));
        }
        let answer = request.send().await.map_err(|e| fault(e, self.bucket()))?;
        Ok(read::etag(answer.copy_object_result().and_then(|result| result.e_tag())))
    }

    async fn copy_parts(
        self: &Arc<Self>,
        from: &Place,
        to: &Place,
        source: &Found,
        attributes: &Attributes,
    ) -> Result<String, BlobError> {
        let id = self.create_upload(to, attributes, None).await?;
        let mut parted = Parted::new(self.clone(), to.clone(), id.clone());
        let (size, step) = (source.object.size, self.settings.copy_bytes_max);
        let mut parts = Vec::new();
        for (number, first) in (1..).zip((0..size).step_by(step as usize)) {
            let last = (first + step).min(size) - 1;
            let request = self.client.upload_part_copy().bucket(self.bucket());
            let request = request
                .key(Self::key(to))
                .upload_id(&id)
                .part_number(number)
                .copy_source(self.copy_source(from))
                .copy_source_if_match(read::quoted(&source.object.etag))
                .copy_source_range(format!("bytes={first}-{last}"));
            let answer = request.send().await.map_err(|e| fault(e, self.bucket()))?;
            let etag = read::etag(answer.copy_part_result().and_then(|result| result.e_tag()));
            let number = number as u32;
            parts.push(SentPart { number, etag, crc32c: None }.completed());
        }
        parted.count = parts.len() as u32;
        parted.complete(parts, None, None, size).await
    }
}

/// A body that passes through once: counted, hashed, not kept.
struct Passing {
    body: Mutex<Body>,
    /// Bytes that S3 has not been given yet.
    left: u64,
    /// The last chunk, withheld until the body has ended well.
    last: Option<Bytes>,
    hasher: Hasher,
    /// What passed, once it has; or why it did not.
    seen: Arc<Mutex<Result<Hasher, BlobError>>>,
}

impl Passing {
    fn new(body: Body, size: u64) -> Self {
        let seen = Arc::new(Mutex::new(Err(BlobError::Incomplete)));
        Self { body: Mutex::new(body), left: size, last: None, hasher: Hasher::default(), seen }
    }

    fn into_stream(self) -> ByteStream {
        ByteStream::new(SdkBody::from_body_1_x(self))
    }

    fn tell(&self, seen: Result<Hasher, BlobError>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    fn give(&mut self, chunk: Bytes) -> Poll<Option<Result<Frame<Bytes>, BlobError>>> {
        self.left -= chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = BlobError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BlobError>>> {
        loop {
            let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
            match ready!(body.poll_next_unpin(cx)) {
                Some(Ok(chunk)) => {
                    self.hasher.update(&chunk);
                    if chunk.len() as u64 == self.left {
                        self.last = Some(chunk);
                        continue;
                    }
                    return self.give(chunk);
                }
                Some(Err(error)) => {
                    self.tell(Err(error.clone()));
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.tell(Ok(self.hasher.clone()));
                    return match self.last.take() {
                        Some(last) => self.give(last),
                        None => Poll::Ready(None),
                    };
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
