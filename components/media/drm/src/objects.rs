//! Packages as they lie in the bucket `media`. Knows the object store's interface; refuses to know
//! what is in an object.

use bindings::nexus::blob::buckets::{
    Bucket, Checksums, CopyOptions, Error as BlobError, GetOptions, ListOptions, PutOptions,
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

/// Of an index, or a segment of 4 s at 60 Mbit/s: it is held in memory twice.
const BYTES_MAX: u64 = 32 << 20;
/// Entries of one look at the bucket, and what is removed at once.
const LISTED_MAX: u32 = 1000;
/// Looks of one run at one package: an hour of video in six sizes has 6,000 objects.
const LOOKS_MAX: usize = 20;

/// A file of a package.
pub fn key(package: PackageId, track: &str, file: &str) -> String {
    format!("packages/{package}/{track}/{file}")
}

/// An object, whole. None when there is none.
///
/// # Errors
/// 503 while the store is away.
pub async fn read(key: &str) -> Result<Option<Vec<u8>>> {
    let got = open().await?.get(key.to_owned(), GetOptions { range: None, if_match: None }).await;
    let (object, stream, ended) = match got {
        Ok(got) => got,
        Err(BlobError::NoSuchKey) => return Ok(None),
        Err(why) => return Err(failed("read a file of a package", &why)),
    };
    if object.size > BYTES_MAX {
        return Err(Failure::msg(format!("{key} has {} bytes", object.size)).into());
    }
    let bytes = stream.collect().await;
    ended.await.map_err(|why| failed("read a file of a package", &why))?;
    Ok(Some(bytes))
}

/// Stores an object, whole or not at all.
///
/// # Errors
/// 503 while the store is away.
pub async fn write(key: String, media_type: &str, bytes: Vec<u8>, sha256: &str) -> Result<()> {
    let bucket = open().await?;
    let (mut writer, reader) = wit_stream::new();
    let options = PutOptions {
        size: Some(bytes.len() as u64),
        content_type: Some(media_type.to_owned()),
        metadata: Vec::new(),
        condition: None,
        expected: Checksums { crc32c: None, sha256: Some(sha256.to_owned()) },
    };
    let writing = async move {
        // What the store did not take, it says itself.
        let _left = writer.write_all(bytes).await;
        drop(writer);
    };
    let (stored, ()) = futures::join!(bucket.put(key, reader, options), writing);
    stored.map(drop).map_err(|why| failed("store a file of a package", &why))
}

/// Makes a folder of a package what it is in another: what is there is copied, what is not is
/// removed.
///
/// # Errors
/// 503 while the store is away.
pub async fn mirror(from: PackageId, to: PackageId, folder: &str) -> Result<()> {
    let bucket = open().await?;
    let names = async |package: PackageId| {
        let prefix = format!("packages/{package}/{folder}/");
        let keys = listed(&bucket, prefix.clone()).await?;
        let name = |key: &String| key.strip_prefix(&prefix).map(str::to_owned);
        Ok::<Vec<String>, Error>(keys.iter().filter_map(name).collect())
    };
    let (there, here) = (names(from).await?, names(to).await?);
    for name in &there {
        let (source, target) = (key(from, folder, name), key(to, folder, name));
        let options = CopyOptions { attributes: None, if_match: None };
        match bucket.copy(source, &bucket, target, options).await {
            // It has just been removed: whoever did so tells that as well.
            Ok(_) | Err(BlobError::NoSuchKey) => {}
            Err(why) => return Err(failed("copy a file of a package", &why)),
        }
    }
    let gone = here.iter().filter(|name| !there.contains(name));
    remove(&bucket, gone.map(|name| key(to, folder, name)).collect()).await
}

/// Removes what is there of a package. True when nothing was.
///
/// # Errors
/// 503 while the store is away.
pub async fn remove_package(package: PackageId) -> Result<bool> {
    let bucket = open().await?;
    let mut was_empty = true;
    for _ in 0..LOOKS_MAX {
        // From the beginning each time: what was listed before is gone.
        let keys = listed(&bucket, format!("packages/{package}/")).await?;
        if keys.is_empty() {
            return Ok(was_empty);
        }
        was_empty = false;
        remove(&bucket, keys).await?;
    }
    Ok(false)
}

/// The first keys that begin so.
async fn listed(bucket: &Bucket, prefix: String) -> Result<Vec<String>> {
    let options = ListOptions { prefix, delimiter: None, cursor: None, limit: LISTED_MAX };
    let page = bucket.list(options).await.map_err(|why| failed("list a package", &why))?;
    Ok(page.entries.into_iter().map(|entry| entry.key).collect())
}

async fn remove(bucket: &Bucket, keys: Vec<String>) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let left = bucket.delete_many(keys).await;
    let left = left.map_err(|why| failed("remove files of a package", &why))?;
    match left.first() {
        Some((key, why)) => Err(failed(&format!("remove {key}"), why)),
        None => Ok(()),
    }
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
