//! One thread writes log lines, so that a slow reader of stderr never stops a request. What does
//! not fit in the queue is dropped and counted, and the count is written as a line of its own.

use crate::Error;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use tracing_subscriber::fmt::MakeWriter;

/// Lines waiting for the writer: some megabytes when each is long, a second of heavy logging.
const QUEUE_LINES_MAX: usize = 8_192;

/// Lines that come within this time are written together. A writer that went to sleep between two
/// lines would have to be woken by whoever logs, and woke a shard's thread each time.
const GATHER: Duration = Duration::from_millis(2);

enum Order {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Where lines are handed in; clones share one writer.
#[derive(Clone)]
pub(crate) struct Sink {
    orders: SyncSender<Order>,
    dropped: Arc<AtomicU64>,
}

impl Sink {
    pub(crate) fn start(out: impl Write + Send + 'static) -> Result<Self, Error> {
        let (orders, queue) = sync_channel(QUEUE_LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = dropped.clone();
        std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || write_all(&queue, &counter, out))
            .map_err(|source| Error::Thread { name: "log-writer", source })?;
        Ok(Self { orders, dropped })
    }

    /// Queues one line, its line feed included.
    pub(crate) fn send(&self, line: Vec<u8>) {
        if self.orders.try_send(Order::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns when everything queued before is written, or after `wait`.
    pub(crate) fn flush(&self, wait: Duration) {
        let end = Instant::now() + wait;
        let (done, written) = sync_channel(1);
        let mut order = Order::Flush(done);
        // A full queue is being worked off; the end of a process may wait for that a little.
        while let Err(TrySendError::Full(returned)) = self.orders.try_send(order) {
            if Instant::now() >= end {
                return;
            }
            order = returned;
            std::thread::sleep(Duration::from_millis(1));
        }
        // Too late is no error: the process ends, and its reader has been slow for seconds.
        let _in_time = written.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

fn write_all(queue: &Receiver<Order>, dropped: &AtomicU64, out: impl Write) {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    while let Ok(first) = queue.recv() {
        if matches!(first, Order::Line(_)) {
            std::thread::sleep(GATHER);
        }
        let waiting = std::iter::from_fn(|| queue.try_recv().ok());
        for order in std::iter::once(first).chain(waiting) {
            let lost = dropped.swap(0, Ordering::Relaxed);
            // stderr may be closed; then there is nobody left to tell.
            if lost > 0 {
                let _written = writeln!(out, "{}", lost_line(lost));
            }
            match order {
                Order::Line(line) => {
                    let _written = out.write_all(&line);
                }
                Order::Flush(done) => {
                    let _flushed = out.flush();
                    let _waiter_gave_up = done.send(());
                }
            }
        }
        let _flushed = out.flush();
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
        let line = crate::masks::masked(&text).into_owned().into_bytes();
        self.sink.send(line);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Mutex;

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
            sink.send(format!("{n}\n").into_bytes());
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
        for _ in 0..QUEUE_LINES_MAX * 3 {
            sink.send(vec![b'x'; 64]);
        }
        drop(release);
        sink.flush(Duration::from_secs(5));
        sink.send(b"end\n".to_vec());
        sink.flush(Duration::from_secs(5));
        assert!(page.text().contains("log lines were dropped"), "the loss is told");
    }
}
