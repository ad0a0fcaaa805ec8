//! Where files lie: the bucket `media`. Knows the object store's interface; refuses to know what an
//! upload is.

use bindings::nexus::blob::buckets::{
    Attributes, Bucket, Checksums, CopyOptions, Download, Error as BlobError, GetOptions, Part,
    PartOptions, PartUpload, Permission, PutOptions, Range, Upload as UploadUrl,
};
use bindings::wit_stream;
use futures::Stream;
use nexus_sdk::prelude::*;
use nexus_sdk::spin_sdk::wit_bindgen::{StreamReader, StreamResult};

#[allow(missing_docs, unreachable_pub, dead_code)]
mod bindings {
    use nexus_sdk::spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: "../../../wit/nexus-blob@0.1.0",
        world: "nexus:blob/blob",
        runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
    });
}

/// One reading of an object: what the host gives at once.
const CHUNK_BYTES: usize = 256 << 10;

pub use bindings::nexus::blob::buckets::{ArrivedPart, Object, SignedUrl};

/// A part that the store has.
#[derive(Debug, Clone)]
pub struct StoredPart {
    pub number: i32,
    pub etag: String,
    pub bytes: i64,
}

fn attributes(media_type: &str) -> Attributes {
    Attributes { content_type: Some(media_type.to_owned()), metadata: Vec::new() }
}

const UNKNOWN_SUMS: Checksums = Checksums { crc32c: None, sha256: None };

/// Stores an object, whole or not at all.
pub async fn put(key: &str, media_type: &str, bytes: Vec<u8>, sha256: &str) -> Result<()> {
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
    let (stored, ()) = futures::join!(bucket.put(key.to_owned(), reader, options), writing);
    stored.map(drop).map_err(|why| failed("store a file", &why))
}

/// Opens an upload in parts.
pub async fn begin(key: &str, media_type: &str) -> Result<String> {
    let begun = open().await?.create_upload(key.to_owned(), attributes(media_type)).await;
    begun.map_err(|why| failed("open an upload in parts", &why))
}

/// Stores one part.
pub async fn put_part(
    key: String,
    multipart: String,
    number: i32,
    bytes: Vec<u8>,
) -> Result<StoredPart> {
    let bucket = open().await?;
    let (mut writer, reader) = wit_stream::new();
    let size = bytes.len();
    let options = PartOptions { size: Some(size as u64), expected: UNKNOWN_SUMS };
    let writing = async move {
        let _left = writer.write_all(bytes).await;
        drop(writer);
    };
    let storing = bucket.upload_part(key, multipart, number.unsigned_abs(), reader, options);
    let (stored, ()) = futures::join!(storing, writing);
    let stored = stored.map_err(|why| failed("store a part", &why))?;
    Ok(StoredPart { number, etag: stored.etag, bytes: size as i64 })
}

/// Makes one object of parts; one that was made of them before, by somebody who died then, counts.
pub async fn finish(key: &str, multipart: &str, parts: &[StoredPart], bytes: i64) -> Result<()> {
    let bucket = open().await?;
    let named = parts
        .iter()
        .map(|part| Part { number: part.number.unsigned_abs(), etag: part.etag.clone() });
    let done = bucket.complete_upload(key.to_owned(), multipart.to_owned(), named.collect(), None);
    match done.await {
        Ok(_) => Ok(()),
        Err(BlobError::NoSuchUpload) => match head(key).await? {
            Some(object) if object.size == bytes.unsigned_abs() => Ok(()),
            _ => Err(Failure::msg("the parts of an upload are gone").into()),
        },
        Err(why) => Err(failed("make one object of parts", &why)),
    }
}

/// The parts that have arrived, all of them.
pub async fn parts(key: &str, multipart: &str) -> Result<Vec<ArrivedPart>> {
    let (bucket, mut all, mut after) = (open().await?, Vec::new(), 0);
    loop {
        let page = bucket.list_parts(key.to_owned(), multipart.to_owned(), after).await;
        let page = page.map_err(|why| failed("list the parts of an upload", &why))?;
        all.extend(page.parts);
        match page.next {
            Some(next) => after = next,
            None => return Ok(all),
        }
    }
}

/// Forgets parts; those of an upload that is not open are gone already.
pub async fn abort(key: &str, multipart: &str) -> Result<()> {
    match open().await?.abort_upload(key.to_owned(), multipart.to_owned()).await {
        Ok(()) | Err(BlobError::NoSuchUpload) => Ok(()),
        Err(why) => Err(failed("forget the parts of an upload", &why)),
    }
}

/// Removes an object; one that is not there counts as removed.
pub async fn remove(key: &str) -> Result<()> {
    let removed = open().await?.delete(key.to_owned()).await;
    removed.map_err(|why| failed("remove a file", &why))
}

/// What is known of an object, if there is one.
pub async fn head(key: &str) -> Result<Option<Object>> {
    match open().await?.head(key.to_owned()).await {
        Ok(object) => Ok(Some(object)),
        Err(BlobError::NoSuchKey) => Ok(None),
        Err(why) => Err(failed("look at a file", &why)),
    }
}

/// Copies exactly the object that was looked at.
pub async fn copy(key: &str, etag: &str, to: &str, media_type: &str) -> Result<()> {
    let (from, target) = (open().await?, open().await?);
    let options =
        CopyOptions { attributes: Some(attributes(media_type)), if_match: Some(etag.to_owned()) };
    let copied = from.copy(key.to_owned(), &target, to.to_owned(), options).await;
    copied.map(drop).map_err(|why| failed("copy a file", &why))
}

/// The bytes of an object from `offset` on, as fast as they are taken. The last item says whether
/// it were all of them.
pub async fn read(
    key: &str,
    offset: i64,
) -> Result<impl Stream<Item = Result<Bytes>> + Send + use<>> {
    let range = (offset > 0).then(|| Range::From(offset.unsigned_abs()));
    let options = GetOptions { range, if_match: None };
    let got = open().await?.get(key.to_owned(), options).await;
    let (_, stream, outcome) = got.map_err(|why| failed("read a file", &why))?;
    let state = Some((stream, outcome));
    Ok(futures::stream::unfold(state, |state| async move {
        let (mut stream, outcome) = state?;
        match chunk(&mut stream).await {
            Some(bytes) => Some((Ok(bytes), Some((stream, outcome)))),
            None => match outcome.await {
                Ok(()) => None,
                Err(why) => Some((Err(failed("read a file", &why)), None)),
            },
        }
    }))
}

async fn chunk(stream: &mut StreamReader<u8>) -> Option<Bytes> {
    loop {
        let (read, bytes) = stream.read(Vec::with_capacity(CHUNK_BYTES)).await;
        match read {
            _ if !bytes.is_empty() => return Some(bytes.into()),
            StreamResult::Complete(_) => {}
            StreamResult::Dropped | StreamResult::Cancelled => return None,
        }
    }
}

/// The first bytes of an object.
pub async fn beginning(key: &str, bytes: usize) -> Result<Vec<u8>> {
    let options = GetOptions { range: Some(Range::Slice((0, bytes as u64))), if_match: None };
    let got = match open().await?.get(key.to_owned(), options).await {
        // No byte of an empty object can be read.
        Err(BlobError::RangeNotSatisfiable) => return Ok(Vec::new()),
        got => got,
    };
    let (_, stream, outcome) = got.map_err(|why| failed("read a file's beginning", &why))?;
    let read = stream.collect().await;
    outcome.await.map_err(|why| failed("read a file's beginning", &why))?;
    Ok(read)
}

/// A URL by which its bearer gets the object.
pub async fn download_url(
    key: &str,
    file_name: &str,
    media_type: &str,
    seconds: u32,
) -> Result<SignedUrl> {
    let download = Download {
        file_name: Some(file_name.to_owned()),
        content_type: Some(media_type.to_owned()),
    };
    sign(key, Permission::Download(download), seconds).await
}

/// A URL to which its bearer may send exactly so many bytes of this type.
pub async fn upload_url(
    key: &str,
    media_type: &str,
    bytes: i64,
    seconds: u32,
) -> Result<SignedUrl> {
    let upload =
        UploadUrl { content_type: Some(media_type.to_owned()), size: Some(bytes.unsigned_abs()) };
    sign(key, Permission::Upload(upload), seconds).await
}

/// The same for one part.
pub async fn part_url(
    key: &str,
    multipart: &str,
    number: i32,
    bytes: i64,
    seconds: u32,
) -> Result<SignedUrl> {
    let part = PartUpload {
        upload_id: multipart.to_owned(),
        number: number.unsigned_abs(),
        size: Some(bytes.unsigned_abs()),
    };
    sign(key, Permission::UploadPart(part), seconds).await
}

async fn sign(key: &str, permission: Permission, seconds: u32) -> Result<SignedUrl> {
    let signed = open().await?.sign(key.to_owned(), permission, seconds).await;
    signed.map_err(|why| failed("sign a URL", &why))
}

async fn open() -> Result<Bucket> {
    let opened = Bucket::open(media_contract::BUCKET.to_owned()).await;
    opened.map_err(|why| failed("open the bucket of files", &why))
}

fn failed(doing: &str, why: &BlobError) -> Error {
    let failure = Failure::msg(format!("{doing}: {why:?}"));
    match why {
        BlobError::Unavailable(_) => Error::unavailable(failure),
        _ => failure.into(),
    }
}
