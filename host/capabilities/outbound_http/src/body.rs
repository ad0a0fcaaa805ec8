//! Bodies on their way out and in: watched, timed, counted, never gathered.
//! Refuses to know connections; a [`Lease`] does.

use crate::error;
use crate::headers;
use crate::pool::Lease;
use bytes::Bytes;
use futures::FutureExt as _;
use http::Method;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, WasiBody};

/// How long a request whose method seldom has a body waits for the guest to say that it has none.
/// Guests say so a few polls after they send; without waiting, each such request would announce a
/// body of unknown length.
const NO_BODY_GRACE: Duration = Duration::from_millis(20);

/// The slots one exchange occupies until both bodies are done or dropped.
pub(crate) struct Exchange {
    pub(crate) _component: OwnedSemaphorePermit,
    pub(crate) _host: OwnedSemaphorePermit,
    pub(crate) _shard: OwnedSemaphorePermit,
}

/// When the request last moved; what the wait for a response is measured from.
pub(crate) struct Progress {
    began: Instant,
    millis: AtomicU64,
}

impl Progress {
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), millis: AtomicU64::new(0) })
    }

    pub(crate) fn moved(&self) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

/// A deadline that runs only while somebody waits.
struct Idle {
    limit: Duration,
    running: bool,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        Self { limit, running: false, sleep: None }
    }

    fn rest(&mut self) {
        self.running = false;
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = Instant::now() + self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if !self.running {
            self.running = true;
            sleep.as_mut().reset(until);
        }
        sleep.as_mut().poll(cx)
    }
}

/// The body of a request over the network.
pub(crate) struct RequestBody {
    first: Option<Frame<Bytes>>,
    rest: WasiBody,
    progress: Arc<Progress>,
    idle: Idle,
    exchange: Arc<Exchange>,
}

impl RequestBody {
    /// Takes the guest's body, once it is plain whether there is one.
    pub(crate) async fn settle(
        method: &Method,
        mut rest: WasiBody,
        idle_max: Duration,
        progress: Arc<Progress>,
        exchange: Arc<Exchange>,
    ) -> Result<Self, Error> {
        let known = rest.is_end_stream() || rest.size_hint().exact().is_some();
        let first = if known {
            None
        } else if seldom_has_body(method) {
            tokio::time::timeout(NO_BODY_GRACE, rest.frame()).await.ok()
        } else {
            rest.frame().now_or_never()
        };
        let first = match first {
            // Nothing came yet: whatever comes is streamed.
            None => None,
            Some(None) => {
                rest = empty();
                None
            }
            Some(Some(frame)) => Some(frame?),
        };
        Ok(Self { first, rest, progress, idle: Idle::new(idle_max), exchange })
    }

    /// The same request's body again, which has none.
    pub(crate) fn again_empty(&self) -> Option<Self> {
        self.is_end_stream().then(|| Self {
            first: None,
            rest: empty(),
            progress: self.progress.clone(),
            idle: Idle::new(self.idle.limit),
            exchange: self.exchange.clone(),
        })
    }

    /// Whether some of it is at hand but not its length: on HTTP/1.1 it must be chunked.
    pub(crate) fn has_begun(&self) -> bool {
        self.first.is_some() && self.size_hint().exact().is_none()
    }
}

fn seldom_has_body(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE, Method::TRACE].contains(method)
}

fn empty() -> WasiBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let polled = match this.first.take() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(&mut this.rest).poll_frame(cx),
        };
        match polled {
            Poll::Pending => {
                this.idle.poll_expired(cx).map(|()| Some(Err(Error::ConnectionWriteTimeout)))
            }
            Poll::Ready(frame) => {
                this.idle.rest();
                this.progress.moved();
                Poll::Ready(frame.map(|frame| frame.map(clean_trailers)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.first {
            None => self.rest.size_hint(),
            // Its length is gone from what the rest says of itself.
            Some(_) => SizeHint::default(),
        }
    }
}

fn clean_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            headers::clean_request(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(data) => data,
    }
}

/// The body of a response over the network. Once it ends, its connection is free for the next
/// request; dropped earlier, the connection (or the HTTP/2 stream) is closed.
pub(crate) struct ResponseBody {
    incoming: Incoming,
    idle: Idle,
    bytes_left: u64,
    bytes_max: u64,
    trailer_bytes_max: usize,
    lease: Option<Lease>,
    exchange: Option<Arc<Exchange>>,
}

/// What a response body is held to.
pub(crate) struct ResponseBounds {
    pub(crate) between_bytes: Duration,
    pub(crate) bytes_max: u64,
    pub(crate) trailer_bytes_max: usize,
}

impl ResponseBody {
    pub(crate) fn new(
        incoming: Incoming,
        bounds: &ResponseBounds,
        lease: Lease,
        exchange: Arc<Exchange>,
    ) -> Self {
        let mut body = Self {
            incoming,
            idle: Idle::new(bounds.between_bytes),
            bytes_left: bounds.bytes_max,
            bytes_max: bounds.bytes_max,
            trailer_bytes_max: bounds.trailer_bytes_max,
            lease: Some(lease),
            exchange: Some(exchange),
        };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    fn finish(&mut self) {
        // First the connection, then the slot: who waits for the slot finds the connection.
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        self.exchange = None;
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.lease = None;
        self.exchange = None;
        Poll::Ready(Some(Err(error)))
    }

    fn check(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Error> {
        if let Some(data) = frame.data_ref() {
            let bytes = data.len() as u64;
            let left = self.bytes_left.checked_sub(bytes);
            self.bytes_left = left.ok_or(Error::HttpResponseBodySize(Some(self.bytes_max)))?;
            return Ok(frame);
        }
        frame.into_trailers().or(Err(Error::HttpProtocolError)).and_then(|mut trailers| {
            headers::strip_hop_by_hop(&mut trailers);
            match u32::try_from(headers::bytes(&trailers)) {
                Ok(bytes) if bytes as usize <= self.trailer_bytes_max => {
                    Ok(Frame::trailers(trailers))
                }
                bytes => Err(Error::HttpResponseTrailerSectionSize(bytes.ok())),
            }
        })
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.lease.is_none() {
            return Poll::Ready(None);
        }
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Pending => match this.idle.poll_expired(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => this.fail(Error::ConnectionReadTimeout),
            },
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => this.fail(error::of_response_body(error)),
            Poll::Ready(Some(Ok(frame))) => {
                this.idle.rest();
                match this.check(frame) {
                    Err(error) => this.fail(error),
                    Ok(frame) => {
                        if this.incoming.is_end_stream() {
                            this.finish();
                        }
                        Poll::Ready(Some(Ok(frame)))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lease.is_none() || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// A body of another component, held to the caller's own patience between two pieces.
pub(crate) struct Patient {
    inner: WasiBody,
    idle: Idle,
}

impl Patient {
    pub(crate) fn new(inner: WasiBody, between_bytes: Duration) -> Self {
        Self { inner, idle: Idle::new(between_bytes) }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Pending => {
                this.idle.poll_expired(cx).map(|()| Some(Err(Error::ConnectionReadTimeout)))
            }
            ready => {
                this.idle.rest();
                ready
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
