//! Resumable uploads by tus 1.0.0 (<https://tus.io/protocols/resumable-upload>) at `/files`, with
//! its extensions creation, creation-with-upload, creation-defer-length, expiration, checksum,
//! termination and concatenation. Knows the protocol's words; what becomes of bytes is `intake`'s.

use crate::concat;
use crate::domain::{
    self, Kind, LengthFixed, LengthMissing, OffsetConflict, OffsetMissing, OffsetType, Purpose,
    State, Upload, UploadDirect, UploadOfParts, UploadTooLarge, Way, length,
};
use crate::fields::{self, Asked};
use crate::hash::Checksum;
use crate::intake::Intake;
use crate::metadata;
use crate::quota::{self, Bounds};
use crate::store::{accounts, uploads, writing};
use crate::{Create, objects, owner_of, removals, turn};
use futures::StreamExt as _;
use media_contract::UploadId;
use nexus_sdk::axum::http::Method;
use nexus_sdk::prelude::*;
use nexus_sdk::spin_sdk::time::sleep;
use nexus_sdk::{Operation, Output};
use std::time::Duration;

/// How often one who asks looks whether a writer has let go: a little longer than the lease of a
/// writer that has died (see `writing::LEASE_SECONDS`), for a client that went on too early would
/// send for nothing.
const WAIT_TURNS: u32 = 130;
const WAIT_TURN: Duration = Duration::from_millis(50);

pub fn router() -> Router {
    Router::new()
        .route("/files", post(create).options(discover))
        .route("/files/", post(create_below).options(discover_below))
        .route("/files/{id}", get(show).patch(append).delete(terminate).post(overridden))
}

/// A new upload, as `uploads::insert` writes it.
pub struct Draft {
    pub id: UploadId,
    pub owner: Uuid,
    pub way: Way,
    pub kind: Kind,
    pub length: Option<i64>,
    pub reserved: i64,
    pub part_bytes: i64,
    pub metadata_line: String,
    pub metadata: Json<serde_json::Map<String, serde_json::Value>>,
    pub file_name: String,
    pub purpose: Purpose,
    pub partials: Vec<String>,
    pub expected_sha256: Option<String>,
    pub multipart: Option<String>,
}

/// Needs no credential and no version: it is how a client learns what is spoken here.
/// What this server can, in its headers alone.
struct Capabilities(Response);

impl IntoResponse for Capabilities {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Output for Capabilities {
    fn describe(operation: &mut Operation) {
        operation.empty_response(StatusCode::NO_CONTENT);
    }
}

async fn discover(headers: HeaderMap) -> Capabilities {
    Capabilities(fields::capabilities(&headers))
}

async fn discover_below(headers: HeaderMap) -> Capabilities {
    Capabilities(fields::capabilities(&headers))
}

async fn create(by: Allowed<Create>, headers: HeaderMap, body: Body) -> Response {
    fields::answer(&headers, begin(&by, &headers, body).await)
}

async fn create_below(by: Allowed<Create>, headers: HeaderMap, body: Body) -> Response {
    fields::answer(&headers, begin(&by, &headers, body).await)
}

async fn begin(by: &Ctx, headers: &HeaderMap, body: Body) -> Result<Response> {
    let asked = Asked::of(headers)?;
    let draft = draft(by, &asked).await?;
    let bounds = quota::bounds().await?;
    let expires = domain::expires(by.now(), by.now());
    let promise = accounts::reserve(draft.owner, draft.reserved, &bounds);
    by.commit([promise, uploads::insert(&draft, by.now(), expires)]).await?;
    let upload = uploads::find(by.db(), draft.id, draft.owner).await?;
    let upload = match upload.kind {
        Kind::Final => concat::join(by, upload.id, bounds).await?,
        _ if asked.brings_bytes || upload.length == Some(0) => {
            let checksum = asked.checksum()?;
            domain::refuse_overflow(&upload, asked.content_length)?;
            let (holder, upload) = turn::take(by, upload.id).await?;
            let filled = fill(by, upload, holder, bounds, checksum, body).await;
            turn::or_release(by, draft.id, holder, filled).await?
        }
        _ => upload,
    };
    Ok(fields::created(&upload, asked.brings_bytes))
}

async fn draft(by: &Ctx, asked: &Asked<'_>) -> Result<Draft> {
    let line = asked.metadata.unwrap_or_default();
    let metadata = metadata::parse(line)?;
    let purpose = Purpose::named(metadata::text(&metadata, &["purpose"]))?;
    let file_name = metadata::file_name(metadata::text(&metadata, &["filename", "name"]));
    let owner = owner_of(by)?;
    let (kind, partials) = fields::concat(asked.concat)?;
    let length = match (kind, asked.length, asked.defers) {
        (Kind::Final, None, false) => Some(concat::length_of(by, &partials, owner).await?),
        (Kind::Final, ..) => return Err(LengthFixed.into()),
        (_, Some(said), false) => Some(length(said, purpose)?),
        (_, None, true) => None,
        _ => return Err(LengthMissing.into()),
    };
    // A final upload's room was promised to its pieces.
    let reserved = if kind == Kind::Final { 0 } else { length.unwrap_or(0) };
    Ok(Draft {
        id: by.new_id(),
        owner,
        way: Way::Resumable,
        kind,
        length,
        reserved,
        part_bytes: domain::part_bytes(length),
        metadata_line: line.to_owned(),
        metadata: Json(metadata),
        file_name,
        purpose,
        partials: partials.iter().map(ToString::to_string).collect(),
        expected_sha256: None,
        multipart: None,
    })
}

/// HEAD says how far an upload is; GET leads to the file.
async fn show(
    by: Allowed<Create>,
    method: Method,
    Path(id): Path<UploadId>,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        match method {
            Method::HEAD => stand(&by, id, &headers).await,
            _ => objects::lead(&by, id).await,
        }
    };
    fields::answer(&headers, answer.await)
}

async fn stand(by: &Ctx, id: UploadId, headers: &HeaderMap) -> Result<Response> {
    Asked::of(headers)?;
    let upload = unheld(by, uploads::find(by.db(), id, owner_of(by)?).await?).await?;
    upload.require_alive(by.now())?;
    Ok(fields::standing(&upload))
}

/// The upload when nobody writes to it, or when whoever does has shown to be alive.
async fn unheld(by: &Ctx, mut upload: Upload) -> Result<Upload> {
    let before = upload.received;
    for turn in 0..WAIT_TURNS {
        if !upload.is_held || upload.received != before {
            break;
        }
        if turn == 0 {
            by.commit(writing::want(upload.id)).await?;
        }
        sleep(WAIT_TURN).await;
        upload = uploads::find(by.db(), upload.id, upload.owner_id).await?;
    }
    Ok(upload)
}

async fn append(
    by: Allowed<Create>,
    Path(id): Path<UploadId>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    fields::answer(&headers, write(&by, id, &headers, body).await)
}

async fn write(by: &Ctx, id: UploadId, headers: &HeaderMap, body: Body) -> Result<Response> {
    let asked = Asked::of(headers)?;
    if !asked.brings_bytes {
        return Err(OffsetType.into());
    }
    let offset = asked.offset.ok_or(OffsetMissing)?;
    let checksum = asked.checksum()?;
    let upload = uploads::find(by.db(), id, owner_of(by)?).await?;
    upload.require_alive(by.now())?;
    match (upload.way, upload.kind) {
        (Way::Direct | Way::DirectParts, _) => return Err(UploadDirect.into()),
        (_, Kind::Final) => return Err(UploadOfParts.into()),
        _ => {}
    }
    if upload.state != State::Receiving {
        // Nothing at the end of what is here is what was asked for.
        return match offset == upload.received {
            true if is_empty(body).await => Ok(fields::appended(&upload)),
            true => Err(UploadTooLarge.into()),
            false => Err(OffsetConflict.into()),
        };
    }
    let bounds = quota::bounds().await?;
    let (holder, upload) = turn::take(by, upload.id).await?;
    let written = async {
        let upload = declare(by, upload, &asked, &bounds).await?;
        if upload.received != offset || upload.state != State::Receiving {
            let stands = format!("the upload stands at {}", upload.received);
            return Err(OffsetConflict.because(stands).into());
        }
        domain::refuse_overflow(&upload, asked.content_length)?;
        fill(by, upload, holder, bounds, checksum, body).await
    };
    let upload = turn::or_release(by, id, holder, written.await).await?;
    Ok(fields::appended(&upload))
}

async fn is_empty(body: Body) -> bool {
    let mut bytes = body.into_data_stream();
    loop {
        match bytes.next().await {
            None => return true,
            Some(Ok(none)) if none.is_empty() => {}
            Some(_) => return false,
        }
    }
}

/// Takes a body into an upload. The caller has its turn.
async fn fill(
    by: &Ctx,
    upload: Upload,
    holder: Uuid,
    bounds: Bounds,
    checksum: Option<Checksum>,
    body: Body,
) -> Result<Upload> {
    let intake = Intake::resume(by, upload, holder, bounds, checksum).await?;
    intake.take(body.into_data_stream()).await
}

/// A client that did not know the length says it now, once.
async fn declare(by: &Ctx, upload: Upload, asked: &Asked<'_>, bounds: &Bounds) -> Result<Upload> {
    let Some(said) = asked.length else {
        return Ok(upload);
    };
    if let Some(known) = upload.length {
        return if known == said { Ok(upload) } else { Err(LengthFixed.into()) };
    }
    let said = length(said, upload.purpose)?;
    if said > domain::room(None, upload.purpose) {
        return Err(UploadTooLarge.because("say so large a length when it begins").into());
    }
    let promise = accounts::reserve(upload.owner_id, (said - upload.reserved).max(0), bounds);
    by.commit([promise, uploads::declare(upload.id, said, by.now())]).await?;
    uploads::find(by.db(), upload.id, upload.owner_id).await
}

async fn terminate(by: Allowed<Create>, Path(id): Path<UploadId>, headers: HeaderMap) -> Response {
    fields::answer(&headers, end(&by, id, &headers).await)
}

async fn end(by: &Ctx, id: UploadId, headers: &HeaderMap) -> Result<Response> {
    Asked::of(headers)?;
    let upload = unheld(by, uploads::find(by.db(), id, owner_of(by)?).await?).await?;
    by.commit(uploads::forget(upload.id, by.now())).await?;
    removals::sweep(by).await;
    Ok(NoContent.into_response())
}

/// For clients that can only GET and POST.
async fn overridden(
    by: Allowed<Create>,
    Path(id): Path<UploadId>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let meant = headers.get("x-http-method-override").and_then(|method| method.to_str().ok());
    let answer = match meant {
        Some("PATCH") => write(&by, id, &headers, body).await,
        Some("DELETE") => end(&by, id, &headers).await,
        Some("HEAD") => stand(&by, id, &headers).await,
        _ => Err(standard::MethodNotAllowed.into()),
    };
    fields::answer(&headers, answer)
}
