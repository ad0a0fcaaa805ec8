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

    /// The next response, with a body of `content-length` (none when it is absent).
    ///
    /// # Panics
    ///
    /// When the connection ends within it, or nothing comes.
    pub async fn response(&mut self) -> String {
        let head = loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.more().await, "the connection ended: {:?}", self.so_far());
        };
        let text = String::from_utf8_lossy(&self.read[..head]).to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length = length.map_or(0, |length| length.trim().parse().expect("a number"));
        while self.read.len() < head + length {
            assert!(self.more().await, "the connection ended: {:?}", self.so_far());
        }
        self.take(head + length)
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
