//! Uploads in parts that a guest makes, and copies, which S3 does by itself.

use super::Remote;
use super::fault::fault;
use super::parted::{Parted, SentPart};
use super::passing::Passing;
use super::read::{self, Found};
use super::write::{Cutter, conditions};
use crate::body;
use crate::name::{Attributes, Place};
use crate::signed::encoded_key;
use crate::store::{
    BlobError, Body, Condition, Copying, NamedPart, PART_BYTES_MAX, PartPut, Stored,
    UNSIZED_PART_BYTES_MAX, Upload,
};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, MetadataDirective,
};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

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
                let (passing, seen) =
                    Passing::new(body::sized(body, Some(size), PART_BYTES_MAX), size);
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
        let parted = Parted::new(self.clone(), to.clone(), id.clone());
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
        parted.complete(parts, None, None, size).await
    }
}
