//! A folder of objects, read beside the host that holds it: for backups. Objects appear and go by
//! one rename each, so whatever is found here is whole. Refuses to write.

use super::Folder;
use super::disk::Disk;
use crate::name::{BucketName, Place};
use crate::signed::Signer;
use crate::store::{BlobError, Download, Get, Page, Query, Store as _};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;
use url::Url;

/// The reader.
#[derive(Clone)]
pub struct FolderReader(Folder);

impl FolderReader {
    /// Of the folder that [`Folder::open`] was given as its root; it need not be there.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(root: PathBuf) -> Self {
        let nowhere = Url::parse("http://reader.invalid").expect("it is an URL");
        let disk = Arc::new(Disk::beside(root));
        Self(Folder { disk, signer: Signer::new(&[], &nowhere), home: Handle::current() })
    }

    /// The buckets that have ever held something.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub async fn buckets(&self) -> Result<Vec<BucketName>, BlobError> {
        self.0.blocking(Disk::bucket_names).await
    }

    /// As [`crate::Store::list`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn list(&self, bucket: &BucketName, query: Query) -> Result<Page, BlobError> {
        self.0.list(bucket, query).await
    }

    /// As [`crate::Store::get`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn get(&self, place: &Place) -> Result<Download, BlobError> {
        self.0.get(place, Get::default()).await
    }
}
