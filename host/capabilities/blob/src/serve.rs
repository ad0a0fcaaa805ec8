//! The door to the folder for those who hold a signed URL: GET and HEAD with ranges and
//! conditions (RFC 9110), PUT of objects and of parts. Knows HTTP messages, but no server and no
//! connection; refuses whatever [`crate::signed`] did not sign.

use crate::body;
use crate::checksum::Checksums;
use crate::conditions::{self, Answer};
use crate::folder::Folder;
use crate::signed::{Permitted, Refusal, attachment};
use crate::store::{BlobError, Body, Get, Object, PartPut, Permission, Put, Store as _, Upload};
use bytes::Bytes;
use futures::StreamExt as _;
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LAST_MODIFIED, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use nexus_runtime::Problem;
use std::fmt::Display;
use std::time::SystemTime;

/// What the door answers with. An error in the body must break the connection off.
pub type ServedBody = UnsyncBoxBody<Bytes, BlobError>;

/// What people upload may be a page with scripts, and it is served from our own origin.
const HARMLESS: &str = "default-src 'none'; sandbox";

/// Serves the signed URLs of a folder; to be mounted under [`crate::MOUNT`].
#[derive(Clone)]
pub struct Door {
    folder: Folder,
}

impl Door {
    pub fn new(folder: Folder) -> Self {
        Self { folder }
    }

    /// Answers one request. Always with a response: refusals are problems (RFC 9457).
    pub async fn serve<B>(&self, request: Request<B>) -> Response<ServedBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Display,
    {
        let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        let id = id.unwrap_or_default().to_owned();
        match self.answer(request).await {
            Ok(response) => response,
            Err(failure) => failure.into_response(&id),
        }
    }

    async fn answer<B>(&self, request: Request<B>) -> Result<Response<ServedBody>, Failure>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Display,
    {
        let (method, uri) = (request.method(), request.uri());
        if ![Method::GET, Method::HEAD, Method::PUT].contains(method) {
            return Err(Failure::Method);
        }
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let signer = self.folder.signer();
        let permitted = signer.verify(method.as_str(), path, query, SystemTime::now())?;
        if method == Method::PUT {
            let (head, body) = request.into_parts();
            return self.store(permitted, &head.headers, body::of_http(body)).await;
        }
        let head_only = method == Method::HEAD;
        self.load(permitted, request.headers(), head_only).await
    }

    /// GET and HEAD.
    async fn load(
        &self,
        permitted: Permitted,
        headers: &HeaderMap,
        head_only: bool,
    ) -> Result<Response<ServedBody>, Failure> {
        // The object may be replaced between the look and the reading: then we look again.
        for _ in 0..4 {
            let object = self.folder.head(&permitted.place).await?;
            let answer = conditions::evaluate(headers, &object);
            let range = match answer {
                Answer::Whole => None,
                Answer::Part(range) => Some(range),
                Answer::NotModified => return Ok(not_modified(&permitted, &object)),
                Answer::Failed => return Err(BlobError::PreconditionFailed.into()),
                Answer::Unsatisfiable => return Err(Failure::Range { size: object.size }),
            };
            let mut response = described(&permitted, &object);
            if head_only {
                // RFC 9110 section 14.2: ranges are for GET alone.
                response.headers_mut().insert(CONTENT_LENGTH, object.size.into());
                return Ok(response);
            }
            let get = Get { range, if_match: Some(object.etag) };
            let download = match self.folder.get(&permitted.place, get).await {
                Err(BlobError::PreconditionFailed) => continue,
                download => download?,
            };
            let bytes = download.range;
            response.headers_mut().insert(CONTENT_LENGTH, (bytes.end - bytes.start).into());
            if range.is_some() {
                let text = format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, object.size);
                response.headers_mut().insert(CONTENT_RANGE, value(&text));
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            }
            *response.body_mut() = streamed(download.body);
            return Ok(response);
        }
        Err(BlobError::Unavailable("the object changes all the time".into()).into())
    }

    /// PUT of an object or of a part.
    async fn store(
        &self,
        permitted: Permitted,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response<ServedBody>, Failure> {
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse::<u64>().ok());
        let place = permitted.place;
        let stored = match permitted.permission {
            Permission::Upload { content_type, size } => {
                let sent = headers.get(CONTENT_TYPE).and_then(|sent| sent.to_str().ok());
                if content_type.as_deref().is_some_and(|signed| Some(signed) != sent) {
                    return Err(Failure::ContentType);
                }
                let size = agreed(size, length)?;
                let mut put = Put { size, ..Put::default() };
                put.attributes.content_type = sent.map(str::to_owned);
                self.folder.put(&place, put, body).await?
            }
            Permission::Part { upload_id, number, size } => {
                let size = agreed(size, length)?;
                let part = PartPut { number, size, expected: Checksums::default() };
                let upload = Upload { place, id: upload_id };
                self.folder.upload_part(&upload, part, body).await?
            }
            Permission::Download { .. } => return Err(Failure::Method),
        };
        let mut response = Response::new(empty());
        response.headers_mut().insert(ETAG, quoted(&stored.etag));
        response.headers_mut().insert(CONTENT_LENGTH, 0.into());
        Ok(response)
    }
}

/// The size signed and the size announced, which must be one.
fn agreed(signed: Option<u64>, announced: Option<u64>) -> Result<Option<u64>, Failure> {
    match (signed, announced) {
        (Some(signed), Some(announced)) if signed != announced => Err(Failure::Size),
        (signed, announced) => Ok(signed.or(announced)),
    }
}

fn not_modified(permitted: &Permitted, object: &Object) -> Response<ServedBody> {
    let mut response = described(permitted, object);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    for header in [CONTENT_TYPE, CONTENT_DISPOSITION, ACCEPT_RANGES] {
        response.headers_mut().remove(header);
    }
    response
}

/// Everything but the bytes and their number.
fn described(permitted: &Permitted, object: &Object) -> Response<ServedBody> {
    let mut response = Response::new(empty());
    let headers = response.headers_mut();
    let (file_name, override_type) = match &permitted.permission {
        Permission::Download { file_name, content_type } => (file_name, content_type),
        _ => (&None, &None),
    };
    let own = object.attributes.content_type.as_deref();
    let content_type = override_type.as_deref().or(own).unwrap_or("application/octet-stream");
    headers.insert(CONTENT_TYPE, value(content_type));
    if let Some(file_name) = file_name {
        headers.insert(CONTENT_DISPOSITION, value(&attachment(file_name)));
    }
    headers.insert(ETAG, quoted(&object.etag));
    headers.insert(LAST_MODIFIED, value(&httpdate::fmt_http_date(object.modified)));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let age = permitted.remaining.as_secs();
    headers.insert(CACHE_CONTROL, value(&format!("private, max-age={age}")));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(HARMLESS));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

fn quoted(etag: &str) -> HeaderValue {
    value(&format!("\"{etag}\""))
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("names, types and etags are printable ASCII by their rules")
}

fn empty() -> ServedBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn streamed(body: Body) -> ServedBody {
    StreamBody::new(body.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}

/// Why there is no other answer than a problem.
#[derive(Debug)]
enum Failure {
    Method,
    Url(Refusal),
    ContentType,
    Size,
    Range { size: u64 },
    Store(BlobError),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Url(refusal)
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    fn into_response(self, request_id: &str) -> Response<ServedBody> {
        let extra = match &self {
            Self::Method => Some((ALLOW, HeaderValue::from_static("GET, HEAD, PUT"))),
            Self::Range { size } => Some((CONTENT_RANGE, value(&format!("bytes */{size}")))),
            _ => None,
        };
        let response = self.problem().into_response(request_id);
        let mut response = response
            .map(|body| body.map_err(|error| BlobError::Other(error.to_string())).boxed_unsync());
        response.headers_mut().extend(extra);
        response
    }

    fn problem(self) -> Problem {
        use StatusCode as S;
        match self {
            Self::Method => Problem::new(
                "method-not-allowed",
                S::METHOD_NOT_ALLOWED,
                "a signed URL takes GET, HEAD or PUT",
            ),
            Self::Url(Refusal::Expired) => {
                Problem::new("signed-url-expired", S::FORBIDDEN, "the signed URL has expired")
            }
            Self::Url(refusal) => Problem::new(
                "signed-url-refused",
                S::FORBIDDEN,
                "the URL's signature does not hold",
            )
            .detail(refusal.to_string()),
            Self::ContentType => Problem::new(
                "signed-url-refused",
                S::FORBIDDEN,
                "the content type is not as signed",
            ),
            Self::Size => {
                Problem::new("signed-url-refused", S::FORBIDDEN, "the size is not as signed")
            }
            Self::Range { .. } => BlobError::RangeNotSatisfiable.into(),
            Self::Store(error) => error.into(),
        }
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        use BlobError as E;
        use StatusCode as S;
        let detail = error.to_string();
        let (name, status, title) = match &error {
            E::NoSuchBucket(_) | E::NoSuchKey => ("no-such-blob", S::NOT_FOUND, "no such blob"),
            E::NoSuchUpload => ("no-such-upload", S::NOT_FOUND, "no such upload is open"),
            E::PreconditionFailed => {
                ("precondition-failed", S::PRECONDITION_FAILED, "a condition does not hold")
            }
            E::RangeNotSatisfiable => {
                ("range-not-satisfiable", S::RANGE_NOT_SATISFIABLE, "the range lies outside")
            }
            E::ChecksumMismatch => {
                ("checksum-mismatch", S::BAD_REQUEST, "the bytes do not match their checksum")
            }
            E::TooLarge { .. } => ("blob-too-large", S::PAYLOAD_TOO_LARGE, "the blob is too large"),
            E::Incomplete => ("body-incomplete", S::BAD_REQUEST, "the body is incomplete"),
            E::Invalid(_) => ("blob-invalid", S::BAD_REQUEST, "the request breaks a rule"),
            E::AccessDenied(_) | E::Unavailable(_) | E::Other(_) => {
                // What the disk says is for the operator.
                tracing::error!(%error, "the blob store failed");
                let problem =
                    Problem::new("blobs-unavailable", S::SERVICE_UNAVAILABLE, "try again later");
                return problem.retry_after(5);
            }
        };
        Self::new(name, status, title).detail(detail)
    }
}
