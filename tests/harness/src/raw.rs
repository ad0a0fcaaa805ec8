//! A bare connection, for clients that break the rules.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longer than any limit of the host that a test waits for.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Bytes out, bytes in.
pub struct Raw {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    /// # Panics
    ///
    /// When nobody listens.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        Self { stream, read: Vec::new() }
    }

    /// Sends all of it; false when the other side has gone away.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Everything until the other side closes or resets the connection.
    ///
    /// # Panics
    ///
    /// When it does neither.
    pub async fn read_to_end(&mut self) -> String {
        while self.more().await {}
        self.take(self.read.len())
    }

    /// The next response: its head as it came, then its body (of `content-length`, or chunked and
    /// put together; none when neither is said).
    ///
    /// # Panics
    ///
    /// When the connection ends within it, or nothing comes.
    pub async fn response(&mut self) -> String {
        let head = self.until(b"\r\n\r\n").await;
        let lower = head.to_lowercase();
        let field = |name: &str| {
            let line = lower.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|value| value.trim().to_owned())
        };
        if field("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            return head + &self.chunks().await;
        }
        let length = field("content-length");
        let length = length.map_or(0, |length| length.parse().expect("a number of bytes"));
        head + &self.exactly(length).await
    }

    /// A chunked body (RFC 9112 section 7.1), without trailers.
    async fn chunks(&mut self) -> String {
        let mut body = String::new();
        loop {
            let size = self.until(b"\r\n").await;
            let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
            let chunk = self.exactly(size + 2).await;
            if size == 0 {
                return body;
            }
            body += chunk.trim_end_matches("\r\n");
        }
    }

    async fn until(&mut self, end: &[u8]) -> String {
        loop {
            if let Some(start) = find(&self.read, end) {
                return self.take(start + end.len());
            }
            assert!(self.more().await, "the connection ended: {:?}", self.so_far());
        }
    }

    async fn exactly(&mut self, length: usize) -> String {
        while self.read.len() < length {
            assert!(self.more().await, "the connection ended: {:?}", self.so_far());
        }
        self.take(length)
    }

    /// No more will be sent; the other direction stays open.
    pub async fn end_of_input(&mut self) {
        // Already closed by the other side is as good.
        let _closed = self.stream.shutdown().await;
    }

    /// Waits for more bytes; false at the end of the connection.
    async fn more(&mut self) -> bool {
        let read = tokio::time::timeout(SILENCE_MAX, self.stream.read_buf(&mut self.read)).await;
        let read = read.unwrap_or_else(|_| panic!("silence after {:?}", self.so_far()));
        // A reset ends the connection like an orderly close does.
        read.is_ok_and(|n| n > 0)
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }

    fn take(&mut self, length: usize) -> String {
        let taken: Vec<u8> = self.read.drain(..length).collect();
        String::from_utf8_lossy(&taken).into_owned()
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}
