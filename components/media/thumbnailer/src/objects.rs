//! Pictures as they lie in the bucket `media`. Knows the object store's interface; refuses to know
//! what is in an object.

use bindings::nexus::blob::buckets::{Bucket, Error as BlobError, GetOptions};
use media_contract::BUCKET;
use nexus_sdk::prelude::*;

#[allow(missing_docs, unreachable_pub, dead_code)]
mod bindings {
    use nexus_sdk::spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: "../../../wit/nexus-blob@0.1.0",
        world: "nexus:blob/blob",
        runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
    });
}

/// Of a picture that was made in a size of ours: 2048 points in each direction are less.
const BYTES_MAX: u64 = 8 << 20;

/// A picture, whole. None when there is none any more.
///
/// # Errors
/// 503 while the store is away.
pub async fn read(key: &str) -> Result<Option<Vec<u8>>> {
    let got = open().await?.get(key.to_owned(), GetOptions { range: None, if_match: None }).await;
    let (object, stream, ended) = match got {
        Ok(got) => got,
        Err(BlobError::NoSuchKey) => return Ok(None),
        Err(why) => return Err(failed("read a picture", &why)),
    };
    if object.size > BYTES_MAX {
        return Err(Failure::msg(format!("{key} has {} bytes", object.size)).into());
    }
    let bytes = stream.collect().await;
    ended.await.map_err(|why| failed("read a picture", &why))?;
    Ok(Some(bytes))
}

/// Removes pictures; those that are not there count as removed.
///
/// # Errors
/// 503 while the store is away.
pub async fn remove(keys: Vec<String>) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let left = open().await?.delete_many(keys).await;
    let left = left.map_err(|why| failed("remove pictures", &why))?;
    match left.first() {
        Some((key, why)) => Err(failed(&format!("remove {key}"), why)),
        None => Ok(()),
    }
}

async fn open() -> Result<Bucket> {
    let opened = Bucket::open(BUCKET.to_owned()).await;
    opened.map_err(|why| failed("open the bucket of pictures", &why))
}

fn failed(doing: &str, why: &BlobError) -> Error {
    let failure = Failure::msg(format!("{doing}: {why:?}"));
    match why {
        BlobError::Unavailable(_) => Error::unavailable(failure),
        _ => failure.into(),
    }
}
