//! How many bytes of a large body are in memory at once, counted chunk by chunk.

use crate::backend::*;
use bytes::Bytes;
use capability_blob::*;
use futures::{StreamExt as _, TryStreamExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const CHUNK: usize = 256 * 1024;

/// Counts the bytes of its chunks for as long as anyone holds them.
#[derive(Clone, Default)]
struct Alive {
    now: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
}

struct Chunk(Vec<u8>, Alive);

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.1.now.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

impl Alive {
    fn chunk(&self, index: u64) -> Bytes {
        let now = self.now.fetch_add(CHUNK, Ordering::Relaxed) + CHUNK;
        self.peak.fetch_max(now, Ordering::Relaxed);
        Bytes::from_owner(Chunk(noise(CHUNK, index).to_vec(), self.clone()))
    }

    fn body(&self, chunks: u64) -> Body {
        let alive = self.clone();
        futures::stream::iter((0..chunks).map(move |index| Ok(alive.chunk(index)))).boxed()
    }

    fn peak_chunks(&self) -> usize {
        assert_eq!(self.now.load(Ordering::Relaxed), 0, "all are gone in the end");
        self.peak.load(Ordering::Relaxed) / CHUNK
    }
}

pub(crate) async fn a_large_put_and_a_large_get_hold_few_bytes(store: Backend) {
    let (alive, chunks) = (Alive::default(), 400);
    let stored = store.put(&at("k"), Put::default(), alive.body(chunks)).await.unwrap();
    assert_eq!(stored.size, chunks * CHUNK as u64);
    let peak = alive.peak_chunks();
    match &store.kind {
        // A batch being written and one that waits.
        Kind::Folder => assert!(peak <= 16, "{peak} of {chunks} chunks"),
        // Two parts on their way and one that fills, all within the budget.
        Kind::S3(s3) => {
            assert!(peak * CHUNK <= (3 * 6 << 20) + CHUNK, "{peak} of {chunks} chunks");
            let (now, most) = s3.buffered_bytes();
            assert!(now == 0 && most <= 3 * 6 << 20, "{now} now, {most} at most");
        }
    }
    let body = store.get(&at("k"), Get::default()).await.unwrap().body;
    let count = |count, chunk: Bytes| async move {
        assert!(chunk.len() <= 1 << 20, "one chunk of {} bytes", chunk.len());
        Ok(count + chunk.len() as u64)
    };
    assert_eq!(body.try_fold(0, count).await, Ok(stored.size));
}

pub(crate) async fn a_large_part_holds_few_bytes(store: Backend) {
    let id = store.create_upload(&at("k"), Attributes::default()).await.unwrap();
    let upload = Upload { place: at("k"), id };
    let (alive, chunks) = (Alive::default(), 400);
    let size = Some(chunks * CHUNK as u64);
    let part = PartPut { number: 1, size, expected: Checksums::default() };
    let stored = store.upload_part(&upload, part, alive.body(chunks)).await.unwrap();
    let peak = alive.peak_chunks();
    assert!(peak <= 16, "{peak} of {chunks} chunks");
    let part = NamedPart { number: 1, etag: stored.etag };
    assert_eq!(store.complete_upload(&upload, vec![part], None).await.unwrap().size, stored.size);
}
