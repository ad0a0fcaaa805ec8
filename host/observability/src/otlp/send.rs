//! Batches of spans, and what is told when they cannot be delivered.

use super::post::{Failure, deliver};
use super::proto::request;
use super::{Ended, Order, Traces};
use prost::Message as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// The specification's default of `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`.
const BATCH_SPANS_MAX: usize = 512;

/// Takes spans until the last sender is gone.
pub(super) async fn export(
    settings: Traces,
    mut orders: mpsc::Receiver<Order>,
    dropped: Arc<AtomicU64>,
) {
    let mut away = false;
    while let Some(first) = orders.recv().await {
        let (batch, waiter) = collect(first, &mut orders, settings.delay).await;
        if !batch.is_empty() {
            let body = request(&settings.collector, &batch).encode_to_vec();
            let outcome = deliver(&settings.collector, body).await;
            report(&outcome, &mut away, batch.len(), &dropped);
        }
        if let Some(waiter) = waiter {
            let _waiter_gave_up = waiter.send(());
        }
    }
}

/// A full batch, or what came within `delay`, or what came before somebody wants it now.
async fn collect(
    first: Order,
    orders: &mut mpsc::Receiver<Order>,
    delay: Duration,
) -> (Vec<Ended>, Option<std::sync::mpsc::SyncSender<()>>) {
    let end = Instant::now() + delay;
    let mut batch = Vec::new();
    let mut next = Some(first);
    while let Some(order) = next {
        match order {
            Order::Flush(waiter) => return (batch, Some(waiter)),
            Order::Span(span) => batch.push(span),
        }
        if batch.len() >= BATCH_SPANS_MAX {
            break;
        }
        next = timeout_at(end, orders.recv()).await.unwrap_or(None);
    }
    (batch, None)
}

/// One line when the collector goes and one when it is back, not one per batch.
fn report(outcome: &Result<(), Failure>, away: &mut bool, spans: usize, dropped: &AtomicU64) {
    let lost = dropped.swap(0, Ordering::Relaxed);
    match outcome {
        Ok(()) if *away => tracing::info!("the trace collector takes spans again"),
        Ok(()) => {}
        Err(failure) if !*away => {
            tracing::warn!(%failure, spans, "spans could not be exported and are dropped");
        }
        Err(_) => {}
    }
    if lost > 0 && !*away {
        tracing::warn!(spans = lost, "spans were dropped: the queue for export is full");
    }
    *away = outcome.is_err();
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::proto::{ExportTraceServiceRequest, Span, any_value};
    use super::super::{Exporter, Settings, Traces};
    use crate::span::Spans;
    use crate::{TraceParent, call_span};
    use prost::Message as _;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::time::Duration;
    use tracing_subscriber::layer::SubscriberExt as _;

    /// A collector on a free port: takes one POST per entry of `answers`, returns head and body.
    pub(in crate::otlp) fn collector(
        answers: &'static [&'static str],
    ) -> (u16, std::thread::JoinHandle<Vec<(String, Vec<u8>)>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            answers.iter().map(|answer| take_one(&listener, answer)).collect()
        });
        (port, thread)
    }

    fn take_one(listener: &TcpListener, answer: &str) -> (String, Vec<u8>) {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut received = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let n = stream.read(&mut chunk).unwrap();
            received.extend_from_slice(&chunk[..n]);
            let Some(end) = received.windows(4).position(|w| w == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8(received[..end].to_vec()).unwrap().to_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
            if received.len() >= end + 4 + length {
                write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").unwrap();
                return (head, received[end + 4..].to_vec());
            }
        }
    }

    fn settings(port: u16) -> Traces {
        let endpoint = format!("http://127.0.0.1:{port}");
        let settings = Settings::read("1.0.0", |name| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
            "OTEL_EXPORTER_OTLP_HEADERS" => Some("x-scope=tests".into()),
            _ => None,
        });
        settings.unwrap().unwrap().traces.unwrap()
    }

    fn spans_of(body: &[u8]) -> Vec<Span> {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        request.resource_spans[0].scope_spans[0].spans.clone()
    }

    fn text<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
        let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
        match found.value.as_ref()?.value.as_ref()? {
            any_value::Value::Text(text) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn a_sampled_call_reaches_the_collector_with_its_parent_and_its_children() {
        let (port, thread) = collector(&["200 OK"]);
        let exporter = Exporter::start(&settings(port)).unwrap();
        let registry = tracing_subscriber::registry();
        let subscriber = registry.with(Spans::new(Some(exporter.queue())));
        let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let caller = TraceParent::parse(caller).unwrap();
        let own = caller.child();
        tracing::subscriber::with_default(subscriber, || {
            let span = call_span("r-1", "GET", &own, Some(&caller));
            span.record("component", "hello");
            span.record("http.route", "/hello");
            span.in_scope(|| tracing::info_span!("query", otel.kind = "client").in_scope(|| ()));
            span.record("error.type", "trapped");
        });
        exporter.flush(Duration::from_secs(10));
        let (head, body) = thread.join().unwrap().remove(0);
        assert!(head.starts_with("post /v1/traces http/1.1"));
        assert!(head.contains("content-type: application/x-protobuf"));
        assert!(head.contains("x-scope: tests"));
        let spans = spans_of(&body);
        let call = spans.iter().find(|span| span.name == "GET /hello").unwrap();
        let query = spans.iter().find(|span| span.name == "query").unwrap();
        assert_eq!(call.trace_id, own.trace_id_bytes());
        assert_eq!(call.span_id, own.span_id_bytes());
        assert_eq!(call.parent_span_id, caller.span_id_bytes());
        assert_eq!(call.kind, 2);
        assert_eq!(call.status.as_ref().unwrap().code, 2);
        assert_eq!(text(call, "faas.name"), Some("hello"));
        assert_eq!(text(call, "faas.invocation_id"), Some("r-1"));
        assert_eq!(text(call, "faas.trigger"), Some("http"));
        assert_eq!(query.parent_span_id, call.span_id);
        assert_eq!(query.trace_id, call.trace_id);
        assert_eq!(query.kind, 3);
        assert!(call.end_time_unix_nano >= call.start_time_unix_nano);
    }

    #[test]
    fn a_collector_that_is_busy_is_asked_again() {
        let (port, thread) = collector(&["503 Service Unavailable", "200 OK"]);
        let exporter = Exporter::start(&settings(port)).unwrap();
        let registry = tracing_subscriber::registry();
        let subscriber = registry.with(Spans::new(Some(exporter.queue())));
        tracing::subscriber::with_default(subscriber, || {
            let own = TraceParent::from_parts(7, 9, true);
            drop(call_span("r-1", "GET", &own, None));
        });
        exporter.flush(Duration::from_secs(10));
        let taken = thread.join().unwrap();
        assert_eq!(spans_of(&taken[0].1), spans_of(&taken[1].1));
    }

    #[test]
    fn a_call_that_nobody_records_is_not_exported() {
        let exporter = Exporter::start(&settings(1)).unwrap();
        let queue = exporter.queue();
        let free = queue.orders.capacity();
        let subscriber = tracing_subscriber::registry().with(Spans::new(Some(queue.clone())));
        tracing::subscriber::with_default(subscriber, || {
            drop(call_span("r-1", "GET", &TraceParent::from_parts(7, 9, false), None));
        });
        assert_eq!(queue.orders.capacity(), free);
    }
}
