//! A request body on its way in: counted against the component's limit, timed against the
//! client's patience with us. A fault is told twice: to whoever reads the body, as an error, and
//! to the exchange, which answers it whatever the reader makes of it.

use crate::fields::Fields;
use crate::inbound;
use crate::wire::Alarm;
use bytes::Bytes;
use http::header::EXPECT;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU8, Ordering::AcqRel, Ordering::Acquire, Ordering::Release,
};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, WasiBody};

/// What went wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fault {
    TooLarge = 1,
    TooSlow = 2,
    Broken = 3,
}

/// The first fault of one body, told across tasks.
#[derive(Default)]
pub(crate) struct Faults {
    first: AtomicU8,
    told: Notify,
    /// The body was read to its end.
    read: AtomicBool,
}

impl Faults {
    fn tell(&self, fault: Fault) {
        let _kept = self.first.compare_exchange(0, fault as u8, AcqRel, Acquire);
        self.told.notify_one();
    }

    pub(crate) fn is_read(&self) -> bool {
        self.read.load(Acquire)
    }

    pub(crate) fn first(&self) -> Option<Fault> {
        match self.first.load(Acquire) {
            1 => Some(Fault::TooLarge),
            2 => Some(Fault::TooSlow),
            3 => Some(Fault::Broken),
            _ => None,
        }
    }

    /// Resolves with the first fault; for ever pending without one.
    pub(crate) async fn wait(&self) -> Fault {
        loop {
            if let Some(fault) = self.first() {
                return fault;
            }
            self.told.notified().await;
        }
    }
}

/// What a body may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UploadLimits {
    pub(crate) bytes: u64,
    pub(crate) grace: Duration,
    pub(crate) rate_min: u32,
}

/// A body with its limits.
struct Upload {
    inner: Incoming,
    limits: UploadLimits,
    received: u64,
    /// Time spent waiting for the client so far, and since when we wait now.
    waited: Duration,
    waiting_since: Option<Instant>,
    alarm: Alarm,
    faults: Arc<Faults>,
    ended: bool,
}

/// Wraps a body; None instead of faults when there is nothing that could have any.
pub(crate) fn wrap(inner: Incoming, limits: UploadLimits) -> (WasiBody, Option<Arc<Faults>>) {
    if inner.is_end_stream() {
        let empty = Empty::new().map_err(|never| match never {});
        return (empty.boxed_unsync(), None);
    }
    let faults = Arc::new(Faults::default());
    let upload = Upload {
        inner,
        limits,
        received: 0,
        waited: Duration::ZERO,
        waiting_since: None,
        alarm: Alarm::default(),
        faults: faults.clone(),
        ended: false,
    };
    (upload.boxed_unsync(), Some(faults))
}

/// Bodies up to this size are looked at before their component is called: mostly they have come
/// with their head, and what is there already is handed over at once.
const WHOLE_MAX: u64 = 64 << 10;

/// How often. A connection gives what it has read on its next turn after somebody has asked.
const LOOKS: u8 = 2;

/// Whether a body is to be looked at by [`arrived`]: small by its own word, from a client that does
/// not wait for somebody to want it.
pub(crate) fn is_small(inner: &Incoming, fields: Fields<'_>) -> bool {
    let length = inner.size_hint().exact();
    length.is_some_and(|length| (1..=WHOLE_MAX).contains(&length)) && !fields.has(&EXPECT)
}

/// Whether a body is there, or soon, whoever reads it.
pub(crate) fn is_short(inner: &Incoming) -> bool {
    inner.size_hint().exact().is_some_and(|length| length <= WHOLE_MAX)
}

/// Takes what has come of a body, without waiting for its client. True beside it when that is all
/// and is bytes alone; otherwise the rest is read as it comes, and whoever reads meets its faults.
pub(crate) async fn arrived(mut body: WasiBody) -> (WasiBody, bool) {
    let mut frames = VecDeque::new();
    let mut looks = 0;
    let is_over = poll_fn(|cx| {
        loop {
            match Pin::new(&mut body).poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Ready(Some(frame)) => {
                    let is_broken = frame.is_err();
                    frames.push_back(frame);
                    if is_broken || body.is_end_stream() {
                        return Poll::Ready(!is_broken);
                    }
                }
                Poll::Pending if looks == LOOKS => return Poll::Ready(false),
                Poll::Pending => {
                    looks += 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    })
    .await;
    match whole(&frames).filter(|_| is_over) {
        Some(bytes) => (Full::new(bytes).map_err(|never| match never {}).boxed_unsync(), true),
        None => (Begun { frames, rest: body }.boxed_unsync(), false),
    }
}

type NextFrame = Result<Frame<Bytes>, Error>;

/// All bytes in one piece; None when there is anything else.
fn whole(frames: &VecDeque<NextFrame>) -> Option<Bytes> {
    let mut chunks = frames.iter().map(|frame| frame.as_ref().ok()?.data_ref());
    if frames.len() == 1 {
        return chunks.next()?.cloned();
    }
    let chunks: Option<Vec<&[u8]>> = chunks.map(|chunk| chunk.map(AsRef::as_ref)).collect();
    Some(chunks?.concat().into())
}

/// A body of which the beginning was read already.
struct Begun {
    frames: VecDeque<NextFrame>,
    rest: WasiBody,
}

impl Body for Begun {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let data = |frame: &NextFrame| Some(frame.as_ref().ok()?.data_ref()?.len() as u64);
        let first: u64 = self.frames.iter().filter_map(data).sum();
        let rest = self.rest.size_hint().exact();
        rest.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(first + rest))
    }
}

impl Upload {
    fn fail(&mut self, fault: Fault, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.ended = true;
        self.faults.tell(fault);
        Poll::Ready(Some(Err(error)))
    }

    /// Until when a client may keep us waiting that has sent as much as this one.
    fn deadline(&self, since: Instant) -> Instant {
        let earned = self.received as f64 / f64::from(self.limits.rate_min.max(1));
        // A body of exabytes earns no more than a year.
        let earned = Duration::from_secs_f64(earned.min(365.0 * 86_400.0));
        let patience = (self.limits.grace + earned).saturating_sub(self.waited);
        // However fast it was before: no silence is longer than the grace.
        since + patience.min(self.limits.grace)
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
        match frame.into_data() {
            Ok(data) => {
                self.received += data.len() as u64;
                if self.received > self.limits.bytes {
                    let error = Error::HttpRequestBodySize(Some(self.limits.bytes));
                    return self.fail(Fault::TooLarge, error);
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Err(frame) => {
                let Ok(mut trailers) = frame.into_trailers() else {
                    return Poll::Ready(None);
                };
                let private =
                    |name: &str| inbound::is_hop_by_hop(name) || inbound::is_host_only(name);
                let doomed: Vec<_> =
                    trailers.keys().filter(|name| private(name.as_str())).cloned().collect();
                for name in doomed {
                    trailers.remove(name);
                }
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if this.inner.is_end_stream() {
                    this.faults.read.store(true, Release);
                }
                this.take(frame)
            }
            Poll::Ready(Some(Err(error))) => this.fail(Fault::Broken, error.into()),
            Poll::Ready(None) => {
                this.ended = true;
                this.faults.read.store(true, Release);
                Poll::Ready(None)
            }
            Poll::Pending => {
                let since = *this.waiting_since.get_or_insert_with(Instant::now);
                let deadline = this.deadline(since);
                ready!(this.alarm.poll(cx, deadline));
                this.fail(Fault::TooSlow, Error::ConnectionReadTimeout)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.ended { SizeHint::with_exact(0) } else { self.inner.size_hint() }
    }
}
