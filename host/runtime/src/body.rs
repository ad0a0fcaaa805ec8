//! Bodies on their way through the host: counted, bounded, timed.

use crate::limits::Limits;
use crate::worker::Running;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, WasiBody};

/// A request as a trigger hands it over: body errors are `wasi:http` errors.
pub type Request = http::Request<WasiBody>;
/// A response as a component produced it.
pub type Response = http::Response<WasiBody>;

/// A whole body in memory.
pub fn full(bytes: impl Into<Bytes>) -> WasiBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Takes the bytes of a body that is all there; None when it has to be waited for. `is_whole` says
/// that it may be asked: asking a client for its body is what makes it send one.
pub(crate) fn whole(body: &mut WasiBody, is_whole: bool) -> Option<Bytes> {
    if body.is_end_stream() {
        return Some(Bytes::new());
    }
    if !is_whole {
        return None;
    }
    match at_once(body) {
        Some(Some(Ok(frame))) if body.is_end_stream() => frame.into_data().ok(),
        // Whoever says that it is whole makes it of one piece.
        _ => None,
    }
}

type Next = Option<Result<Frame<Bytes>, Error>>;

/// The next frame, if it is there.
fn at_once(body: &mut WasiBody) -> Option<Next> {
    match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(next) => Some(next),
        Poll::Pending => None,
    }
}

/// A response body under its component's limits: bytes, idle time, wall time. While it flows, the
/// call is in flight.
pub(crate) struct Guarded {
    /// What was there when the response came.
    first: Option<Next>,
    inner: WasiBody,
    running: Arc<Running>,
    left: u64,
    limit: u64,
    idle: Duration,
    /// Armed only while the guest keeps us waiting: most bodies are whole at the first poll.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    pub(crate) fn wrap(response: Response, running: Arc<Running>, limits: &Limits) -> Response {
        // What the loss of an instance has ended looks ended, and is not whole.
        let is_whole = |body: &WasiBody| body.is_end_stream() && !running.is_cut_short();
        if is_whole(response.body()) {
            return response;
        }
        let (parts, mut inner) = response.into_parts();
        let first = match at_once(&mut inner) {
            Some(Some(Ok(frame))) if is_whole(&inner) => match frame.into_data() {
                // All of it: the call is over, and nothing of it is left to watch.
                Ok(bytes) if bytes.len() as u64 <= limits.body_out_bytes => {
                    return Response::from_parts(parts, full(bytes));
                }
                Ok(bytes) => Some(Some(Ok(Frame::data(bytes)))),
                Err(frame) => Some(Some(Ok(frame))),
            },
            first => first,
        };
        running.stream_begins();
        Response::from_parts(
            parts,
            Self {
                first,
                inner,
                running,
                left: limits.body_out_bytes,
                limit: limits.body_out_bytes,
                idle: limits.stream_idle,
                alarm: None,
            }
            .boxed_unsync(),
        )
    }

    /// Gives up: the client sees a broken body, the instance is retired.
    fn cut(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.inner = full(Bytes::new());
        self.running.expire();
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let polled = match this.first.take() {
            Some(first) => Poll::Ready(first),
            None => Pin::new(&mut this.inner).poll_frame(cx),
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                this.alarm = None;
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                match this.left.checked_sub(bytes) {
                    Some(left) => this.left = left,
                    None => return this.cut(Error::HttpResponseBodySize(Some(this.limit))),
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => {
                let (idle, wall) = (this.idle, this.running.wall_deadline);
                let alarm = this.alarm.get_or_insert_with(|| {
                    let until = (Instant::now() + idle).min(wall);
                    Box::pin(tokio::time::sleep_until(until.into()))
                });
                match alarm.as_mut().poll(cx) {
                    Poll::Ready(()) => this.cut(Error::HttpResponseTimeout),
                    Poll::Pending => Poll::Pending,
                }
            }
            Poll::Ready(None) if this.running.is_cut_short() => {
                this.cut(Error::HttpResponseIncomplete)
            }
            done => done,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.inner.is_end_stream() && !self.running.is_cut_short()
    }

    fn size_hint(&self) -> SizeHint {
        if self.running.is_cut_short() {
            return SizeHint::default();
        }
        let left = self.inner.size_hint();
        let Some(Some(Ok(first))) = &self.first else { return left };
        let first = first.data_ref().map_or(0, |data| data.len() as u64);
        left.exact().map_or_else(SizeHint::default, |left| SizeHint::with_exact(first + left))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.running.stream_ends();
    }
}
