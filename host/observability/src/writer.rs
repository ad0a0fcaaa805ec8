//! One thread writes log lines, so that a slow reader of stderr never stops a request. What does
//! not fit in the queue is dropped and counted, and the count is written as a line of its own.

use crate::Error;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes of lines that wait for the writer: a second of heavy logging.
const WAITING_BYTES_MAX: usize = 4 << 20;

/// Room that is kept for the next lines, once there were more.
const WAITING_BYTES_KEPT: usize = 256 << 10;

/// Lines that come within this time are written together. A writer that went to sleep between two
/// lines would have to be woken by whoever logs, and woke a shard's thread each time.
const GATHER: Duration = Duration::from_millis(5);

/// Where lines are handed in; clones share one writer.
#[derive(Clone)]
pub(crate) struct Sink(Arc<Ended>);

/// Ends the writer with the last of its sinks.
struct Ended(Arc<Desk>);

#[derive(Default)]
struct Desk {
    waiting: Mutex<Waiting>,
    came: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines that found no room.
    lost: u64,
    /// Bytes that were handed in, and those of them that are written.
    bytes_in: u64,
    bytes_out: u64,
    /// Nobody comes any more.
    ended: bool,
    /// Somebody waits for the lines to be written.
    hurry: bool,
    /// The writer has to be woken.
    asleep: bool,
}

impl Desk {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.waiting().ended = true;
        self.0.came.notify_one();
    }
}

impl Sink {
    pub(crate) fn start(out: impl Write + Send + 'static) -> Result<Self, Error> {
        let desk = Arc::new(Desk::default());
        let own = desk.clone();
        std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || write_all(&own, out))
            .map_err(|source| Error::Thread { name: "log-writer", source })?;
        Ok(Self(Arc::new(Ended(desk))))
    }

    /// Queues one line, its line feed included.
    pub(crate) fn send(&self, line: &[u8]) {
        let desk = &self.0.0;
        let mut waiting = desk.waiting();
        if waiting.lines.len() + line.len() > WAITING_BYTES_MAX {
            waiting.lost += 1;
            return;
        }
        waiting.lines.extend_from_slice(line);
        waiting.bytes_in += line.len() as u64;
        let asleep = std::mem::take(&mut waiting.asleep);
        drop(waiting);
        if asleep {
            desk.came.notify_one();
        }
    }

    /// Returns when everything queued before is written, or after `wait`.
    pub(crate) fn flush(&self, wait: Duration) {
        let end = Instant::now() + wait;
        let desk = &self.0.0;
        let mut waiting = desk.waiting();
        let all = waiting.bytes_in;
        // Too late is no error: the process ends, and its reader has been slow for seconds.
        while waiting.bytes_out < all && Instant::now() < end {
            waiting.hurry = true;
            desk.came.notify_one();
            let left = end.saturating_duration_since(Instant::now());
            let woken = desk.written.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn write_all(desk: &Desk, mut out: impl Write) {
    let mut lines = Vec::new();
    loop {
        let mut waiting = desk.waiting();
        while waiting.lines.is_empty() && waiting.lost == 0 && !waiting.ended {
            waiting.asleep = true;
            waiting = desk.came.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.asleep = false;
        let gathered =
            desk.came.wait_timeout_while(waiting, GATHER, |now| !now.ended && !now.hurry);
        waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
        waiting.hurry = false;
        std::mem::swap(&mut lines, &mut waiting.lines);
        let lost = std::mem::take(&mut waiting.lost);
        let ended = waiting.ended;
        drop(waiting);
        let bytes = lines.len() as u64;
        if lost > 0 {
            lines.extend_from_slice(lost_line(lost).as_bytes());
        }
        // stderr may be closed; then there is nobody left to tell.
        let _written = out.write_all(&lines).and_then(|()| out.flush());
        lines.clear();
        lines.shrink_to(WAITING_BYTES_KEPT);
        let mut waiting = desk.waiting();
        waiting.bytes_out += bytes;
        if ended && waiting.lines.is_empty() {
            return;
        }
        drop(waiting);
        desk.written.notify_all();
    }
}

/// Valid JSON, so that a reader of JSON lines is not surprised; a person reads it all the same.
fn lost_line(lost: u64) -> String {
    serde_json::json!({
        "level": "warn",
        "target": "nexus_observability",
        "message": format!("{lost} log lines were dropped because nobody read them in time"),
    })
    .to_string()
        + "\n"
}

/// One line under construction, for `tracing_subscriber`'s own formats.
pub(crate) struct Line {
    sink: Sink,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { sink: self.clone(), bytes: Vec::new() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&self.bytes);
        self.sink.send(crate::masks::masked(&text).as_bytes());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, sync_channel};

    /// A writer whose bytes a test can read.
    #[derive(Clone, Default)]
    pub(crate) struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_the_order_they_were_sent() {
        let page = Page::default();
        let sink = Sink::start(page.clone()).unwrap();
        for n in 0..100 {
            sink.send(format!("{n}\n").as_bytes());
        }
        sink.flush(Duration::from_secs(5));
        let expected: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert_eq!(page.text(), expected);
    }

    #[test]
    fn a_reader_that_stalls_costs_lines_and_never_the_sender() {
        struct Stalled(Receiver<()>, Page);
        impl Write for Stalled {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _released = self.0.recv();
                self.1.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, gate) = sync_channel(0);
        let page = Page::default();
        let sink = Sink::start(Stalled(gate, page.clone())).unwrap();
        for _ in 0..WAITING_BYTES_MAX * 3 / 1024 {
            sink.send(&[b'x'; 1024]);
        }
        drop(release);
        sink.flush(Duration::from_secs(5));
        sink.send(b"end\n");
        sink.flush(Duration::from_secs(5));
        assert!(page.text().contains("log lines were dropped"), "the loss is told");
    }
}
