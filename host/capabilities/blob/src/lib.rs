//! `nexus:blob`: objects of any size in named buckets, for guests and for the host itself, on any
//! S3 or in a folder. One trait, [`Store`], two backends, one conformance suite. Knows nothing of
//! what the objects mean.

mod body;
mod checksum;
mod conditions;
mod folder;
mod host;
mod name;
mod s3;
mod serve;
mod signed;
mod store;
mod stream;

pub use checksum::{Checksums, Hasher};
pub use folder::{Folder, FolderReader, FolderSettings};
pub use name::{Attributes, BucketName, KEY_BYTES_MAX, Key, METADATA_BYTES_MAX, Place};
pub use s3::{S3, S3Credentials, S3Settings};
pub use serve::{Door, ServedBody};
pub use signed::{MOUNT, Signer};
pub use store::{
    ArrivedPart, BlobError, Body, ByteRange, Condition, Copying, Download, Entry, Get, NamedPart,
    Object, PAGE_MAX, PART_BYTES_MAX, PART_BYTES_MIN, PART_NUMBER_MAX, Page, PartPage, PartPut,
    Permission, Put, Query, SIGNED_SECONDS_MAX, SignedUrl, Store, Stored, UNSIZED_PART_BYTES_MAX,
    Upload,
};

use nexus_runtime::{Capability, ComponentManifest, Denied, Has, Instance, Opening};
use std::sync::Arc;
use tokio::sync::Semaphore;
use wasmtime::component::Linker;

/// Streams that one instance may have open, in and out together: each holds a file or a connection
/// and up to a megabyte.
const TRANSFERS_MAX: usize = 32;

/// The capability behind `nexus:blob/buckets`.
pub struct Blob {
    store: Arc<dyn Store>,
}

/// What an instance holds.
#[derive(Clone)]
pub struct BlobState {
    store: Arc<dyn Store>,
    transfers: Arc<Semaphore>,
}

impl Blob {
    /// With [`Folder`] or [`S3`]. A folder also needs its [`Door`] mounted under [`MOUNT`], or its
    /// signed URLs lead nowhere.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// For the host's own objects.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

impl Capability for Blob {
    const NAME: &'static str = "blob";
    const INTERFACES: &'static [&'static str] = &["nexus:blob/"];
    type State = BlobState;

    fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
        host::add_to_linker::<Instance, Has<Self>>(linker, Instance::view::<Self>)
    }

    /// Whoever has at least one bucket, all of them with possible names.
    fn admit(&self, component: &ComponentManifest) -> Result<(), Denied> {
        let possible = component.buckets.iter().all(|name| BucketName::new(name).is_ok());
        if possible && !component.buckets.is_empty() {
            return Ok(());
        }
        Err(Denied {
            component: component.id.to_string(),
            interface: "nexus:blob/buckets",
            // A dotted key, because the line is to stand in the component's own table; names are
            // 1 to 63 lower-case letters, digits and inner dashes.
            line: format!("tool.nexus.buckets = [\"{}\"]", component.id),
        })
    }

    fn open(&self, _opening: &Opening<'_>) -> Self::State {
        let transfers = Arc::new(Semaphore::new(TRANSFERS_MAX));
        BlobState { store: self.store.clone(), transfers }
    }
}
