//! Uploads past us: the client sends its bytes to the store, by URLs that carry one permission
//! each, and says when it is done. What has arrived is looked at then, as if it had come through
//! here.

use crate::bucket::{self, SignedUrl, StoredPart};
use crate::domain::{
    self, DirectIncomplete, Kind, MediaTypeMalformed, MetadataRefused, Purpose, SNIFF_BYTES,
    Sha256Malformed, State, Upload, Way,
};
use crate::finish::{self, Bytes as Whole};
use crate::hash::Running;
use crate::objects::Shown;
use crate::store::{accounts, contents, uploads, writing};
use crate::tus::Draft;
use crate::{Create, metadata, owner_of, quota, sniff, turn};
use futures::StreamExt as _;
use media_contract::UploadId;
use nexus_sdk::prelude::*;
use std::time::{Duration, Instant};

/// What one URL may carry: less is sent again when a line breaks.
const ONE_PUT_BYTES_MAX: i64 = 64 << 20;
/// Parts of a larger file, and the most URLs that are given at once.
const PART_BYTES_MIN: i64 = 16 << 20;
const URLS_MAX: i64 = 1_000;
/// How long a URL may be used. Long enough to wait behind other parts.
const URL_SECONDS: u32 = 24 * 3600;
/// While a large file is read, its turn is kept by a word every so often.
const RENEW_EVERY: Duration = Duration::from_secs(1);

pub fn router() -> Router {
    Router::new().route("/presign", post(presign)).route("/presign/{id}/complete", post(complete))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Order {
    bytes: i64,
    /// Checked when all has arrived; 64 lower-case hexadecimal digits.
    sha256: Option<String>,
    media_type: String,
    file_name: Option<String>,
    purpose: Option<String>,
    #[serde(default)]
    metadata: serde_json::Map<String, serde_json::Value>,
}

/// A URL for so many bytes; the client sends the fields exactly so.
#[derive(Serialize, JsonSchema)]
struct Target {
    /// Of a part, from 1.
    number: Option<i32>,
    bytes: i64,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
}

#[derive(Serialize, JsonSchema)]
struct Presigned {
    id: UploadId,
    /// One for the whole file, or one for each part.
    targets: Vec<Target>,
    /// When the URLs are worth nothing any more.
    expires_at: Time,
}

impl Target {
    fn new(number: Option<i32>, bytes: i64, signed: SignedUrl) -> Target {
        let SignedUrl { url, method, headers, .. } = signed;
        Target { number, bytes, method, url, headers }
    }
}

async fn presign(by: Allowed<Create>, Json(order): Json<Order>) -> Result<Created<Presigned>> {
    let purpose = Purpose::named(order.purpose.as_deref())?;
    let bytes = domain::length(order.bytes, purpose)?;
    let is_digest = |sum: &String| {
        sum.len() == 64 && sum.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if order.sha256.as_ref().is_some_and(|sum| !is_digest(sum)) {
        return Err(Sha256Malformed.at("sha256").into());
    }
    if !metadata::is_media_type(&order.media_type) {
        return Err(MediaTypeMalformed.at("media_type").into());
    }
    if !metadata::are_texts(&order.metadata) {
        return Err(MetadataRefused.at("metadata").into());
    }
    let media_type = order.media_type.clone();
    let mut draft = draft(&by, order, purpose, bytes)?;
    let bounds = quota::bounds().await?;
    let promise = accounts::reserve(draft.owner, bytes, &bounds);
    if draft.way == Way::DirectParts {
        draft.multipart = Some(bucket::begin(&domain::key_of(draft.id), &media_type).await?);
    }
    let expires_at = by.now() + seconds(URL_SECONDS as i32);
    by.commit([promise, uploads::insert(&draft, by.now(), expires_at)]).await?;
    let targets = targets(&draft, bytes, &media_type).await?;
    Ok(Created(Presigned { id: draft.id, targets, expires_at }))
}

fn draft(by: &Ctx, order: Order, purpose: Purpose, bytes: i64) -> Result<Draft> {
    let way = if bytes > ONE_PUT_BYTES_MAX { Way::DirectParts } else { Way::Direct };
    Ok(Draft {
        id: by.new_id(),
        owner: owner_of(by)?,
        way,
        kind: Kind::Whole,
        length: Some(bytes),
        reserved: bytes,
        part_bytes: PART_BYTES_MIN.max(bytes.div_euclid(URLS_MAX) + 1),
        metadata_line: String::new(),
        metadata: Json(order.metadata),
        file_name: metadata::file_name(order.file_name.as_deref()),
        purpose,
        partials: Vec::new(),
        expected_sha256: order.sha256,
        multipart: None,
    })
}

async fn targets(draft: &Draft, bytes: i64, media_type: &str) -> Result<Vec<Target>> {
    let Some(multipart) = &draft.multipart else {
        let key = format!("incoming/{}", draft.id);
        let signed = bucket::upload_url(&key, media_type, bytes, URL_SECONDS).await?;
        return Ok(vec![Target::new(None, bytes, signed)]);
    };
    let key = domain::key_of(draft.id);
    let mut targets = Vec::new();
    for number in 1.. {
        let start = (i64::from(number) - 1) * draft.part_bytes;
        let part = draft.part_bytes.min(bytes - start);
        if part <= 0 {
            break;
        }
        let signed = bucket::part_url(&key, multipart, number, part, URL_SECONDS).await?;
        targets.push(Target::new(Some(number), part, signed));
    }
    Ok(targets)
}

/// Looks at what has arrived. May be asked again until it has: the answer says what was made of it.
async fn complete(by: Allowed<Create>, Path(id): Path<UploadId>) -> Result<Json<Shown>> {
    let upload = uploads::find(by.db(), id, owner_of(&by)?).await?;
    if upload.way == Way::Resumable {
        return Err(standard::NotFound.into());
    }
    if matches!(upload.state, State::Completed | State::Rejected) {
        return Ok(Json(upload.into()));
    }
    let (holder, upload) = turn::take(&by, id).await?;
    let done = go_on(&by, upload, holder).await;
    turn::or_release(&by, id, holder, done).await?;
    Ok(Json(uploads::find(by.db(), id, owner_of(&by)?).await?.into()))
}

/// Looks at an upload and decides about it. The caller has its turn.
pub async fn go_on(by: &Ctx, upload: Upload, holder: Uuid) -> Result<()> {
    let (key, bytes) = match arrived(&upload).await? {
        Some(Arrived::Object(etag)) => (upload.incoming_key(), Whole::Incoming(etag)),
        Some(Arrived::Joined) => (upload.key(), Whole::InPlace),
        None => return Err(DirectIncomplete.into()),
    };
    by.commit(writing::renew(upload.id, holder)).await?;
    let sha256 = digest(by, &upload, holder, &key).await?;
    let media_type = sniff::media_type(&bucket::beginning(&key, SNIFF_BYTES).await?);
    by.commit(contents::looked_at(upload.id, holder, &sha256, media_type, by.now())).await?;
    let upload = Upload {
        received: upload.length.unwrap_or(0),
        sha256: Some(sha256),
        media_type: Some(media_type.to_owned()),
        state: State::Received,
        ..upload
    };
    finish::publish(by, &upload, holder, bytes).await
}

enum Arrived {
    /// With this etag, where the URL led.
    Object(String),
    /// Under the upload's own key.
    Joined,
}

async fn arrived(upload: &Upload) -> Result<Option<Arrived>> {
    let length = upload.length.unwrap_or(0);
    let Some(multipart) = &upload.multipart else {
        let object = bucket::head(&upload.incoming_key()).await?;
        let whole = object.filter(|object| object.size == length.unsigned_abs());
        return Ok(whole.map(|object| Arrived::Object(object.etag)));
    };
    let key = upload.key();
    let is_joined = bucket::head(&key).await?;
    if is_joined.is_some_and(|object| object.size == length.unsigned_abs()) {
        return Ok(Some(Arrived::Joined));
    }
    let parts: Vec<StoredPart> = bucket::parts(&key, multipart)
        .await?
        .into_iter()
        .map(|part| StoredPart {
            number: part.number as i32,
            etag: part.etag,
            bytes: part.size as i64,
        })
        .collect();
    if parts.iter().map(|part| part.bytes).sum::<i64>() != length {
        return Ok(None);
    }
    bucket::finish(&key, multipart, &parts, length).await?;
    Ok(Some(Arrived::Joined))
}

/// The digest that the store knows, or the one of all the bytes.
async fn digest(by: &Ctx, upload: &Upload, holder: Uuid, key: &str) -> Result<String> {
    let known = bucket::head(key).await?.and_then(|object| object.checksums.sha256);
    if let Some(known) = known {
        return Ok(known);
    }
    let (mut hash, mut renewed) = (Running::default(), Instant::now());
    let mut bytes = Box::pin(bucket::read(key, 0).await?);
    while let Some(chunk) = bytes.next().await {
        hash.update(&chunk?);
        if renewed.elapsed() >= RENEW_EVERY {
            by.commit(writing::renew(upload.id, holder)).await?;
            renewed = Instant::now();
        }
    }
    by.commit(writing::renew(upload.id, holder)).await?;
    Ok(hash.digest())
}
