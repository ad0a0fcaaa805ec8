//! What the stories of uploads share: the two services, clients that speak tus, bytes that look
//! like a film.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use nexus_harness::prelude::*;
use nexus_harness::{RequestDraft, Setup};
use sha2::{Digest as _, Sha256};

pub const FILES: &str = "/files";
pub const OBJECTS: &str = "/api/uploader/v1/objects";

pub fn setup() -> Setup {
    Nexus::setup().services(&["users", "uploader"])
}

/// Somebody who may upload, and speaks tus.
pub async fn creator(nexus: &Nexus) -> Client {
    let creator = nexus.member_with(["uploader:create", "uploader:view"]).await;
    creator.header("tus-resumable", "1.0.0")
}

/// Begins as an MP4 file does; the rest is never the same for two seeds.
pub fn film(bytes: usize, seed: u32) -> Vec<u8> {
    let mut film = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41".to_vec();
    let mut state = u64::from(seed) << 32 | 0x9e37_79b9;
    while film.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        film.extend_from_slice(&(state >> 24).to_le_bytes());
    }
    film.truncate(bytes);
    film
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// POST of an upload of so many bytes.
pub fn creation(client: &Client, bytes: usize) -> RequestDraft<'_> {
    let metadata = format!("filename {}", base64("a film.mp4"));
    client
        .request(Method::POST, FILES)
        .header("upload-length", &bytes.to_string())
        .header("upload-metadata", &metadata)
}

/// Where a new upload of so many bytes is.
pub async fn begin(client: &Client, bytes: usize) -> String {
    creation(client, bytes).send().await.created().url
}

/// PATCH of these bytes.
pub fn patch<'c>(
    client: &'c Client,
    upload: &str,
    offset: usize,
    bytes: &[u8],
) -> RequestDraft<'c> {
    client
        .request(Method::PATCH, upload)
        .header("content-type", "application/offset+octet-stream")
        .header("upload-offset", &offset.to_string())
        .body(bytes.to_vec())
}

/// Sends bytes that are taken.
pub async fn append(client: &Client, upload: &str, offset: usize, bytes: &[u8]) {
    let answer = patch(client, upload, offset, bytes).send().await.no_content();
    let stands = (offset + bytes.len()).to_string();
    assert_eq!(answer.header("upload-offset"), Some(stands.as_str()), "{answer:?}");
}

pub async fn head(client: &Client, upload: &str) -> Answer {
    client.request(Method::HEAD, upload).send().await
}

/// How far an upload is.
pub async fn offset(client: &Client, upload: &str) -> usize {
    let answer = head(client, upload).await.ok();
    let offset = answer.header("upload-offset").map(|offset| offset.parse());
    offset.unwrap_or_else(|| panic!("no offset: {answer:?}")).unwrap()
}

pub fn id_of(upload: &str) -> &str {
    upload.rsplit('/').next().unwrap()
}

/// An upload as its owner sees it.
pub async fn shown(client: &Client, upload: &str) -> Value {
    client.get(&format!("{OBJECTS}/{}", id_of(upload))).await.ok().json()
}

/// A whole film, sent at once.
pub async fn uploaded(client: &Client, film: &[u8]) -> String {
    let upload = begin(client, film.len()).await;
    append(client, &upload, 0, film).await;
    upload
}

/// What was told about an upload under a topic.
pub async fn told(nexus: &Nexus, topic: &str, upload: &str) -> Vec<Value> {
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let told = "select payload::text from platform.event
                where topic = $1 and subject = $2 and queue_id is null order by position";
    let rows = session.query(told, &[&topic, &id_of(upload)]).await.unwrap();
    rows.iter().map(|row| serde_json::from_str(&row.get::<_, String>(0)).unwrap()).collect()
}

/// The object behind an upload, whole.
pub async fn content(client: &Client, upload: &str) -> Vec<u8> {
    let path = format!("{OBJECTS}/{}/content", id_of(upload));
    let led = client.get(&path).await.status(307);
    let url = led.header("location").expect("a location").to_owned();
    client.get(&url).await.ok().body.to_vec()
}

/// What the caller holds, and what is promised: used, reserved.
pub async fn held(client: &Client) -> (i64, i64) {
    let quota: Value = client.get("/api/uploader/v1/quota").await.ok().json();
    (quota["used"].as_i64().unwrap(), quota["reserved"].as_i64().unwrap())
}
