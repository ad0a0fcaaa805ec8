//! Export of spans over OTLP/HTTP with protobuf bodies, to the collector that the OpenTelemetry
//! variables name. Bounded everywhere: a collector that is slow or away costs spans, never calls.
//! Sources: OTLP 1.x (opentelemetry-proto, docs/specification.md) and the OpenTelemetry
//! specification's "Environment Variable Specification" and "OTLP Exporter Configuration".

mod proto;
mod send;
mod settings;

pub use settings::Settings;

use crate::Error;
use crate::fields::Fields;
use crate::trace::TraceParent;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// Spans waiting for export; the specification's default (`OTEL_BSP_MAX_QUEUE_SIZE`) is 2048.
const QUEUE_SPANS_MAX: usize = 4_096;

/// A span that has closed.
pub(crate) struct Finished {
    pub(crate) place: TraceParent,
    /// Eight bytes, or none for the first span of a trace.
    pub(crate) parent_span_id: Vec<u8>,
    pub(crate) name: String,
    pub(crate) began: SystemTime,
    pub(crate) ended: SystemTime,
    pub(crate) fields: Fields,
}

enum Order {
    Span(Box<Finished>),
    Flush(std::sync::mpsc::SyncSender<()>),
}

/// Where finished spans are handed in; never waits.
#[derive(Clone)]
pub(crate) struct Queue {
    orders: mpsc::Sender<Order>,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    pub(crate) fn send(&self, span: Finished) {
        if self.orders.try_send(Order::Span(Box::new(span))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The exporting thread, with a small runtime of its own: it must live before the host's runtime
/// does and after it is gone.
pub(crate) struct Exporter {
    queue: Queue,
}

impl Exporter {
    pub(crate) fn start(settings: &Settings) -> Result<Self, Error> {
        let thread = |source| Error::Thread { name: "otlp", source };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(thread)?;
        let (orders, receiver) = mpsc::channel(QUEUE_SPANS_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let export = send::export(settings.clone(), receiver, dropped.clone());
        std::thread::Builder::new()
            .name("otlp".into())
            .spawn(move || runtime.block_on(export))
            .map_err(thread)?;
        Ok(Self { queue: Queue { orders, dropped } })
    }

    pub(crate) fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// Returns when everything queued before is exported, or after `wait`.
    pub(crate) fn flush(&self, wait: Duration) {
        let (done, exported) = sync_channel(1);
        if self.queue.orders.try_send(Order::Flush(done)).is_ok() {
            // Too late is no error: the collector is away, and that was logged.
            let _in_time = exported.recv_timeout(wait);
        }
    }
}
