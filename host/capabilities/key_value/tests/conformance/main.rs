//! The key-value suite on every backend, and what only one of them can show: restarts, crashes,
//! damaged files, a server that goes away.

mod child;
mod embedded;
mod grants;
mod on_redis;
mod suite;

use bytes::Bytes;
use capability_key_value::{
    Backend, Embedded, EmbeddedSettings, KEY_BYTES_MAX, OnRedis, Store, VALUE_BYTES_MAX,
};
use futures::TryStreamExt as _;
use nexus_harness::Redis;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Handle;

/// A native store, with the text of its errors as a guest sees it.
struct Native(Store);

impl suite::Store for Native {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        let found = self.0.get(key).await.map_err(|e| e.to_string())?;
        Ok(found.map(Vec::from))
    }
    async fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        let value = Bytes::copy_from_slice(value);
        self.0.set(key, value).await.map_err(|e| e.to_string())
    }
    async fn delete(&self, key: &str) -> Result<(), String> {
        self.0.delete(key).await.map_err(|e| e.to_string())
    }
    async fn exists(&self, key: &str) -> Result<bool, String> {
        self.0.exists(key).await.map_err(|e| e.to_string())
    }
    async fn keys(&self) -> Result<Vec<String>, String> {
        let batches: Vec<Vec<String>> =
            self.0.keys().try_collect().await.map_err(|e| e.to_string())?;
        Ok(batches.concat())
    }
}

async fn passes(backend: impl Backend) {
    let backend: Arc<dyn Backend> = Arc::new(backend);
    let stores = (Store::new(backend.clone(), "default"), Store::new(backend, "default:other"));
    let outcomes = suite::suite(&Native(stores.0), &Native(stores.1)).await;
    let failed: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn the_embedded_store_passes_the_suite() {
    let folder = TempDir::new().unwrap();
    passes(Embedded::open(folder.path(), &EmbeddedSettings::default()).unwrap()).await;
}

#[tokio::test]
async fn the_embedded_store_passes_the_suite_while_it_compacts_all_the_time() {
    let folder = TempDir::new().unwrap();
    let settings = EmbeddedSettings { compact_bytes_min: 10_000, ..Default::default() };
    passes(Embedded::open(folder.path(), &settings).unwrap()).await;
}

#[tokio::test]
async fn redis_passes_the_suite() {
    let server = Redis::start().await;
    passes(OnRedis::new(&server.url(), Handle::current()).unwrap()).await;
}

#[test]
fn the_suite_and_the_crate_have_the_same_limits() {
    assert_eq!(suite::KEY_BYTES_MAX, KEY_BYTES_MAX);
    assert_eq!(suite::VALUE_BYTES_MAX, VALUE_BYTES_MAX);
}
