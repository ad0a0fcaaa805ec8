//! Stores in this process, kept in a folder: memory answers reads, an append-only log survives
//! the process. Refuses to be opened by two hosts at once.
//!
//! A change is acknowledged when the operating system has it, which survives a kill of the host;
//! the disk has it within a second ([`Durability::EachSecond`]) or before the acknowledgement
//! ([`Durability::EachWrite`]). After an error of a write, whether the change happened is unknown.

use crate::log::{self, Change};
use crate::shards::{Position, Shards};
use crate::writer::Writer;
use crate::{Backend, KeyValueError, Keys};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Keys handed to a listing at a time.
const BATCH: usize = 512;

/// When the disk has to have a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power failure may cost the last second; a crash of the host costs nothing.
    EachSecond,
    /// Nothing acknowledged is ever lost; each write waits for the disk.
    EachWrite,
}

/// How much an embedded store may hold, and how hard it tries to keep it.
#[derive(Debug, Clone)]
pub struct EmbeddedSettings {
    /// Memory for all entries of all stores. Enough for a million small ones, small beside a
    /// database.
    pub bytes_max: u64,
    pub durability: Durability,
    /// Logs shorter than this are never compacted.
    pub compact_bytes_min: u64,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self {
            bytes_max: 256 << 20,
            durability: Durability::EachSecond,
            compact_bytes_min: 16 << 20,
        }
    }
}

/// The backend.
pub struct Embedded {
    shards: Arc<Shards>,
    writer: Writer,
    bytes_max: u64,
    /// Held for as long as the store is open; the system releases it when the process dies.
    _lock: File,
}

impl Embedded {
    /// Opens the stores kept in `folder`, which is made if missing. Reads the whole state: call
    /// it before serving, not from a shard.
    ///
    /// # Errors
    ///
    /// [`KeyValueError::InUse`], [`KeyValueError::Damaged`], [`KeyValueError::Io`].
    pub fn open(folder: &Path, settings: &EmbeddedSettings) -> Result<Self, KeyValueError> {
        fs::create_dir_all(folder).map_err(log::io_error("make", folder))?;
        let lock = lock(folder)?;
        let shards = Arc::new(Shards::new());
        let recovered = log::recover(folder, |change| match change {
            // No limit: the past may pass through states larger than the one it ends in.
            Change::Set { label, key, value } => {
                shards.set(&label, &key, value, u64::MAX, || Ok(()))
            }
            Change::Delete { label, key } => shards.delete(&label, &key, || Ok(())).map(drop),
        })?;
        let writer = Writer::start(folder, recovered, shards.clone(), settings)?;
        Ok(Self { shards, writer, bytes_max: settings.bytes_max, _lock: lock })
    }
}

fn lock(folder: &Path) -> Result<File, KeyValueError> {
    let path: PathBuf = folder.join("lock");
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(log::io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(KeyValueError::InUse(folder.into())),
        Err(TryLockError::Error(error)) => Err(log::io_error("lock", &path)(error)),
    }
}

#[async_trait]
impl Backend for Embedded {
    async fn get(&self, label: &str, key: &str) -> Result<Option<Bytes>, KeyValueError> {
        Ok(self.shards.get(label, key))
    }

    async fn set(&self, label: &str, key: &str, value: Bytes) -> Result<(), KeyValueError> {
        let record = value.clone();
        let number = self.shards.set(label, key, value, self.bytes_max, || {
            self.writer.append(|out| log::encode_set(out, label, key, &record))
        })?;
        self.writer.written(number).await
    }

    async fn delete(&self, label: &str, key: &str) -> Result<(), KeyValueError> {
        let number = self
            .shards
            .delete(label, key, || self.writer.append(|out| log::encode_delete(out, label, key)))?;
        match number {
            Some(number) => self.writer.written(number).await,
            None => Ok(()),
        }
    }

    async fn exists(&self, label: &str, key: &str) -> Result<bool, KeyValueError> {
        Ok(self.shards.get(label, key).is_some())
    }

    fn keys(&self, label: &str) -> Keys {
        let (shards, label) = (self.shards.clone(), label.to_string());
        stream::unfold(Some(Position::default()), move |position| {
            let (keys, next) = match position {
                Some(position) => shards.keys(&label, position, BATCH),
                None => return std::future::ready(None),
            };
            // An empty batch can only be the last one.
            let more = !keys.is_empty() || next.is_some();
            std::future::ready(more.then_some((Ok(keys), next)))
        })
        .boxed()
    }
}
