//! Bodies on their way through the host: counted, bounded, timed.

use crate::limits::Limits;
use crate::worker::Running;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
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

/// A response body under its component's limits: bytes, idle time, wall time. While it flows, the
/// call is in flight.
pub(crate) struct Guarded {
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
        if response.body().is_end_stream() {
            return response;
        }
        running.stream_begins();
        response.map(|inner| {
            Self {
                inner,
                running,
                left: limits.body_out_bytes,
                limit: limits.body_out_bytes,
                idle: limits.stream_idle,
                alarm: None,
            }
            .boxed_unsync()
        })
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
        match Pin::new(&mut this.inner).poll_frame(cx) {
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
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.running.stream_ends();
    }
}
