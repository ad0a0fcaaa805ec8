//! What others see of the store that components use: URLs for workers, and finished media for the
//! data plane. Stands here because neither the operators' surface nor a trigger knows a capability.

use async_trait::async_trait;
use capability_blob::{BlobError, BucketName, ByteRange, Get, Key, Permission, Place, Store};
use futures::{StreamExt as _, TryStreamExt as _};
use nexus_admin::{ObjectUrlError, ObjectUrls, ReadUrl, WriteUrl};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use trigger_http::{Opened, Packages, PackagesAway};

/// Long enough to begin a transfer after waiting behind others; a URL that leaks is soon worthless.
const LIFETIME: Duration = Duration::from_secs(900);

/// The store behind `nexus:blob`.
pub(crate) struct StoreUrls(pub(crate) Arc<dyn Store>);

#[async_trait]
impl ObjectUrls for StoreUrls {
    async fn read(&self, bucket: &str, key: &str) -> Result<ReadUrl, ObjectUrlError> {
        let place = place(bucket, key)?;
        let object = self.0.head(&place).await.map_err(sorted)?;
        let permission = Permission::Download { file_name: None, content_type: None };
        let signed = self.0.sign(&place, permission, LIFETIME).await.map_err(sorted)?;
        Ok(ReadUrl {
            url: signed.url,
            size: object.size,
            sha256: object.checksums.sha256.map(hexadecimal),
            content_type: object.attributes.content_type,
        })
    }

    async fn write(
        &self,
        bucket: &str,
        key: &str,
        content_type: Option<&str>,
        size: Option<u64>,
    ) -> Result<WriteUrl, ObjectUrlError> {
        let place = place(bucket, key)?;
        let permission = Permission::Upload { content_type: content_type.map(str::to_owned), size };
        let signed = self.0.sign(&place, permission, LIFETIME).await.map_err(sorted)?;
        Ok(WriteUrl { method: signed.method, url: signed.url, headers: signed.headers })
    }
}

/// The bucket of everything that is watched or heard.
const MEDIA: &str = "media";

/// The packages in [`MEDIA`].
pub(crate) struct StoredPackages(pub(crate) Arc<dyn Store>);

#[async_trait]
impl Packages for StoredPackages {
    async fn open(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Opened>, PackagesAway> {
        let away = |error: BlobError| PackagesAway(error.to_string());
        let bucket = BucketName::new(MEDIA).map_err(away)?;
        let place = Place { bucket, key: Key::new(key).map_err(away)? };
        let slice = |range: Range<u64>| ByteRange::Slice {
            offset: range.start,
            length: range.end - range.start,
        };
        let range = range.map(slice);
        match self.0.get(&place, Get { range, if_match: None }).await {
            Ok(found) => Ok(Some(Opened {
                size: found.object.size,
                etag: found.object.etag,
                body: found.body.map_err(away).boxed(),
            })),
            Err(BlobError::NoSuchKey | BlobError::NoSuchBucket(_)) => Ok(None),
            Err(error) => Err(away(error)),
        }
    }
}

fn hexadecimal(sum: [u8; 32]) -> String {
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn place(bucket: &str, key: &str) -> Result<Place, ObjectUrlError> {
    let bucket = BucketName::new(bucket).map_err(sorted)?;
    Ok(Place { bucket, key: Key::new(key).map_err(sorted)? })
}

fn sorted(error: BlobError) -> ObjectUrlError {
    match error {
        BlobError::NoSuchKey | BlobError::NoSuchBucket(_) => ObjectUrlError::NoSuchObject,
        BlobError::Invalid(rule) => ObjectUrlError::Invalid(rule),
        BlobError::Unavailable(reason) => ObjectUrlError::Unavailable(reason),
        other => ObjectUrlError::Failed(other.to_string()),
    }
}
