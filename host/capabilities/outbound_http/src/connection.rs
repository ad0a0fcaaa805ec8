//! One open connection, HTTP/1.1 or HTTP/2. It lives exactly as long as somebody holds it: when
//! the last holder lets go, its task ends and its socket closes.

use crate::body::RequestBody;
use crate::config::Bounds;
use crate::destination::Destination;
use http::header::{HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

/// Unread bytes of one HTTP/2 stream, and of all streams of a connection, that this host buffers.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Read and write buffer of an HTTP/1.1 connection; room for a response head in any case.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// A silent HTTP/2 connection with requests under way is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(10);

/// Fields of a response head.
const RESPONSE_FIELDS_MAX: usize = 128;

/// Dropped, it ends the connection's task.
type Alive = oneshot::Sender<Infallible>;

pub(crate) struct Http1 {
    sender: http1::SendRequest<RequestBody>,
    _alive: Alive,
}

/// Clones share the connection.
#[derive(Clone)]
pub(crate) struct Http2 {
    sender: http2::SendRequest<RequestBody>,
    alive: Arc<Alive>,
}

pub(crate) enum Connection {
    Http1(Http1),
    Http2(Http2),
}

/// A request that did not get a response, with the request itself when nothing of it was sent.
pub(crate) type SendError = TrySendError<Request<RequestBody>>;

impl Http1 {
    pub(crate) async fn shake<S>(stream: S, bounds: &Bounds) -> hyper::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_headers(RESPONSE_FIELDS_MAX)
            .max_header_size(bounds.response_head_bytes_max)
            .max_buf_size(BUFFER_BYTES_MAX.max(2 * bounds.response_head_bytes_max))
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self { sender, _alive: drive(connection) })
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Waits until the connection can take another request; false when it cannot any more.
    pub(crate) async fn ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }
}

impl Http2 {
    pub(crate) async fn shake<S>(stream: S, bounds: &Bounds) -> hyper::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let head = u32::try_from(bounds.response_head_bytes_max).unwrap_or(u32::MAX);
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(head)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_PATIENCE)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self { sender, alive: Arc::new(drive(connection)) })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether nobody but the asker holds the connection.
    pub(crate) fn is_unused(&self) -> bool {
        Arc::strong_count(&self.alive) == 1
    }
}

/// Runs the connection until it ends or the returned handle is dropped.
fn drive<C>(connection: C) -> Alive
where
    C: Future<Output = hyper::Result<()>> + Send + 'static,
{
    let (alive, mut gone) = oneshot::channel();
    tokio::spawn(async move {
        tokio::select! {
            ended = connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "an outbound connection failed");
                }
            }
            _ = &mut gone => {}
        }
    });
    alive
}

impl Connection {
    /// Sends one request, in the form this protocol wants it.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<RequestBody>,
        destination: &Destination,
    ) -> Result<Response<Incoming>, SendError> {
        match self {
            Self::Http1(connection) => {
                into_http1(&mut request, destination);
                connection.sender.try_send_request(request).await
            }
            Self::Http2(connection) => {
                into_http2(&mut request, destination);
                connection.sender.try_send_request(request).await
            }
        }
    }
}

fn path(uri: &Uri) -> http::uri::PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"))
}

fn authority(destination: &Destination) -> HeaderValue {
    HeaderValue::try_from(destination.authority()).expect("names and addresses are visible ASCII")
}

/// Origin form and a `host` field (RFC 9112 §3.2.1).
fn into_http1(request: &mut Request<RequestBody>, destination: &Destination) {
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = Uri::from(path(request.uri()));
    request.headers_mut().insert(HOST, authority(destination));
    if request.body().has_begun() && !request.headers().contains_key("content-length") {
        // Without this, hyper takes it that a GET has no body.
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Scheme and authority as pseudo-fields, no `host` (RFC 9113 §8.3.1).
fn into_http2(request: &mut Request<RequestBody>, destination: &Destination) {
    *request.version_mut() = Version::HTTP_2;
    let uri = Uri::builder()
        .scheme(destination.scheme.as_str())
        .authority(destination.authority())
        .path_and_query(path(request.uri()))
        .build();
    *request.uri_mut() = uri.expect("its parts were parsed from a URI");
    request.headers_mut().remove(HOST);
    request.headers_mut().remove(TRANSFER_ENCODING);
}
