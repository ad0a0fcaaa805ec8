//! Bodies on the host's side: counted, verified, read from files, taken from HTTP.
//! Knows no guest and no store. Every body is pulled, one chunk at a time.

use crate::checksum::Crc32c;
use crate::store::{BlobError, Body};
use bytes::Bytes;
use futures::stream::{StreamExt as _, try_unfold};
use http_body_util::BodyDataStream;
use std::fmt::Display;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use tokio::runtime::Handle;

/// One reading from a file and one taking from a guest: large enough that a trip to a blocking
/// thread (some 10 µs) costs little, small enough that a thousand readers fit in memory.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// Runs what blocks on a thread of the home runtime. Dropping the future does not stop it.
pub(crate) async fn blocking<T: Send + 'static>(
    home: &Handle,
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    joined(home.spawn_blocking(work).await)
}

/// The result of a task of ours: its panic is ours too.
pub(crate) fn joined<T>(
    result: Result<Result<T, BlobError>, tokio::task::JoinError>,
) -> Result<T, BlobError> {
    match result.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(result) => result,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => Err(BlobError::Unavailable("the host is stopping".into())),
    }
}

/// Ends with [`BlobError::Incomplete`] unless the body has exactly `size` bytes, and with
/// [`BlobError::TooLarge`] once it has more than `limit`.
pub(crate) fn sized(body: Body, size: Option<u64>, limit: u64) -> Body {
    let step = move |(mut body, seen): (Body, u64)| async move {
        let Some(chunk) = body.next().await.transpose()? else {
            let complete = size.is_none_or(|size| size == seen);
            return if complete { Ok(None) } else { Err(BlobError::Incomplete) };
        };
        let seen = seen + chunk.len() as u64;
        if seen > limit {
            return Err(BlobError::TooLarge { limit });
        }
        if size.is_some_and(|size| seen > size) {
            return Err(BlobError::Incomplete);
        }
        Ok(Some((chunk, (body, seen))))
    };
    try_unfold((body, 0), step).boxed()
}

/// Withholds the last chunk of a whole object until its CRC32C has been compared: nobody can take
/// damaged bytes for the object.
pub(crate) fn verified(body: Body, size: u64, crc32c: Option<u32>) -> Body {
    let Some(expected) = crc32c else { return body };
    let step = move |(mut body, mut crc, left): (Body, Crc32c, u64)| async move {
        let Some(chunk) = body.next().await.transpose()? else {
            return if left == 0 { Ok(None) } else { Err(BlobError::Incomplete) };
        };
        crc.update(&chunk);
        let left = left.saturating_sub(chunk.len() as u64);
        if left == 0 && crc.finish() != expected {
            return Err(BlobError::ChecksumMismatch);
        }
        Ok(Some((chunk, (body, crc, left))))
    };
    try_unfold((body, Crc32c::default(), size), step).boxed()
}

/// Reads a range of a file, chunk by chunk, off the caller's thread.
pub(crate) fn of_file(home: &Handle, file: File, range: Range<u64>) -> Body {
    let (home, file) = (home.clone(), Arc::new(file));
    let step = move |range: Range<u64>| {
        let (home, file) = (home.clone(), file.clone());
        async move {
            if range.is_empty() {
                return Ok(None);
            }
            let (start, end) = (range.start, range.end.min(range.start + CHUNK_BYTES as u64));
            let read = move || {
                let mut chunk = vec![0; (end - start) as usize];
                let read = file.read_exact_at(&mut chunk, start);
                read.map_err(|e| BlobError::Other(format!("read an object: {e}")))?;
                Ok(Bytes::from(chunk))
            };
            Ok(Some((blocking(&home, read).await?, end..range.end)))
        }
    };
    try_unfold(range, step).boxed()
}

/// The data of an HTTP body; one that breaks off is incomplete.
pub(crate) fn of_http<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Display,
{
    let data = BodyDataStream::new(Box::pin(body));
    let broken = |error: B::Error| {
        tracing::debug!(%error, "a body broke off");
        BlobError::Incomplete
    };
    data.map(move |chunk| chunk.map_err(broken)).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{TryStreamExt as _, stream};
    use std::io::Write as _;

    fn body(chunks: &[&'static [u8]]) -> Body {
        let chunks: Vec<_> = chunks.iter().map(|c| Ok(Bytes::from_static(c))).collect();
        stream::iter(chunks).boxed()
    }

    async fn all(body: Body) -> Result<Vec<u8>, BlobError> {
        body.try_fold(Vec::new(), async |mut all, chunk| {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
    }

    #[tokio::test]
    async fn a_declared_size_is_exact_and_a_limit_is_a_limit() {
        let check = async |size, limit| all(sized(body(&[b"abc", b"", b"de"]), size, limit)).await;
        assert_eq!(check(None, 5).await.unwrap(), b"abcde");
        assert_eq!(check(Some(5), 5).await.unwrap(), b"abcde");
        assert_eq!(check(Some(6), 9).await, Err(BlobError::Incomplete));
        assert_eq!(check(Some(4), 9).await, Err(BlobError::Incomplete));
        assert_eq!(check(None, 4).await, Err(BlobError::TooLarge { limit: 4 }));
    }

    #[tokio::test]
    async fn the_last_chunk_of_damaged_bytes_is_never_seen() {
        let crc = Crc32c::of(b"abcde");
        assert_eq!(all(verified(body(&[b"abc", b"de"]), 5, Some(crc))).await.unwrap(), b"abcde");
        let mut damaged = verified(body(&[b"abc", b"dE"]), 5, Some(crc));
        assert_eq!(damaged.next().await, Some(Ok(Bytes::from_static(b"abc"))));
        assert_eq!(damaged.next().await, Some(Err(BlobError::ChecksumMismatch)));
        let short = all(verified(body(&[b"abc"]), 5, Some(crc))).await;
        assert_eq!(short, Err(BlobError::Incomplete));
    }

    #[tokio::test]
    async fn a_range_of_a_file_is_read_in_chunks() {
        let bytes: Vec<u8> = (0..3 * CHUNK_BYTES).map(|i| (i >> 8) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let range = 100..(2 * CHUNK_BYTES + 101) as u64;
        let chunks: Vec<Bytes> =
            of_file(&Handle::current(), file, range.clone()).try_collect().await.unwrap();
        let sizes: Vec<_> = chunks.iter().map(Bytes::len).collect();
        assert_eq!(sizes, [CHUNK_BYTES, CHUNK_BYTES, 1]);
        assert_eq!(chunks.concat(), bytes[100..range.end as usize]);
    }
}
