//! Packages as they lie in the bucket `media`. Knows the object store's interface; refuses to know
//! what is in an object, but for subtitles, which it is given.

use bindings::nexus::blob::buckets::{
    Bucket, Checksums, Error as BlobError, ListOptions, PutOptions,
};
use bindings::wit_stream;
use media_contract::{BUCKET, PackageId};
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

/// Entries of one look at the bucket, and what is removed at once.
const LISTED_MAX: u32 = 1000;
/// Looks of one run at one package: an hour of video in six sizes has 6,000 objects.
const LOOKS_MAX: usize = 20;

/// Removes what is there of a package. True when nothing was.
///
/// # Errors
/// 503 while the store is away.
pub async fn remove_package(package: PackageId) -> Result<bool> {
    let bucket = open().await?;
    let mut was_empty = true;
    for _ in 0..LOOKS_MAX {
        let options = ListOptions {
            prefix: format!("packages/{package}/"),
            delimiter: None,
            // From the beginning each time: what was listed before is gone.
            cursor: None,
            limit: LISTED_MAX,
        };
        let page = bucket.list(options).await.map_err(|why| failed("list a package", &why))?;
        let keys: Vec<String> = page.entries.into_iter().map(|entry| entry.key).collect();
        if keys.is_empty() {
            return Ok(was_empty);
        }
        was_empty = false;
        let left = bucket.delete_many(keys).await;
        let left = left.map_err(|why| failed("remove a package", &why))?;
        if let Some((key, why)) = left.first() {
            return Err(failed(&format!("remove {key}"), why));
        }
    }
    Ok(false)
}

/// Writes subtitles into a package.
///
/// # Errors
/// 503 while the store is away.
pub async fn put_text(package: PackageId, name: &str, vtt: String) -> Result<()> {
    let bucket = open().await?;
    let (mut writer, reader) = wit_stream::new();
    let bytes = vtt.into_bytes();
    let options = PutOptions {
        size: Some(bytes.len() as u64),
        content_type: Some("text/vtt; charset=utf-8".to_owned()),
        metadata: Vec::new(),
        condition: None,
        expected: Checksums { crc32c: None, sha256: None },
    };
    let writing = async move {
        // What the store did not take, it says itself.
        let _left = writer.write_all(bytes).await;
        drop(writer);
    };
    let key = text_key(package, name);
    let (stored, ()) = futures::join!(bucket.put(key, reader, options), writing);
    stored.map(drop).map_err(|why| failed("store subtitles", &why))
}

/// Removes subtitles from a package; such as are not there count as removed.
///
/// # Errors
/// 503 while the store is away.
pub async fn remove_text(package: PackageId, name: &str) -> Result<()> {
    let removed = open().await?.delete(text_key(package, name)).await;
    removed.map_err(|why| failed("remove subtitles", &why))
}

fn text_key(package: PackageId, name: &str) -> String {
    format!("packages/{package}/text/{name}.vtt")
}

async fn open() -> Result<Bucket> {
    let opened = Bucket::open(BUCKET.to_owned()).await;
    opened.map_err(|why| failed("open the bucket of packages", &why))
}

fn failed(doing: &str, why: &BlobError) -> Error {
    let failure = Failure::msg(format!("{doing}: {why:?}"));
    match why {
        BlobError::Unavailable(_) => Error::unavailable(failure),
        _ => failure.into(),
    }
}
