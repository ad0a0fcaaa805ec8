//! Export of spans and numbers over OTLP/HTTP with protobuf bodies, to the collector that the
//! OpenTelemetry variables name. Bounded everywhere: a collector that is slow or away costs spans
//! and readings, never calls. Numbers are those of the page `/metrics`, read when they are due.
//! Sources: OTLP 1.x (opentelemetry-proto, docs/specification.md) and the OpenTelemetry
//! specification's "Environment Variable Specification" and "OTLP Exporter Configuration".

mod conventions;
mod measure;
mod numbers;
mod post;
mod proto;
mod send;
mod settings;

pub use measure::measured_by;
pub(crate) use measure::push;
pub use settings::{Collector, Metrics, Settings, Traces};

use crate::Error;
use crate::fields::Fields;
use crate::trace::TraceParent;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
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

/// A message that somebody has handed to a queue: its creation context.
pub(crate) struct Sent {
    pub(crate) own: TraceParent,
    pub(crate) parent: TraceParent,
    pub(crate) component: String,
    /// A topic, or a kind of job.
    pub(crate) destination: String,
    pub(crate) message: String,
    /// `publish` or `submit`.
    pub(crate) operation: &'static str,
    pub(crate) began: SystemTime,
    pub(crate) ended: SystemTime,
    pub(crate) error: Option<&'static str>,
}

/// Whatever becomes a span.
enum Ended {
    Call(Box<Finished>),
    Sent(Box<Sent>),
}

enum Order {
    Span(Ended),
    Flush(std::sync::mpsc::SyncSender<()>),
}

/// Where finished spans are handed in; never waits.
#[derive(Clone)]
pub(crate) struct Queue {
    orders: mpsc::Sender<Order>,
    dropped: Arc<AtomicU64>,
}

/// Where spans are handed in that are told without `tracing`; set while something exports.
static EXPORTING: OnceLock<Queue> = OnceLock::new();

/// None while nothing is exported.
pub(crate) fn exporting() -> Option<&'static Queue> {
    EXPORTING.get()
}

/// The first exporter of the process takes what is told without `tracing`.
pub(crate) fn export_by(queue: Queue) {
    EXPORTING.get_or_init(|| queue);
}

impl Queue {
    pub(crate) fn send(&self, span: Finished) {
        self.take(Ended::Call(Box::new(span)));
    }

    pub(crate) fn send_sent(&self, sent: Sent) {
        self.take(Ended::Sent(Box::new(sent)));
    }

    fn take(&self, span: Ended) {
        if self.orders.try_send(Order::Span(span)).is_err() {
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
    pub(crate) fn start(settings: &Traces) -> Result<Self, Error> {
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
