//! Stands between an HTTP/1 socket and hyper: bytes pass only while the scanner has nothing
//! against them, and heads and silences are timed. A refusal surfaces once everything that was
//! asked before it has been answered. Refuses to answer itself: it leaves a [`Verdict`].

use crate::config::HttpLimits;
use crate::exchanges::Exchanges;
use crate::head_scan::{HeadLimits, Refused, Scanner};
use crate::wire::{Alarm, Wire};
use nexus_runtime::Problem;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Why the guard ended a connection.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// The next request is refused with this problem.
    Refused(Problem),
    /// A head was begun and not finished in time.
    HeadTimeout,
    /// Nothing was asked for too long.
    Idle,
}

/// The guarded side of one HTTP/1 connection.
pub(crate) struct HeadGuard<S> {
    wire: Wire<S>,
    scanner: Scanner,
    exchanges: Arc<Exchanges>,
    head_timeout: Duration,
    keep_alive: Duration,
    refused: Option<Refused>,
    verdict: Option<Verdict>,
    /// When the current silence or head began, and after how many heads.
    waiting: Option<(Instant, u64, bool)>,
    alarm: Alarm,
    /// Everything that hyper wrote has left its buffer.
    flushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> HeadGuard<S> {
    pub(crate) fn new(wire: Wire<S>, limits: &HttpLimits, exchanges: Arc<Exchanges>) -> Self {
        let head = HeadLimits {
            bytes: limits.head_bytes_max,
            headers: limits.headers_max,
            url_bytes: limits.url_bytes_max,
        };
        Self {
            wire,
            scanner: Scanner::new(head),
            exchanges,
            head_timeout: limits.head_timeout,
            keep_alive: limits.keep_alive,
            refused: None,
            verdict: None,
            waiting: None,
            alarm: Alarm::default(),
            flushed: true,
        }
    }

    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// Something on this connection was refused, in a head or in a body.
    pub(crate) fn has_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// The client may still be sending what nobody will read.
    pub(crate) fn has_unread_input(&self) -> bool {
        self.refused.is_some() || !self.scanner.is_between()
    }

    pub(crate) fn into_wire(self) -> Wire<S> {
        self.wire
    }

    fn answered_all(&self) -> bool {
        self.exchanges.ended() >= self.scanner.heads() && self.flushed
    }

    /// A refused head waits for the answers before it; a refused body is an error at once.
    fn surface(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(refused) = &self.refused else {
            return Poll::Ready(Ok(()));
        };
        if !refused.in_body {
            self.exchanges.register(cx.waker());
            if !self.answered_all() {
                return Poll::Pending;
            }
            self.verdict = Some(Verdict::Refused(refused.problem.clone()));
        }
        let error = io::Error::new(io::ErrorKind::InvalidData, refused.problem.detail.to_string());
        Poll::Ready(Err(error))
    }

    /// The client keeps us waiting: for how much longer?
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let idle = self.scanner.is_between();
        // Inside a body the body's own clock runs; while we owe an answer, the call's.
        if !self.scanner.is_in_head() || idle && !self.answered_all() {
            self.waiting = None;
            return Poll::Pending;
        }
        let place = (self.scanner.heads(), idle);
        let since = match self.waiting {
            Some((since, heads, was_idle)) if (heads, was_idle) == place => since,
            _ => {
                let now = Instant::now();
                self.waiting = Some((now, place.0, place.1));
                now
            }
        };
        // A client that never asked anything gets no patience for asking again.
        let fresh = self.scanner.heads() == 0;
        let patience = if idle && !fresh { self.keep_alive } else { self.head_timeout };
        ready!(self.alarm.poll(cx, since + patience));
        self.verdict = Some(if idle { Verdict::Idle } else { Verdict::HeadTimeout });
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for HeadGuard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.refused.is_some() {
            return this.surface(cx);
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.wire).poll_read(cx, buf) {
            // Whatever the clock was about to say: the client spoke in time.
            Poll::Ready(Ok(())) => this.verdict = None,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return this.wait(cx),
        }
        let Err(refused) = this.scanner.scan(&buf.filled()[before..]) else {
            return Poll::Ready(Ok(()));
        };
        let sound = refused.sound;
        buf.set_filled(before + sound);
        this.refused = Some(refused);
        if sound > 0 { Poll::Ready(Ok(())) } else { this.surface(cx) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeadGuard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.flushed = false;
        Pin::new(&mut self.wire).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.flushed = false;
        Pin::new(&mut self.wire).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.wire).poll_flush(cx))?;
        self.flushed = true;
        if self.refused.is_some() {
            self.exchanges.wake();
        } else if self.scanner.is_between() && self.wait(cx).is_ready() {
            // The silence begins here: hyper has asked for bytes before, and does not ask again
            // until there are some. If it is over at once, the next read shall say so.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// Nothing yet: the connection may have a last word, and shuts the wire down itself.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
