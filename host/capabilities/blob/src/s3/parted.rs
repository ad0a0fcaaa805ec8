//! An upload in parts that the host itself makes of a large body. One that fails or is dropped is
//! aborted: S3 charges for parts that nobody finishes.

use super::Remote;
use super::fault::fault;
use super::read;
use super::write::{Buffer, conditions};
use crate::body;
use crate::name::Place;
use crate::store::{BlobError, Condition, Upload};
use aws_sdk_s3::types::{ChecksumType, CompletedMultipartUpload, CompletedPart};
use std::sync::Arc;
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
    pub(super) fn completed(self) -> CompletedPart {
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
