//! What guests print: split into lines, bounded in length and rate, handed to `tracing` under the
//! target `guest`. A flood is counted, not kept.

use crate::manifest::ComponentId;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Longer lines are cut: a log line is not a document.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Lines per second and component; what a person could never read anyway is dropped.
const LINES_PER_SECOND_MAX: u32 = 1_000;

/// The rate limit shared by all instances of one component.
pub(crate) struct LogGate {
    start: Instant,
    second: AtomicU64,
    lines: AtomicU32,
    dropped: AtomicU64,
}

impl LogGate {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            second: AtomicU64::new(0),
            lines: AtomicU32::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn admits(&self) -> bool {
        let now = self.start.elapsed().as_secs();
        if self.second.swap(now, Ordering::Relaxed) != now {
            self.lines.store(0, Ordering::Relaxed);
        }
        let admitted = self.lines.fetch_add(1, Ordering::Relaxed) < LINES_PER_SECOND_MAX;
        if !admitted {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }
}

/// One guest stream (stdout or stderr) as a sink of lines.
#[derive(Clone)]
pub(crate) struct GuestLog {
    component: ComponentId,
    stream: &'static str,
    gate: Arc<LogGate>,
}

impl GuestLog {
    pub(crate) fn new(component: ComponentId, stream: &'static str, gate: Arc<LogGate>) -> Self {
        Self { component, stream, gate }
    }

    fn line(&self, line: &[u8]) {
        if line.is_empty() || !self.gate.admits() {
            return;
        }
        let text = String::from_utf8_lossy(line);
        let component = self.component.as_str();
        let json = text.starts_with('{').then(|| serde_json::from_str::<GuestLine>(&text).ok());
        match json.flatten() {
            Some(line) => {
                let request_id = line.request_id.as_deref().unwrap_or_default();
                let message = line.message.as_deref().unwrap_or(&text);
                match line.level.as_deref() {
                    Some("error" | "ERROR") => {
                        tracing::error!(target: "guest", component, request_id, "{message}");
                    }
                    Some("warn" | "WARN") => {
                        tracing::warn!(target: "guest", component, request_id, "{message}");
                    }
                    Some("debug" | "DEBUG" | "trace" | "TRACE") => {
                        tracing::debug!(target: "guest", component, request_id, "{message}");
                    }
                    _ => tracing::info!(target: "guest", component, request_id, "{message}"),
                }
            }
            None => tracing::info!(target: "guest", component, stream = self.stream, "{text}"),
        }
    }
}

/// The shape the SDK logs in; other lines pass as they are.
#[derive(serde::Deserialize)]
struct GuestLine {
    level: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

/// Collects bytes until a line is whole.
struct Lines {
    log: GuestLog,
    partial: Vec<u8>,
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.keep(&bytes[..end]);
            self.log.line(&self.partial);
            self.partial.clear();
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.partial.len();
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.log.line(&self.partial);
    }
}

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines { log: self.clone(), partial: Vec::new() })
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines { log: self.clone(), partial: Vec::new() })
    }
}

impl AsyncWrite for Lines {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}
