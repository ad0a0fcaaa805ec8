//! JSON lines: `time`, `level`, `target`, `message`, then the call's `request_id`, `component` and
//! `trace_id` wherever one is in progress, then the event's own fields.

use crate::fields::Fields;
use crate::ring;
use crate::server_span;
use crate::span::SpanRecord;
use crate::writer::Sink;
use jiff::Timestamp;
use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
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
        let fields = Fields::of(|visitor| event.record(visitor));
        let metadata = event.metadata();
        self.sink.tell(SystemTime::now(), |line| {
            line.put_text("level", level(*metadata.level()));
            line.put_text("target", metadata.target());
            if let Some(message) = fields.text("message") {
                line.put_text("message", message);
            }
            for name in OF_THE_CALL {
                match fields.text(name) {
                    Some(text) => line.put_text(name, text),
                    None => inherit(&context, event, name, line),
                }
            }
            for (name, value) in fields.iter() {
                if !line.has(name) && !matches!(value.as_text(), Some("")) {
                    line.put(name, |out| value.write_json(out));
                }
            }
        });
        ring::keep(fields, event, &context);
    }
}

impl Sink {
    /// Writes one line, of what happened `at` a time.
    pub(crate) fn tell(&self, at: SystemTime, say: impl FnOnce(&mut Line)) {
        let mut line = Line::new(SCRATCH.take(), at);
        say(&mut line);
        let bytes = line.finish();
        self.send(&bytes);
        SCRATCH.set(bytes);
    }
}

/// More than a line takes; a longer one gives its room back.
const SCRATCH_BYTES_KEPT: usize = 4 << 10;

thread_local! {
    /// Room for the next line.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// A second of Unix time, and how lines begin in it.
    static SECOND: Cell<(u64, [u8; BEGIN])> = const { Cell::new((0, *b"1970-01-01T00:00:00.")) };
}

/// Bytes of a time up to its fraction.
const BEGIN: usize = 20;

/// One JSON object in the order in which it is told: a person reads these lines, too.
pub(crate) struct Line {
    bytes: Vec<u8>,
    /// Which of [`HEAD`] are in it.
    head: u8,
}

/// What the host says of every line, beside its `time`; nobody's own field is told under these
/// names as well.
const HEAD: [&str; 7] = ["time", "level", "target", "message", "request_id", "component", TRACE_ID];

impl Line {
    /// A line that has its time: RFC 3339, UTC, microseconds.
    fn new(mut bytes: Vec<u8>, at: SystemTime) -> Self {
        bytes.clear();
        bytes.shrink_to(SCRATCH_BYTES_KEPT);
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        bytes.extend_from_slice(b"{\"time\":\"");
        bytes.extend_from_slice(&begin_of(since.as_secs()));
        bytes.extend_from_slice(&six_digits(since.subsec_micros()));
        bytes.extend_from_slice(b"Z\"");
        Self { bytes, head: 1 }
    }

    /// Whether it says already what only one may say.
    fn has(&self, name: &str) -> bool {
        let at = HEAD.iter().position(|own| *own == name);
        at.is_some_and(|at| self.head & 1 << at != 0)
    }

    /// Adds a member.
    fn put(&mut self, name: &'static str, value: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.push(b',');
        write_text(&mut self.bytes, name);
        self.bytes.push(b':');
        value(&mut self.bytes);
    }

    /// Adds a member whose name is written already, as `,"name":`.
    pub(crate) fn put_named(&mut self, name: &'static str, value: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.extend_from_slice(name.as_bytes());
        value(&mut self.bytes);
    }

    /// Adds what is written already.
    pub(crate) fn put_known(&mut self, json: &str) {
        self.bytes.extend_from_slice(json.as_bytes());
    }

    /// Adds one of [`HEAD`].
    fn put_text(&mut self, name: &'static str, text: &str) {
        self.head |= HEAD.iter().position(|own| *own == name).map_or(0, |at| 1 << at);
        self.put(name, |out| write_text(out, text));
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(b"}\n");
        self.bytes
    }
}

/// Such as `2026-11-28T16:00:00.`: written once a second, because it takes longer than the rest of
/// a line.
fn begin_of(second: u64) -> [u8; BEGIN] {
    let (of, begin) = SECOND.get();
    if of == second {
        return begin;
    }
    let at = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
    let text = at.unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.").to_string();
    // A year of five digits is not told.
    let begin = text.as_bytes().try_into().unwrap_or(begin);
    SECOND.set((second, begin));
    begin
}

fn six_digits(mut number: u32) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// Most texts are as JSON takes them, and are copied.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    if !is_plain(text.as_bytes()) {
        // Writing into memory does not fail.
        let _written = serde_json::to_writer(out, text);
        return;
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Whether there is nothing that a text of JSON does not hold as it is: control characters, quotes
/// and backslashes (RFC 8259 section 7). By eight bytes, the last of which may have been seen
/// before, because each line has some twenty texts.
fn is_plain(text: &[u8]) -> bool {
    let Some(end) = text.last_chunk() else {
        let is_plain = |byte: &u8| *byte >= b' ' && !matches!(byte, b'"' | b'\\');
        return text.iter().all(is_plain);
    };
    is_plain_word(end) && text.as_chunks().0.iter().all(is_plain_word)
}

fn is_plain_word(word: &[u8; 8]) -> bool {
    /// In each byte the lowest bit.
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let word = u64::from_ne_bytes(*word);
    // Each subtraction borrows from the highest bit of a byte that is less, which is told from one
    // that had this bit by `!`.
    let less = |word: u64, than: u8| word.wrapping_sub(ONES * u64::from(than)) & !word;
    let is = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    (less(word, b' ') | is(b'"') | is(b'\\')) & (ONES << 7) == 0
}

/// Adds the value of `name`, one of [`OF_THE_CALL`], in the innermost span that has one.
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
    let Some(call) = server_span::inherited() else { return };
    match name {
        TRACE_ID => line.put_text(name, call.own.trace_digits().as_str()),
        "request_id" => line.put_text(name, &call.request_id),
        _ => call.component.iter().for_each(|component| line.put_text(name, component)),
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
    fn a_text_is_written_as_json_writes_it() {
        let plain = "abcdefghijklmnopqrst\u{7f}é€";
        let every = (0..=u8::MAX).map(char::from);
        for (at, character) in every.flat_map(|it| (0..20).map(move |at| (at, it))) {
            let mut text = plain.to_owned();
            text.insert(at, character);
            let mut written = Vec::new();
            super::write_text(&mut written, &text);
            let written = String::from_utf8(written).unwrap();
            assert_eq!(written, serde_json::to_string(&text).unwrap());
        }
    }

    #[test]
    fn a_line_begins_with_its_time() {
        for (second, begin) in [
            (0, "1970-01-01T00:00:00."),
            (951_782_400, "2000-02-29T00:00:00."),
            (1_795_881_599, "2026-11-28T15:59:59."),
            (1_795_881_599, "2026-11-28T15:59:59."),
            (1_795_881_600, "2026-11-28T16:00:00."),
        ] {
            assert_eq!(super::begin_of(second), begin.as_bytes());
        }
        assert_eq!(&super::six_digits(42), b"000042");
        assert_eq!(&super::six_digits(999_999), b"999999");
    }

    #[test]
    fn nobodys_field_is_told_under_a_name_of_the_lines_own() {
        let lines = lines_of("info", || {
            tracing::info!(time = "never", level = 7, trace_id = 5, component = "a", "said");
        });
        let line = &lines[0];
        assert!(line["time"].as_str().unwrap().starts_with("20"), "{line}");
        assert_eq!((&line["level"], &line["trace_id"]), (&json!("info"), &json!(5)));
        assert_eq!(line.as_object().unwrap().len(), 6);
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
