//! Where sealed messages lie: the bucket `mail`. Knows the object store's interface; refuses to
//! know what is in an object.

use bindings::nexus::blob::buckets::{
    Bucket, Checksums, Error as BlobError, ListOptions, PutOptions,
};
use bindings::wit_stream;
use integration_contract::MessageId;
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

pub const BUCKET: &str = "mail";

/// Entries of one look at the bucket.
const LISTED_MAX: u32 = 1000;

/// An object's name: the tenant's folder, the message.
pub fn key(tenant: TenantId, id: MessageId) -> String {
    format!("{tenant}/{id}")
}

/// Stores an object, whole or not at all.
pub async fn put(key: &str, bytes: Vec<u8>) -> Result<()> {
    let bucket = open().await?;
    let (mut writer, reader) = wit_stream::new();
    let options = PutOptions {
        size: Some(bytes.len() as u64),
        content_type: Some("application/octet-stream".into()),
        metadata: Vec::new(),
        condition: None,
        expected: Checksums { crc32c: None, sha256: None },
    };
    let writing = async move {
        // What the store did not take, it says itself.
        let _left = writer.write_all(bytes).await;
        drop(writer);
    };
    let (stored, ()) = futures::join!(bucket.put(key.to_owned(), reader, options), writing);
    stored.map(drop).map_err(|why| failed("store a sealed message", &why))
}

/// Removes an object; one that is not there counts as removed.
pub async fn remove(key: &str) -> Result<()> {
    let removed = open().await?.delete(key.to_owned()).await;
    removed.map_err(|why| failed("remove a sealed message", &why))
}

/// One page of the bucket: names of objects that were written before `before`, and where the next
/// page begins.
pub async fn older(before: Time, cursor: Option<String>) -> Result<(Vec<String>, Option<String>)> {
    let options = ListOptions { prefix: String::new(), delimiter: None, cursor, limit: LISTED_MAX };
    let page = open().await?.list(options).await;
    let page = page.map_err(|why| failed("list sealed messages", &why))?;
    let before = u64::try_from(before.timestamp_millis()).unwrap_or(0);
    let old = page.entries.into_iter().filter(|entry| entry.modified_ms < before);
    Ok((old.map(|entry| entry.key).collect(), page.next))
}

async fn open() -> Result<Bucket> {
    let opened = Bucket::open(BUCKET.to_owned()).await;
    opened.map_err(|why| failed("open the bucket of sealed messages", &why))
}

fn failed(doing: &str, why: &BlobError) -> Error {
    let failure = Failure::msg(format!("{doing}: {why:?}"));
    match why {
        BlobError::Unavailable(_) => Error::unavailable(failure),
        _ => failure.into(),
    }
}
