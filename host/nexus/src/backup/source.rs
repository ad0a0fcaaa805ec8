//! The objects of an installation, wherever they are kept, for reading. Refuses to write.

use super::Installation;
use super::check::Reading;
use crate::assembly;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use capability_blob::{
    BlobError, BucketName, Download, Entry, FolderReader, Get, PAGE_MAX, Place, Query, S3, Store,
};
use futures::Stream;
use nexus_runtime::Manifest;
use std::sync::Arc;

pub(super) enum Objects {
    /// In the home, perhaps beside a running host.
    Folder(FolderReader),
    /// On S3, where buckets are known by the manifest only.
    S3(Arc<dyn Store>, Vec<BucketName>),
}

impl Objects {
    pub(super) fn of(installation: &Installation, manifest: &Manifest) -> Result<Self> {
        let Some(objects) = &installation.objects else {
            return Ok(Self::Folder(FolderReader::new(installation.home.join("blobs"))));
        };
        let settings = assembly::s3(objects, &installation.environment)?;
        let store = Arc::new(S3::new(settings).context("use S3")?);
        let named = manifest.components.iter().flat_map(|component| &component.buckets);
        let names: Result<Vec<BucketName>, _> = named.map(|name| BucketName::new(name)).collect();
        let mut names = names.context("read the buckets of the manifest")?;
        names.sort();
        names.dedup();
        Ok(Self::S3(store, names))
    }

    pub(super) async fn buckets(&self) -> Result<Vec<BucketName>, BlobError> {
        match self {
            Self::Folder(reader) => reader.buckets().await,
            Self::S3(_, names) => Ok(names.clone()),
        }
    }

    /// A page of a bucket and where the next begins.
    pub(super) async fn page(
        &self,
        bucket: &BucketName,
        cursor: Option<String>,
    ) -> Result<(Vec<Entry>, Option<String>), BlobError> {
        let query = Query { prefix: String::new(), delimiter: None, cursor, limit: PAGE_MAX };
        let page = match self {
            Self::Folder(reader) => reader.list(bucket, query).await?,
            Self::S3(store, _) => store.list(bucket, query).await?,
        };
        Ok((page.entries, page.next))
    }

    /// An entry of a backup as a body for a store.
    pub(super) fn body(reading: Reading) -> impl Stream<Item = Result<Bytes, BlobError>> + Send {
        futures::stream::try_unfold(reading, |mut reading| async move {
            match reading.next() {
                Ok(Some(piece)) => Ok(Some((Bytes::from(piece), reading))),
                Ok(None) => Ok(None),
                Err(refusal) => Err(BlobError::Other(refusal.to_string())),
            }
        })
    }

    pub(super) async fn get(&self, place: &Place) -> Result<Download, BlobError> {
        match self {
            Self::Folder(reader) => reader.get(place).await,
            Self::S3(store, _) => store.get(place, Get::default()).await,
        }
    }
}
