//! Objects in a folder of this machine, for a host that is given no S3: the same promises, the
//! same errors, and durable before a call returns. Refuses to share its folder with a second host,
//! because conditions are decided under locks of this process.
//!
//! `buckets/<bucket>/…` objects · `uploads/<id>/…` parts · `temporary/` what is being written ·
//! `lock` held while a host runs.

mod disk;
mod listing;
mod path;
mod reader;
mod sealed;
mod upload;

pub use reader::FolderReader;

use crate::body;
use crate::name::{Attributes, BucketName, Key, Place};
use crate::signed::Signer;
use crate::store::{
    BlobError, Body, Condition, Copying, Download, Get, NamedPart, Object, PART_BYTES_MAX, Page,
    PartPage, PartPut, Permission, Put, Query, SignedUrl, Store, Stored, UNSIZED_PART_BYTES_MAX,
    Upload, rules,
};
use async_trait::async_trait;
use disk::Disk;
use futures::StreamExt as _;
use sealed::{Draft, failed};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;

/// Chunks written by one trip to a blocking thread, when so many are there.
const BATCH_CHUNKS: usize = 8;

/// Where the folder is and what it allows.
#[derive(Debug, Clone)]
pub struct FolderSettings {
    /// Made if missing, readable by its owner only.
    pub root: PathBuf,
    /// Signs the URLs that this host serves under `/blobs/`.
    pub signer: Signer,
    /// Larger objects are refused. Protects the machine's disk from one endless body.
    pub object_bytes_max: u64,
}

/// The folder backend; clones share it.
#[derive(Clone)]
pub struct Folder {
    disk: Arc<Disk>,
    signer: Signer,
    /// Where blocking work runs: the home runtime's threads, never a shard's.
    home: Handle,
}

impl Folder {
    /// Takes the folder, and clears away what a crash has left.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`] when another process holds the folder, otherwise what the file
    /// system says.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn open(settings: FolderSettings) -> Result<Self, BlobError> {
        let disk = Disk::open(settings.root, settings.object_bytes_max)?;
        Ok(Self { disk: Arc::new(disk), signer: settings.signer, home: Handle::current() })
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let disk = self.disk.clone();
        body::blocking(&self.home, move || work(&disk)).await
    }

    /// Writes a body into a draft. `limit` is in bytes.
    async fn receive(&self, body: Body, size: Option<u64>, limit: u64) -> Result<Draft, BlobError> {
        if size.is_some_and(|size| size > limit) {
            return Err(BlobError::TooLarge { limit });
        }
        let mut draft = self.blocking(Disk::draft).await?;
        let mut batches = body::sized(body, size, limit).ready_chunks(BATCH_CHUNKS);
        while let Some(batch) = batches.next().await {
            draft = self
                .blocking(move |_| {
                    for chunk in batch {
                        draft.write(&chunk?).map_err(|e| failed(&e))?;
                    }
                    Ok(draft)
                })
                .await?;
        }
        Ok(draft)
    }
}

#[async_trait]
impl Store for Folder {
    async fn ready(&self) -> Result<(), BlobError> {
        self.blocking(|disk| disk.draft().map(drop)).await
    }

    async fn put(&self, place: &Place, put: Put, body: Body) -> Result<Stored, BlobError> {
        let put = rules::put(put)?;
        if let Some(condition) = put.condition.clone() {
            // Nobody should send gigabytes only to hear this; decided again before the rename.
            let place = place.clone();
            self.blocking(move |disk| disk.check(&place, &condition)).await?;
        }
        let draft = self.receive(body, put.size, self.disk.object_bytes_max).await?;
        let place = place.clone();
        self.blocking(move |disk| disk.finish_put(&place, put, draft)).await
    }

    async fn get(&self, place: &Place, get: Get) -> Result<Download, BlobError> {
        let place = place.clone();
        let sealed = self.blocking(move |disk| disk.find(&place)).await?;
        if get.if_match.is_some_and(|etag| etag != sealed.record.etag) {
            return Err(BlobError::PreconditionFailed);
        }
        let whole = 0..sealed.size;
        let range = get.range.map_or(Ok(whole.clone()), |range| range.within(sealed.size))?;
        let object = sealed.record.into_object(sealed.size)?;
        let body = body::of_file(&self.home, sealed.file, range.clone());
        let crc32c = object.checksums.crc32c.filter(|_| range == whole);
        let body = body::verified(body, object.size, crc32c);
        Ok(Download { object, range, body })
    }

    async fn head(&self, place: &Place) -> Result<Object, BlobError> {
        let place = place.clone();
        let sealed = self.blocking(move |disk| disk.find(&place)).await?;
        sealed.record.into_object(sealed.size)
    }

    async fn delete(&self, place: &Place) -> Result<(), BlobError> {
        let place = place.clone();
        self.blocking(move |disk| disk.delete(&place)).await
    }

    async fn delete_many(
        &self,
        bucket: &BucketName,
        keys: Vec<Key>,
    ) -> Result<Vec<(Key, BlobError)>, BlobError> {
        rules::keys(&keys)?;
        let bucket = bucket.clone();
        self.blocking(move |disk| {
            let places = keys.into_iter().map(|key| Place { bucket: bucket.clone(), key });
            let failed = places.filter_map(|p| disk.delete(&p).err().map(|error| (p.key, error)));
            Ok(failed.collect())
        })
        .await
    }

    async fn list(&self, bucket: &BucketName, query: Query) -> Result<Page, BlobError> {
        rules::query(&query)?;
        let bucket = bucket.clone();
        self.blocking(move |disk| listing::list(&disk.bucket(&bucket), &query)).await
    }

    async fn copy(&self, from: &Place, to: &Place, copying: Copying) -> Result<Stored, BlobError> {
        let attributes = copying.attributes.map(Attributes::checked).transpose()?;
        let (from, to) = (from.clone(), to.clone());
        self.blocking(move |disk| disk.copy(&from, &to, attributes, copying.if_match)).await
    }

    async fn create_upload(&self, place: &Place, with: Attributes) -> Result<String, BlobError> {
        let (place, with) = (place.clone(), with.checked()?);
        self.blocking(move |disk| disk.create_upload(&place, with)).await
    }

    async fn upload_part(
        &self,
        upload: &Upload,
        part: PartPut,
        body: Body,
    ) -> Result<Stored, BlobError> {
        rules::part(&part)?;
        let (asked, upload) = (upload.clone(), upload.clone());
        self.blocking(move |disk| disk.check_upload(&asked)).await?;
        let limit = if part.size.is_some() { PART_BYTES_MAX } else { UNSIZED_PART_BYTES_MAX };
        let draft = self.receive(body, part.size, limit).await?;
        self.blocking(move |disk| disk.place_part(&upload, &part, draft)).await
    }

    async fn list_parts(&self, upload: &Upload, after: u32) -> Result<PartPage, BlobError> {
        let upload = upload.clone();
        self.blocking(move |disk| disk.list_parts(&upload, after)).await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: Vec<NamedPart>,
        condition: Option<Condition>,
    ) -> Result<Stored, BlobError> {
        rules::named_parts(&parts)?;
        let upload = upload.clone();
        self.blocking(move |disk| disk.complete_upload(&upload, &parts, condition.as_ref())).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), BlobError> {
        let upload = upload.clone();
        self.blocking(move |disk| disk.abort_upload(&upload)).await
    }

    async fn sign(
        &self,
        place: &Place,
        permission: Permission,
        lifetime: Duration,
    ) -> Result<SignedUrl, BlobError> {
        rules::permission(&permission, lifetime)?;
        Ok(self.signer.sign(place, &permission, SystemTime::now() + lifetime))
    }
}
