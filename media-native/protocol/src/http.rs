//! HTTP as a worker needs it: small JSON calls, and objects to and from files. Follows no redirect:
//! a URL comes from the host and is meant as it stands.

use crate::error::Error;
use bytes::Bytes;
use futures::StreamExt as _;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

/// What an answer of the host may take; outputs and arguments are at most 64 KiB each.
const ANSWER_BYTES_MAX: usize = 4 << 20;
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// From one piece of an object to the next.
const STALL_MAX: Duration = Duration::from_secs(30);
/// One read of a file that is sent.
const CHUNK_BYTES: usize = 256 << 10;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Connections to the host and to the object store. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Http(Pool<HttpsConnector<HttpConnector>, Body>);

/// A file that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Http {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_MAX));
        connector.enforce_http(false);
        let roots = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(|error| Error::Setting {
                name: "certificates",
                reason: format!("of this machine cannot be read: {error}"),
            })?;
        let connector = roots.https_or_http().enable_http1().wrap_connector(connector);
        let mut pool = Pool::builder(TokioExecutor::new());
        Ok(Self(pool.pool_timer(TokioTimer::new()).build(connector)))
    }

    /// Posts JSON and reads the whole answer, within `patience`.
    pub(crate) async fn post(
        &self,
        url: &Uri,
        head: &HeaderMap,
        json: Vec<u8>,
        patience: Duration,
    ) -> Result<(StatusCode, Bytes), Error> {
        let body = Full::new(Bytes::from(json)).map_err(|never| match never {}).boxed_unsync();
        let mut request = request(Method::POST, url, body);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(head.clone());
        let call = async {
            let response = self.send(request).await?;
            let (status, body) = (response.status(), response.into_body());
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| away(url, &*error))?;
            Ok((status, body.to_bytes()))
        };
        let in_time = tokio::time::timeout(patience, call).await;
        in_time.unwrap_or_else(|_| Err(away(url, &format!("no answer within {patience:?}"))))
    }

    /// Reads an object into a new file, at most `limit` bytes.
    pub(crate) async fn fetch(&self, url: &str, to: &Path, limit: u64) -> Result<Arrived, Error> {
        let url = parse(url)?;
        let body = Full::default().map_err(|never| match never {}).boxed_unsync();
        let response = self.send(request(Method::GET, &url, body)).await?;
        let response = accepted(&url, response).await?;
        let declared = response.headers().get(CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > limit) {
            return Err(Error::TooLarge { limit });
        }
        let file_error = |source| Error::File { path: to.to_owned(), source };
        let mut file = File::create_new(to).await.map_err(file_error)?;
        let (mut body, mut bytes, mut hasher) = (response.into_body(), 0, Sha256::new());
        while let Some(frame) = next_frame(&url, &mut body).await? {
            let Ok(chunk) = frame.into_data() else { continue };
            bytes += chunk.len() as u64;
            if bytes > limit {
                return Err(Error::TooLarge { limit });
            }
            hasher.update(&chunk);
            file.write_all(&chunk).await.map_err(file_error)?;
        }
        file.flush().await.map_err(file_error)?;
        if declared.is_some_and(|length| length != bytes) {
            return Err(away(&url, &format!("ended after {bytes} bytes")));
        }
        let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Arrived { bytes, sha256 })
    }

    /// Sends a file as it is now. Returns its size.
    pub(crate) async fn send_file(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        from: &Path,
    ) -> Result<u64, Error> {
        let url = parse(url)?;
        let file_error = |source| Error::File { path: from.to_owned(), source };
        let file = File::open(from).await.map_err(file_error)?;
        let bytes = file.metadata().await.map_err(file_error)?.len();
        let pieces = ReaderStream::with_capacity(file, CHUNK_BYTES);
        let pieces = pieces.map(|piece| piece.map(Frame::data));
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::PUT);
        let mut request = request(method, &url, StreamBody::new(pieces).boxed_unsync());
        let sent = request.headers_mut();
        sent.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
        for (name, value) in headers {
            let pair = (name.parse::<HeaderName>(), HeaderValue::from_str(value));
            let (Ok(name), Ok(value)) = pair else {
                return Err(Error::Unreadable {
                    url: url.to_string(),
                    reason: format!("{name} is no header"),
                });
            };
            if name != HOST && name != CONTENT_LENGTH {
                sent.insert(name, value);
            }
        }
        let response = self.send(request).await?;
        accepted(&url, response).await?;
        Ok(bytes)
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Error> {
        let url = request.uri().clone();
        self.0.request(request).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            away(&url, &cause.unwrap_or_else(|| error.to_string()))
        })
    }
}

fn request(method: Method, url: &Uri, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = url.clone();
    request
}

fn parse(url: &str) -> Result<Uri, Error> {
    url.parse().map_err(|error: http::uri::InvalidUri| Error::Unreadable {
        url: "a URL of the host".into(),
        reason: error.to_string(),
    })
}

/// A URL without its query, which may hold a signature.
fn shown(url: &Uri) -> String {
    let (scheme, authority) = (url.scheme_str().unwrap_or("http"), url.authority());
    let authority = authority.map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}{}", url.path())
}

fn away(url: &Uri, reason: &(impl ToString + ?Sized)) -> Error {
    Error::Away { url: shown(url), reason: reason.to_string() }
}

async fn next_frame(url: &Uri, body: &mut Incoming) -> Result<Option<Frame<Bytes>>, Error> {
    match tokio::time::timeout(STALL_MAX, body.frame()).await {
        Ok(Some(Ok(frame))) => Ok(Some(frame)),
        Ok(Some(Err(error))) => Err(away(url, &error)),
        Ok(None) => Ok(None),
        Err(_) => Err(away(url, &format!("nothing came for {STALL_MAX:?}"))),
    }
}

/// The response of an object store, unless it refuses.
async fn accepted(url: &Uri, response: Response<Incoming>) -> Result<Response<Incoming>, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(away(url, &status));
    }
    let body = Limited::new(response.into_body(), 2_000).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let reason = String::from_utf8_lossy(&body).trim().to_owned();
    Err(Error::Refused { path: shown(url), status: status.as_u16(), reason })
}
