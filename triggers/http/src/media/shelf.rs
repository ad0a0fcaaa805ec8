//! Objects in memory: what was read lately, whole, up to so many bytes in all. Many who ask for one
//! object at once cause one read. Refuses to know what an object is for.

use super::{Opened, Packages, PackagesAway};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use http::HeaderValue;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// Larger objects are read anew each time: 4 s at 16 Mbit/s fit, and no single one drives out all
/// others.
const ITEM_BYTES_MAX: u64 = 8 << 20;

/// What an entry costs besides its bytes: key, tag, and the cache's own books.
const OVERHEAD: u64 = 256;

/// How many bytes an object has on average; only the size of the cache's tables follows from it.
const USUAL_BYTES: u64 = 512 << 10;

/// An object that is there.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) size: u64,
    pub(super) etag: Arc<str>,
    /// The same as a field says it; None for one that no field can say.
    pub(super) quoted: Option<HeaderValue>,
    /// None for one too large to be kept.
    pub(super) bytes: Option<Bytes>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<String, Item> for Weight {
    fn weight(&self, _key: &String, item: &Item) -> u64 {
        item.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64) + OVERHEAD
    }
}

pub(super) struct Shelf(Cache<String, Item, Weight>);

/// Why there is no item.
enum Absent {
    Missing,
    Away(PackagesAway),
}

impl Shelf {
    pub(super) fn new(memory: u64) -> Self {
        let items = (memory / USUAL_BYTES).clamp(16, 1 << 20);
        Self(Cache::with_weighter(items as usize, memory, Weight))
    }

    /// The object, from memory or else from the store; None when it is not there.
    pub(super) async fn get(
        &self,
        key: &str,
        packages: &dyn Packages,
    ) -> Result<Option<Item>, PackagesAway> {
        let read = async { read(packages, key).await };
        match self.0.get_or_insert_async(key, read).await {
            Ok(item) => Ok(Some(item)),
            Err(Absent::Missing) => Ok(None),
            Err(Absent::Away(error)) => Err(error),
        }
    }
}

async fn read(packages: &dyn Packages, key: &str) -> Result<Item, Absent> {
    let opened = packages.open(key, None).await.map_err(Absent::Away)?;
    let Opened { size, etag, mut body } = opened.ok_or(Absent::Missing)?;
    let quoted = HeaderValue::try_from(format!("\"{etag}\"")).ok();
    let etag = etag.into();
    if size > ITEM_BYTES_MAX {
        return Ok(Item { size, etag, quoted, bytes: None });
    }
    let mut bytes = BytesMut::with_capacity(size as usize);
    while let Some(some) = body.try_next().await.map_err(Absent::Away)? {
        bytes.extend_from_slice(&some);
    }
    if bytes.len() as u64 != size {
        let broken = format!("{} of {size} bytes of {key} came", bytes.len());
        return Err(Absent::Away(PackagesAway(broken)));
    }
    Ok(Item { size, etag, quoted, bytes: Some(bytes.freeze()) })
}
