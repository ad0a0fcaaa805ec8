//! JSON lines: `time`, `level`, `target`, `message`, then the call's `request_id`, `component` and
//! `trace_id` wherever one is in progress, then the event's own fields.

use crate::fields::Fields;
use crate::ring;
use crate::span::SpanRecord;
use crate::writer::Sink;
use std::cell::Cell;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// What a line says about the call it belongs to.
const OF_THE_CALL: [&str; 3] = ["request_id", "component", TRACE_ID];

const TRACE_ID: &str = "trace_id";

/// Writes lines, and hands them to the ring: their fields are taken down once for both.
pub(crate) struct JsonLines {
    sink: Sink,
}

impl JsonLines {
    pub(crate) fn new(sink: Sink) -> Self {
        Self { sink }
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut line = Line::new(SCRATCH.take());
        line.put_text("time", &now());
        line.put_text("level", level(*metadata.level()));
        line.put_text("target", metadata.target());
        if let Some(message) = fields.text("message") {
            line.put_text("message", message);
        }
        for name in OF_THE_CALL {
            match fields.text(name) {
                Some(text) => line.put_text(name, text),
                None => inherit(&context, event, name, &mut line),
            }
        }
        for (name, value) in fields.iter() {
            if !matches!(value.as_text(), Some("")) {
                line.put(name, |out| value.write_json(out));
            }
        }
        let bytes = line.finish();
        self.sink.send(&bytes);
        SCRATCH.set(bytes);
        ring::keep(fields, event, &context);
    }
}

/// More than a line takes; a longer one gives its room back.
const SCRATCH_BYTES_KEPT: usize = 4 << 10;

thread_local! {
    /// Room for the next line.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// One JSON object in the order in which it is told: a person reads these lines, too.
struct Line {
    bytes: Vec<u8>,
    names: Vec<&'static str>,
}

impl Line {
    fn new(mut room: Vec<u8>) -> Self {
        room.clear();
        room.shrink_to(SCRATCH_BYTES_KEPT);
        Self { bytes: room, names: Vec::with_capacity(16) }
    }

    /// Adds a member, unless there is one of that name.
    fn put(&mut self, name: &'static str, value: impl FnOnce(&mut Vec<u8>)) {
        if self.names.contains(&name) {
            return;
        }
        self.bytes.push(if self.names.is_empty() { b'{' } else { b',' });
        self.names.push(name);
        write_name(&mut self.bytes, name);
        value(&mut self.bytes);
    }

    fn put_text(&mut self, name: &'static str, text: &str) {
        self.put(name, |out| write_text(out, text));
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(b"}\n");
        self.bytes
    }
}

/// Most names are words with dots, which JSON takes as they are.
fn write_name(out: &mut Vec<u8>, name: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    if name.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
    } else {
        write_text(out, name);
        out.push(b':');
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing into memory does not fail.
    let _written = serde_json::to_writer(out, text);
}

/// Adds the value of `name` in the innermost span that has one.
fn inherit<S>(context: &Context<'_, S>, event: &Event<'_>, name: &'static str, line: &mut Line)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    for span in context.event_scope(event).into_iter().flatten() {
        let extensions = span.extensions();
        let Some(record) = extensions.get::<SpanRecord>() else { continue };
        if let (TRACE_ID, Some(place)) = (name, record.place) {
            return line.put_text(name, place.trace_digits().as_str());
        }
        if let Some(text) = record.fields.text(name) {
            return line.put_text(name, text);
        }
    }
}

/// As lines say it.
pub(crate) fn level(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "error",
        tracing::Level::WARN => "warn",
        tracing::Level::INFO => "info",
        tracing::Level::DEBUG => "debug",
        tracing::Level::TRACE => "trace",
    }
}

/// RFC 3339, UTC, microseconds.
fn now() -> String {
    let mut text = String::with_capacity(27);
    // Writing a time into a string fails only for years that need more than four digits.
    let _written = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

#[cfg(test)]
mod tests {
    use crate::writer::Sink;
    use crate::writer::tests::Page;
    use crate::{Format, Settings, TraceParent, call_span, subscriber};
    use serde_json::{Value, json};
    use std::time::Duration;

    fn lines_of(filter: &str, work: impl FnOnce()) -> Vec<Value> {
        let page = Page::default();
        let sink = Sink::start(page.clone()).unwrap();
        let settings = Settings { format: Format::Json, filter: filter.into(), otlp: None };
        let subscriber = subscriber(&settings, false, sink.clone(), None).unwrap();
        tracing::subscriber::with_default(subscriber, work);
        sink.flush(Duration::from_secs(5));
        page.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_inside_a_call_carries_the_call() {
        let own = TraceParent::root();
        let lines = lines_of("info", || {
            let span = call_span("r-1", "GET", &own, None);
            span.record("component", "hello");
            span.in_scope(|| tracing::warn!(attempt = 3, "slow"));
        });
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert_eq!(line["message"], "slow");
        assert_eq!(line["level"], "warn");
        assert_eq!(line["request_id"], "r-1");
        assert_eq!(line["component"], "hello");
        assert_eq!(line["trace_id"], json!(own.trace_id()));
        assert_eq!(line["attempt"], 3);
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn a_guest_line_keeps_its_own_request_id_and_its_control_characters_are_escaped() {
        let lines = lines_of("info", || {
            tracing::info!(target: "guest", component = "hello", request_id = "r-2",
                stream = "stderr", "{}", "two\nlines \u{1b}[31m");
            tracing::info!(target: "guest", component = "hello", request_id = "", "x");
        });
        assert_eq!(lines[0]["target"], "guest");
        assert_eq!(lines[0]["request_id"], "r-2");
        assert_eq!(lines[0]["message"], "two\nlines \u{1b}[31m");
        assert_eq!(lines[1].get("request_id"), None, "an empty id is no id");
    }

    #[test]
    fn the_filter_can_silence_guests_alone() {
        let lines = lines_of("info,guest=error", || {
            tracing::info!(target: "guest", "quiet");
            tracing::info!("heard");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["message"], "heard");
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let source = std::io::Error::other("disk full");
        let error = crate::Error::Thread { name: "x", source };
        let lines = lines_of("info", || {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::error!(error, "failed");
        });
        assert!(lines[0]["error"].as_str().unwrap().contains("disk full"));
    }

    #[test]
    fn a_filter_that_is_not_understood_is_refused() {
        let sink = Sink::start(Page::default()).unwrap();
        let settings = Settings { format: Format::Json, filter: "a=b=c".into(), otlp: None };
        assert!(subscriber(&settings, false, sink, None).is_err());
    }
}
