//! `spin:key-value`: values by key in stores that the manifest names.
//!
//! A store is shared by every component that lists its label, as on Spin: the label is the
//! namespace, not the component. Knows labels, limits and errors; where the bytes lie is the
//! business of a [`Backend`]: [`Embedded`] (a folder of this host) or [`OnRedis`].

mod embedded;
mod host;
mod log;
mod redis;
mod shards;
mod writer;

pub use embedded::{Durability, Embedded, EmbeddedSettings};
pub use redis::OnRedis;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use host::spin::key_value::key_value;
use nexus_runtime::{Capability, ComponentManifest, Denied, Has, Instance, Opening};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;
use wasmtime::component::Linker;

/// Bytes of a key. Long enough for any path or URL worth remembering.
pub const KEY_BYTES_MAX: usize = 1024;
/// Bytes of a value. What is larger is an object and belongs in a bucket, which streams.
pub const VALUE_BYTES_MAX: usize = 4 << 20;
/// Bytes of a store's label.
pub const LABEL_BYTES_MAX: usize = 256;
/// Stores one instance may hold open: eight for each call it serves at once, by default.
pub const OPEN_MAX: usize = 256;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyValueError {
    #[error("the key has {bytes} bytes, a key takes at most {KEY_BYTES_MAX}")]
    KeyTooLong { bytes: usize },
    #[error(
        "the value has {bytes} bytes, a value takes at most {VALUE_BYTES_MAX}; \
         larger ones belong in a bucket"
    )]
    ValueTooLong { bytes: usize },
    #[error(
        "component {component} may not open the store {label:?}: \
         add it to key_value_stores of [component.{component}]"
    )]
    Ungranted { component: String, label: String },
    #[error("the host's key-value store is full: its limit is {limit} bytes")]
    Full { limit: u64 },
    #[error("the key-value store is unavailable: {0}")]
    Unavailable(String),
    #[error("the folder {0} is in use by another host")]
    InUse(PathBuf),
    #[error("{file} is damaged at byte {offset}: restore it from a backup, or move it away")]
    Damaged { file: PathBuf, offset: u64 },
    #[error("cannot {action} {file}: {reason}")]
    Io { action: &'static str, file: PathBuf, reason: String },
}

/// Keys in batches, in no particular order, each once. A key that exists from the first batch to
/// the last is among them; one that comes or goes meanwhile may be.
pub type Keys = BoxStream<'static, Result<Vec<String>, KeyValueError>>;

/// Where stores live. Every backend passes the suite in `tests/conformance`.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    async fn get(&self, label: &str, key: &str) -> Result<Option<Bytes>, KeyValueError>;
    async fn set(&self, label: &str, key: &str, value: Bytes) -> Result<(), KeyValueError>;
    async fn delete(&self, label: &str, key: &str) -> Result<(), KeyValueError>;
    async fn exists(&self, label: &str, key: &str) -> Result<bool, KeyValueError>;
    fn keys(&self, label: &str) -> Keys;
}

/// An open store: a label on a backend, behind the limits that every backend shares.
#[derive(Clone)]
pub struct Store {
    label: Arc<str>,
    backend: Arc<dyn Backend>,
}

impl Store {
    /// Opens without asking for a grant: for the host's own use and for tests.
    pub fn new(backend: Arc<dyn Backend>, label: &str) -> Self {
        Self { label: label.into(), backend }
    }

    /// Opens on behalf of a component.
    ///
    /// # Errors
    ///
    /// [`KeyValueError::Ungranted`] when its manifest does not list the label.
    pub fn open(
        backend: Arc<dyn Backend>,
        component: &ComponentManifest,
        label: &str,
    ) -> Result<Self, KeyValueError> {
        if component.key_value_stores.iter().any(|granted| granted == label) {
            return Ok(Self::new(backend, label));
        }
        let label = label.chars().take(LABEL_BYTES_MAX).collect();
        Err(KeyValueError::Ungranted { component: component.id.to_string(), label })
    }

    /// # Errors
    ///
    /// [`KeyValueError::KeyTooLong`], [`KeyValueError::Unavailable`].
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, KeyValueError> {
        self.backend.get(&self.label, checked(key)?).await
    }

    /// # Errors
    ///
    /// As [`Store::get`], and [`KeyValueError::ValueTooLong`], [`KeyValueError::Full`].
    pub async fn set(&self, key: &str, value: Bytes) -> Result<(), KeyValueError> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(KeyValueError::ValueTooLong { bytes: value.len() });
        }
        self.backend.set(&self.label, checked(key)?, value).await
    }

    /// # Errors
    ///
    /// As [`Store::get`]; none when there is no such key.
    pub async fn delete(&self, key: &str) -> Result<(), KeyValueError> {
        self.backend.delete(&self.label, checked(key)?).await
    }

    /// # Errors
    ///
    /// As [`Store::get`].
    pub async fn exists(&self, key: &str) -> Result<bool, KeyValueError> {
        self.backend.exists(&self.label, checked(key)?).await
    }

    /// Every key of the store.
    pub fn keys(&self) -> Keys {
        self.backend.keys(&self.label)
    }
}

fn checked(key: &str) -> Result<&str, KeyValueError> {
    match key.len() {
        bytes if bytes > KEY_BYTES_MAX => Err(KeyValueError::KeyTooLong { bytes }),
        _ => Ok(key),
    }
}

/// The capability.
pub struct KeyValue {
    backend: Arc<dyn Backend>,
}

impl KeyValue {
    pub fn new(backend: impl Backend) -> Self {
        Self { backend: Arc::new(backend) }
    }

    /// For other parts of the host, and for tests.
    pub fn backend(&self) -> Arc<dyn Backend> {
        self.backend.clone()
    }
}

/// What an instance keeps: the backend, and a place for each store it may hold open.
pub struct State {
    backend: Arc<dyn Backend>,
    places: Arc<Semaphore>,
    /// A guest that asks in a loop must not fill the host's log.
    refusal_logged: bool,
}

impl Capability for KeyValue {
    const NAME: &'static str = "key_value";
    const INTERFACES: &'static [&'static str] = &["spin:key-value/"];
    type State = State;

    fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
        key_value::add_to_linker::<Instance, Has<Self>>(linker, Instance::view::<Self>)
    }

    fn admit(&self, component: &ComponentManifest) -> Result<(), Denied> {
        let fits = |label: &String| (1..=LABEL_BYTES_MAX).contains(&label.len());
        if !component.key_value_stores.is_empty() && component.key_value_stores.iter().all(fits) {
            return Ok(());
        }
        Err(Denied {
            component: component.id.to_string(),
            interface: "spin:key-value/key-value",
            line: "key_value_stores = [\"default\"]".into(),
        })
    }

    fn open(&self, _opening: &Opening<'_>) -> Self::State {
        State {
            backend: self.backend.clone(),
            places: Arc::new(Semaphore::new(OPEN_MAX)),
            refusal_logged: false,
        }
    }
}
