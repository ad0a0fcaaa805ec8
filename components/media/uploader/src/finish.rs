//! What becomes of a file whose bytes are all here: refused, linked to the same file, or stored
//! once; and one fact about it, told in the commit that decides. May be begun again by anybody at
//! any point: what was done before is found.

use crate::bucket;
use crate::domain::{Kind, Purpose, State, Upload};
use crate::sniff;
use crate::store::contents::{self, Content, Moved};
use crate::store::writing;
use media_contract::uploader::{UploadCompleted, UploadRejected};
use media_contract::{BUCKET, Object};
use nexus_sdk::axum::http::{HeaderValue, Method};
use nexus_sdk::prelude::*;
use std::time::Duration;

/// Where the bytes are that make the object.
pub enum Bytes {
    /// Less than a part: all of them.
    InMemory(Vec<u8>),
    /// In the store, as parts of an upload.
    InParts,
    /// In the store, as an object that is not the upload's own yet; with this etag.
    Incoming(String),
    /// In the store, under the upload's key.
    InPlace,
}

/// Others that finish the same bytes at the same time make a try worthless; never so often.
const TRIES_MAX: usize = 4;
/// How long whoever sent a file that was refused can read why.
const REASON_KEPT: nexus_sdk::chrono::TimeDelta = hours(24);
/// How long a scanner may look at one file.
const SCAN_WALL: Duration = Duration::from_secs(300);
/// A verdict is a word.
const VERDICT_BYTES_MAX: usize = 4096;

/// The reason for which a file is not taken, if its bytes already say so.
pub fn refused_as(upload: &Upload) -> Option<&'static str> {
    let found = upload.media_type.as_deref()?;
    match found {
        _ if upload.kind == Kind::Partial => None,
        sniff::EMPTY => Some("empty"),
        found if !upload.purpose.takes(found) => Some("media-type"),
        _ => None,
    }
}

/// Refuses a file, and tells it.
pub async fn reject(by: &Ctx, upload: &Upload, holder: Uuid, reason: &str, at: Time) -> Result<()> {
    let told =
        UploadRejected { upload: upload.id, owner: upload.owner_id, reason: reason.to_owned() };
    let write = contents::reject(upload.id, holder, reason, at, at + REASON_KEPT);
    by.commit([write, emit(told)]).await?;
    crate::removals::sweep(by).await;
    Ok(())
}

/// Decides about a file. The caller has its turn; afterwards nobody has.
pub async fn publish(by: &Ctx, upload: &Upload, holder: Uuid, bytes: Bytes) -> Result<()> {
    if upload.kind == Kind::Partial {
        store(upload, bytes, sniff::UNKNOWN, by).await?;
        by.commit(contents::complete_partial(upload.id, holder, by.now())).await?;
        return Ok(());
    }
    if let Some(reason) = refused_as(upload).or_else(|| mismatch(upload)) {
        return reject(by, upload, holder, reason, by.now()).await;
    }
    let sha256 = upload.sha256.clone().ok_or_else(|| Failure::msg("a whole file has no digest"))?;
    let media_type = upload.media_type.clone().unwrap_or_else(|| sniff::UNKNOWN.to_owned());
    let mut bytes = Some(bytes);
    let mut scanned: Option<String> = None;
    for _ in 0..TRIES_MAX {
        let same = contents::same(by.db(), upload.owner_id, &sha256).await?;
        let is_new = same.is_none();
        let content = match (same, &scanned) {
            (Some(content), _) => content,
            (None, Some(scan)) => own(upload, &media_type, scan),
            (None, None) => {
                if let Some(bytes) = bytes.take() {
                    store(upload, bytes, &media_type, by).await?;
                }
                by.commit(writing::renew(upload.id, holder)).await?;
                let Some(verdict) = scan(by, upload, &media_type).await? else {
                    return reject(by, upload, holder, "virus", by.now()).await;
                };
                scanned = Some(verdict.to_owned());
                own(upload, &media_type, verdict)
            }
        };
        let fact = emit(completed(upload, &content, &sha256));
        let write = contents::complete(upload, holder, &content, is_new, by.now());
        match by.commit([write, fact]).await {
            Err(error) if error.is(&Moved) => {}
            Err(error) => return Err(error),
            Ok(NoContent) => {
                crate::removals::sweep(by).await;
                return Ok(());
            }
        }
    }
    Err(Failure::msg("finish an upload: the same file came and went all the time").into())
}

fn own(upload: &Upload, media_type: &str, scan: &str) -> Content {
    Content {
        id: upload.id.into(),
        key: upload.key(),
        media_type: media_type.to_owned(),
        scan: scan.to_owned(),
    }
}

fn completed(upload: &Upload, content: &Content, sha256: &str) -> UploadCompleted {
    UploadCompleted {
        upload: upload.id,
        owner: upload.owner_id,
        file_name: upload.file_name.clone(),
        bytes: upload.received,
        sha256: sha256.to_owned(),
        media_type: content.media_type.clone(),
        object: Object { bucket: BUCKET.to_owned(), key: content.key.clone() },
        purpose: Purpose::word(upload.purpose).to_owned(),
        metadata: upload.metadata.clone(),
    }
}

fn mismatch(upload: &Upload) -> Option<&'static str> {
    let expected = upload.expected_sha256.as_ref()?;
    (Some(expected) != upload.sha256.as_ref()).then_some("checksum")
}

/// Makes the object.
async fn store(upload: &Upload, bytes: Bytes, media_type: &str, by: &Ctx) -> Result<()> {
    let key = upload.key();
    match bytes {
        Bytes::InMemory(bytes) => {
            let sha256 = upload.sha256.as_deref();
            let sha256 = sha256.ok_or_else(|| Failure::msg("a whole file has no digest"))?;
            bucket::put(&key, media_type, bytes, sha256).await
        }
        Bytes::InParts => {
            let multipart = upload.multipart.as_deref();
            let multipart = multipart.ok_or_else(|| Failure::msg("a large file has no parts"))?;
            let parts = writing::parts(by.db(), upload.id).await?;
            bucket::finish(&key, multipart, &parts, upload.received).await
        }
        Bytes::Incoming(etag) => {
            bucket::copy(&upload.incoming_key(), &etag, &key, media_type).await
        }
        Bytes::InPlace => Ok(()),
    }
}

#[derive(Serialize)]
struct Question<'a> {
    /// Gives the bytes to whoever asks in time.
    url: &'a str,
    bytes: i64,
    sha256: Option<&'a str>,
    media_type: &'a str,
    file_name: &'a str,
}

#[derive(Deserialize)]
struct Verdict {
    verdict: String,
}

/// What the scanner says: `clean`, or nothing of an infected file. Where there is no scanner, that
/// is what is said.
async fn scan(by: &Ctx, upload: &Upload, media_type: &str) -> Result<Option<&'static str>> {
    let scanner = by.variable("scan_url").await?;
    if scanner.is_empty() {
        return Ok(Some("not_scanned"));
    }
    let seconds = SCAN_WALL.as_secs().try_into().unwrap_or(300);
    let key = upload.key();
    let signed = bucket::download_url(&key, &upload.file_name, media_type, seconds).await?;
    let question = Question {
        url: &signed.url,
        bytes: upload.received,
        sha256: upload.sha256.as_deref(),
        media_type,
        file_name: &upload.file_name,
    };
    let question = serde_json::to_vec(&question).context("write the question for the scanner")?;
    let json = HeaderValue::from_static("application/json");
    let asked = nexus_sdk::letter(Method::POST, scanner).header(header::CONTENT_TYPE, json);
    let away = |words: String| Error::unavailable(Failure::msg(words).context("ask the scanner"));
    let echo = asked.body(question).send(SCAN_WALL, VERDICT_BYTES_MAX).await;
    let echo = echo.map_err(|why| away(format!("{why:?}")))?;
    let verdict = serde_json::from_slice::<Verdict>(&echo.body);
    match verdict {
        Ok(Verdict { verdict }) if echo.status.is_success() && verdict == "clean" => {
            Ok(Some("clean"))
        }
        Ok(Verdict { verdict }) if echo.status.is_success() && verdict == "infected" => Ok(None),
        _ => Err(away(format!("it answered {}", echo.status))),
    }
}

/// Finishes an upload that somebody else has begun to finish. The caller has its turn.
pub async fn go_on(by: &Ctx, upload: Upload, holder: Uuid) -> Result<()> {
    let bytes = match (upload.state, &upload.multipart) {
        (State::Received, Some(_)) => Bytes::InParts,
        (State::Received, None) => Bytes::InMemory(writing::tail(by.db(), upload.id).await?),
        _ => return Ok(()),
    };
    publish(by, &upload, holder, bytes).await
}
