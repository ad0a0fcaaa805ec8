//! The protocol seen from beside: counts requests and answers as their bytes pass, and remembers
//! the transaction status that the server reports with every `ReadyForQuery`.
//!
//! The client library keeps both to itself. With them, giving a connection back costs no question
//! to the server. Knows message framing (PostgreSQL manual, "Message Formats"), no contents.

use std::io;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

/// The longest message taken from a server. A guest chooses its queries: without this bound one
/// `repeat('x', 1000000000)` would be a gigabyte in the host.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// What has passed on one connection.
#[derive(Debug)]
pub(crate) struct Wire {
    /// `Sync` and `Query` messages written; each is answered by one `ReadyForQuery`.
    asked: AtomicU64,
    ready: AtomicU64,
    /// `I` idle, `T` in a transaction, `E` in a failed one.
    status: AtomicU8,
    /// When `asked` or `ready` last moved or somebody got it, in milliseconds since the process
    /// began to count.
    moved_ms: AtomicU64,
    too_long: AtomicBool,
    revoked: AtomicBool,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self {
            // The server's first `ReadyForQuery` answers the start-up message.
            asked: AtomicU64::new(1),
            ready: AtomicU64::new(0),
            status: AtomicU8::new(b'I'),
            moved_ms: AtomicU64::new(now_ms()),
            too_long: AtomicBool::new(false),
            revoked: AtomicBool::new(false),
        }
    }

    /// Whether every request written has been answered to its end.
    pub(crate) fn is_settled(&self) -> bool {
        self.asked.load(Ordering::Acquire) == self.ready.load(Ordering::Acquire)
    }

    /// Whether a transaction is open, sound or failed.
    pub(crate) fn in_transaction(&self) -> bool {
        self.status.load(Ordering::Acquire) != b'I'
    }

    /// Somebody has it from now on: the time before is not theirs.
    pub(crate) fn handed_out(&self) {
        self.moved();
    }

    /// How long nothing has begun or ended here.
    pub(crate) fn still_for(&self) -> Duration {
        let moved = self.moved_ms.load(Ordering::Relaxed);
        Duration::from_millis(now_ms().saturating_sub(moved))
    }

    pub(crate) fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }

    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Whether the connection was given up because of a message beyond [`MESSAGE_BYTES_MAX`].
    pub(crate) fn was_too_long(&self) -> bool {
        self.too_long.load(Ordering::Acquire)
    }

    fn moved(&self) {
        self.moved_ms.store(now_ms(), Ordering::Relaxed);
    }
}

fn now_ms() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Cuts a byte stream into messages: a tag byte, then a length that counts itself.
#[derive(Debug)]
struct Frames {
    header: [u8; 5],
    filled: usize,
    body_left: usize,
    tagged: bool,
}

impl Frames {
    fn new(tagged: bool) -> Self {
        Self { header: [0; 5], filled: 0, body_left: 0, tagged }
    }

    /// Calls `begins(tag, length)` at each header and `body(tag, first bytes)` at each piece of a
    /// body. Stops when `begins` refuses.
    fn feed(
        &mut self,
        mut bytes: &[u8],
        mut begins: impl FnMut(u8, usize) -> bool,
        mut body: impl FnMut(u8, &[u8]),
    ) -> bool {
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let n = self.body_left.min(bytes.len());
                body(self.header[0], &bytes[..n]);
                self.body_left -= n;
                bytes = &bytes[n..];
                continue;
            }
            // The start-up message has no tag; its header is read as if a zero stood before it.
            if self.filled == 0 && !self.tagged {
                (self.header[0], self.filled) = (0, 1);
            }
            let n = (5 - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + n].copy_from_slice(&bytes[..n]);
            self.filled += n;
            bytes = &bytes[n..];
            if self.filled == 5 {
                let [tag, length @ ..] = self.header;
                let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                (self.filled, self.tagged) = (0, true);
                self.body_left = length.saturating_sub(4);
                if !begins(tag, length) {
                    return false;
                }
            }
        }
        true
    }
}

/// A stream to a server, watched in both directions.
pub(crate) struct Tap<S> {
    stream: S,
    wire: std::sync::Arc<Wire>,
    incoming: Frames,
    outgoing: Frames,
}

impl<S> Tap<S> {
    pub(crate) fn new(stream: S, wire: std::sync::Arc<Wire>) -> Self {
        Self { stream, wire, incoming: Frames::new(true), outgoing: Frames::new(false) }
    }

    fn saw_incoming(&mut self, bytes: &[u8]) -> io::Result<()> {
        let wire = &self.wire;
        let sane = self.incoming.feed(
            bytes,
            |_, length| length <= MESSAGE_BYTES_MAX,
            |tag, body| {
                if let (b'Z', [status]) = (tag, body) {
                    wire.status.store(*status, Ordering::Release);
                    wire.ready.fetch_add(1, Ordering::AcqRel);
                    wire.moved();
                }
            },
        );
        if sane {
            return Ok(());
        }
        wire.too_long.store(true, Ordering::Release);
        Err(io::Error::new(io::ErrorKind::InvalidData, "a row is longer than the host takes"))
    }

    fn saw_outgoing(&mut self, bytes: &[u8]) {
        let wire = &self.wire;
        let begins = |tag, _| {
            if matches!(tag, b'S' | b'Q' | b'F') {
                wire.asked.fetch_add(1, Ordering::AcqRel);
                wire.moved();
            }
            true
        };
        self.outgoing.feed(bytes, begins, |_, _| {});
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.saw_incoming(&buffer.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.saw_outgoing(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Tap<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STARTUP: &[u8] = b"\0\0\0\x08\0\x03\0\0";
    const SYNC: &[u8] = b"S\0\0\0\x04";
    const READY_IN_TRANSACTION: &[u8] = b"Z\0\0\0\x05T";

    fn tap() -> Tap<()> {
        Tap::new((), std::sync::Arc::new(Wire::new()))
    }

    proptest! {
        #[test]
        fn counts_do_not_depend_on_how_the_bytes_are_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..10),
            cut in 1usize..9,
        ) {
            let mut outgoing = STARTUP.to_vec();
            let mut incoming = b"Z\0\0\0\x05I".to_vec();
            for body in &bodies {
                outgoing.push(b'P');
                outgoing.extend((body.len() as u32 + 4).to_be_bytes());
                outgoing.extend(body);
                outgoing.extend(SYNC);
                incoming.push(b'D');
                incoming.extend((body.len() as u32 + 4).to_be_bytes());
                incoming.extend(body);
                incoming.extend(READY_IN_TRANSACTION);
            }
            let mut tap = tap();
            outgoing.chunks(cut).for_each(|bytes| tap.saw_outgoing(bytes));
            prop_assert_eq!(tap.wire.asked.load(Ordering::Acquire), 1 + bodies.len() as u64);
            prop_assert!(!tap.wire.is_settled());
            for bytes in incoming.chunks(cut) {
                tap.saw_incoming(bytes).unwrap();
            }
            prop_assert!(tap.wire.is_settled());
            prop_assert!(tap.wire.in_transaction());
        }
    }

    #[test]
    fn a_message_beyond_the_bound_is_refused_at_its_header() {
        let mut tap = tap();
        let length = (MESSAGE_BYTES_MAX as u32 + 1).to_be_bytes();
        let refused = tap.saw_incoming(&[&b"D"[..], &length].concat());
        assert!(refused.is_err() && tap.wire.was_too_long());
    }
}
