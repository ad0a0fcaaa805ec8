//! Indexes as they lie in the bucket `media`. Knows the object store's interface and how a package
//! is laid out; refuses to know who asks.

use crate::package::{Package, Text};
use crate::storyboard::Sprites;
use crate::track::{self, Track};
use bindings::nexus::blob::buckets::{Bucket, Entry, Error as BlobError, GetOptions, ListOptions};
use media_contract::{BUCKET, PackageId};
use nexus_sdk::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

#[allow(missing_docs, unreachable_pub, dead_code)]
mod bindings {
    use nexus_sdk::spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: "../../../wit/nexus-blob@0.1.0",
        world: "nexus:blob/blob",
        runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
    });
}

/// Of an index: half a day in segments of four seconds is about 4 MB.
const INDEX_BYTES_MAX: u64 = 16 << 20;
/// Folders of a package, and texts in it.
const LISTED_MAX: u32 = 200;

/// What lies in a package now; tracks of `known` are not read again, since none ever changes.
///
/// # Errors
/// 503 while the store is away. A track whose index cannot be used is left out.
pub async fn read(package: PackageId, known: &[Arc<Track>]) -> Result<Package> {
    let bucket = open().await?;
    let mut found = Package::default();
    let folders = list(&bucket, format!("packages/{package}/")).await?.1;
    let folders =
        folders.iter().filter_map(|folder| folder.trim_end_matches('/').rsplit('/').next());
    for folder in folders {
        match folder {
            "text" => found.texts = texts(&bucket, package).await?,
            "images" => {
                let key = format!("packages/{package}/images/sprite.json");
                found.sprites = get(&bucket, &key).await?.and_then(|it| Sprites::read(&it));
            }
            name if track::is_name(name) => {
                let same = known.iter().find(|track| track.name == name);
                let track = match same {
                    Some(track) => Some(track.clone()),
                    None => index(&bucket, package, name).await?.and_then(Result::ok).map(Arc::new),
                };
                found.tracks.extend(track);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// A track by its index, or what is wrong with that. None while there is none.
///
/// # Errors
/// 503 while the store is away.
pub async fn track(package: PackageId, name: &str) -> Result<Option<Result<Track, String>>> {
    index(&open().await?, package, name).await
}

async fn index(
    bucket: &Bucket,
    package: PackageId,
    name: &str,
) -> Result<Option<Result<Track, String>>> {
    let bytes = get(bucket, &format!("packages/{package}/{name}/index.json")).await?;
    Ok(bytes.map(|bytes| Track::read(name, &bytes)))
}

/// By language, sorted; of two texts of one language the one that came last.
async fn texts(bucket: &Bucket, package: PackageId) -> Result<Vec<Text>> {
    let (mut entries, _) = list(bucket, format!("packages/{package}/text/")).await?;
    entries.sort_by(|a, b| (a.modified_ms, &a.key).cmp(&(b.modified_ms, &b.key)));
    let files = entries.iter().filter_map(|it| it.key.rsplit('/').next()?.strip_suffix(".vtt"));
    let texts: BTreeMap<String, Text> =
        files.filter_map(Text::of).map(|text| (text.language.clone(), text)).collect();
    Ok(texts.into_values().collect())
}

/// Objects and folders right below a prefix.
async fn list(bucket: &Bucket, prefix: String) -> Result<(Vec<Entry>, Vec<String>)> {
    let options =
        ListOptions { prefix, delimiter: Some("/".into()), cursor: None, limit: LISTED_MAX };
    let page = bucket.list(options).await.map_err(|why| failed("list a package", &why))?;
    Ok((page.entries, page.prefixes))
}

async fn get(bucket: &Bucket, key: &str) -> Result<Option<Vec<u8>>> {
    let got = bucket.get(key.to_owned(), GetOptions { range: None, if_match: None }).await;
    let (object, stream, ended) = match got {
        Ok(got) => got,
        Err(BlobError::NoSuchKey) => return Ok(None),
        Err(why) => return Err(failed("read an index", &why)),
    };
    if object.size > INDEX_BYTES_MAX {
        return Err(Failure::msg(format!("{key} has {} bytes", object.size)).into());
    }
    let bytes = stream.collect().await;
    ended.await.map_err(|why| failed("read an index", &why))?;
    Ok(Some(bytes))
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
