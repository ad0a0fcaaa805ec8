//! How calls and lines come into the ring: from spans when they close, from events when they
//! happen.

use super::lanes::Entry;
use super::recent;
use crate::access;
use crate::fields::{Fields, Value, call_name};
use crate::lines::level;
use crate::server_span;
use crate::span::SpanRecord;
use crate::trace::{Digits, TraceParent};
use compact_str::CompactString;
use std::sync::Arc;
use std::time::SystemTime;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Longest text kept of a line: what is longer stands in the log itself.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// One call of a component, over.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub number: u64,
    /// Its span.
    pub(crate) own: TraceParent,
    /// The span that called, in this process or elsewhere.
    pub(crate) parent_id: Option<u64>,
    pub request_id: Arc<str>,
    /// None where a request reached no component.
    pub component: Option<CompactString>,
    pub revision: Option<u64>,
    /// `http`, `queue`, `cron`, `call`, `probe`, `job` or `invoke`.
    pub trigger: CompactString,
    /// Such as `GET /api/catalog/...`.
    pub name: CompactString,
    pub method: Option<CompactString>,
    pub path: Option<CompactString>,
    pub status: Option<u16>,
    pub error: Option<CompactString>,
    pub began: SystemTime,
    pub ended: SystemTime,
    /// What else its span says.
    pub more: Vec<(&'static str, serde_json::Value)>,
}

/// One line of the log.
#[derive(Debug, Clone)]
pub struct Line {
    pub number: u64,
    pub at: SystemTime,
    pub level: &'static str,
    /// `guest`, or a module of the host.
    pub target: &'static str,
    pub message: String,
    pub component: Option<CompactString>,
    pub request_id: Option<CompactString>,
    pub trace_id: Option<CompactString>,
    pub span_id: Option<CompactString>,
    /// The event's own fields.
    pub more: Vec<(&'static str, serde_json::Value)>,
}

impl Invocation {
    /// Its span's: 16 hexadecimal digits.
    pub fn id(&self) -> String {
        self.own.span_id()
    }

    /// 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        self.own.trace_id()
    }

    /// The id of the span that called.
    pub fn parent_id(&self) -> Option<String> {
        self.parent_id.map(|id| Digits::<16>::of(id.into()).as_str().to_owned())
    }

    /// `failed`: the platform's or the component's fault; `refused`: the caller's.
    pub fn outcome(&self) -> &'static str {
        match self.status {
            Some(500..) => "failed",
            Some(400..) => "refused",
            _ if self.error.is_some() => "failed",
            _ => "ok",
        }
    }

    /// A question for health that did not fail: it is well, or not deployed.
    pub fn is_quiet(&self) -> bool {
        self.trigger == PROBE && self.outcome() != "failed"
    }
}

/// The trigger of a call in which one component asks another for its health, as whoever watches the
/// suite does all the time.
pub(super) const PROBE: &str = "probe";

fn is_probe(trigger: &str, component: Option<&str>, path: Option<&str>) -> bool {
    let asked = |component: &str| {
        let path = path?.strip_prefix("/api/")?.strip_suffix("/health")?;
        Some(path == component)
    };
    trigger == "call" && component.and_then(asked) == Some(true)
}

impl Entry for Invocation {
    fn number(&self) -> u64 {
        self.number
    }

    fn lane(&self) -> &str {
        self.component.as_deref().unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        let texts = [
            self.component.as_ref(),
            Some(&self.name),
            self.method.as_ref(),
            self.path.as_ref(),
            self.error.as_ref(),
        ];
        let texts: usize = texts.into_iter().flatten().map(beside).sum();
        size_of::<Self>() + self.request_id.len() + texts + weight(&self.more)
    }
}

impl Entry for Line {
    fn number(&self) -> u64 {
        self.number
    }

    fn lane(&self) -> &str {
        self.component.as_deref().unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        let texts = [
            self.component.as_ref(),
            self.request_id.as_ref(),
            self.trace_id.as_ref(),
            self.span_id.as_ref(),
        ];
        let texts: usize = texts.into_iter().flatten().map(beside).sum();
        size_of::<Self>() + self.message.capacity() + texts + weight(&self.more)
    }
}

/// Memory that a text takes beside what holds it.
fn beside(text: &CompactString) -> usize {
    if text.is_heap_allocated() { text.capacity() } else { 0 }
}

fn weight(more: &[(&'static str, serde_json::Value)]) -> usize {
    let of = |value: &serde_json::Value| value.as_str().map_or(0, str::len);
    more.iter().map(|(_, value)| size_of::<(&str, serde_json::Value)>() + of(value)).sum()
}

/// A span of a call, as it closes: its texts are kept as they are, not copied.
pub(crate) fn invocation_of(
    fields: Fields,
    place: &TraceParent,
    parent_id: Option<u64>,
    span_name: &str,
    began: SystemTime,
) -> Invocation {
    let mut call = Invocation {
        number: 0,
        own: *place,
        parent_id,
        request_id: Arc::default(),
        component: None,
        revision: None,
        trigger: CompactString::default(),
        name: CompactString::default(),
        method: None,
        path: None,
        status: None,
        error: None,
        began,
        ended: SystemTime::now(),
        more: Vec::new(),
    };
    let (mut name, mut route) = (None, None);
    for (field, value) in fields.into_iter() {
        match field {
            "request_id" => call.request_id = value.as_text().unwrap_or_default().into(),
            "component" => call.component = text(value),
            "trigger" => call.trigger = text(value).unwrap_or_default(),
            "revision" => call.revision = number(&value),
            "http.response.status_code" => {
                call.status = number(&value).and_then(|n| u16::try_from(n).ok());
            }
            "http.request.method" => call.method = text(value),
            "http.route" => route = text(value),
            "url.path" => call.path = text(value),
            "error.type" => call.error = text(value),
            "otel.name" => name = text(value),
            "otel.kind" => {}
            _ if matches!(value.as_text(), Some("")) => {}
            _ => call.more.push((field, value.into_json())),
        }
    }
    if is_probe(&call.trigger, call.component.as_deref(), call.path.as_deref()) {
        call.trigger = PROBE.into();
    } else if call.trigger.is_empty() {
        call.trigger = "http".into();
    }
    let said = call_name(name.as_deref(), call.method.as_deref(), route.as_deref());
    call.name = said.unwrap_or_else(|| span_name.into());
    call.path = call.path.or(route);
    call
}

/// What a field says in words, if it says something.
fn text(value: Value) -> Option<CompactString> {
    match value {
        Value::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Unsigned(n) => Some(*n),
        Value::Signed(n) => u64::try_from(*n).ok(),
        Value::Text(text) => text.parse().ok(),
        Value::Float(_) | Value::Bool(_) => None,
    }
}

fn others(fields: Fields, known: &[&str]) -> Vec<(&'static str, serde_json::Value)> {
    let unknown = fields
        .into_iter()
        .filter(|(name, value)| !known.contains(name) && !matches!(value.as_text(), Some("")));
    unknown.map(|(name, value)| (name, value.into_json())).collect()
}

/// The layer that keeps lines, where no other layer hands them to [`keep`].
pub(crate) struct Watch;

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Watch {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        keep(Fields::of(|visitor| event.record(visitor)), event, &context);
    }
}

/// Keeps a line; its texts are kept as they are, not copied. Not one that says of a request what is
/// kept of its call: those would push out what components say.
pub(crate) fn keep<S>(mut fields: Fields, event: &Event<'_>, context: &Context<'_, S>)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    if event.metadata().target() == access::TARGET {
        return;
    }
    let mut said = |name: &str| fields.take_text(name);
    let message = cut(said("message").unwrap_or_default().into_string());
    let (mut component, mut request_id) = (said("component"), said("request_id"));
    let (mut trace_id, mut span_id) = (said("trace_id"), said("span_id"));
    for span in context.event_scope(event).into_iter().flatten() {
        let extensions = span.extensions();
        let Some(record) = extensions.get::<SpanRecord>() else { continue };
        for (slot, name) in [(&mut component, "component"), (&mut request_id, "request_id")] {
            if slot.is_none() {
                *slot = record.fields.text(name).map(CompactString::from);
            }
        }
        if let Some(place) = &record.place {
            trace_id.get_or_insert_with(|| place.trace_digits().as_str().into());
            span_id.get_or_insert_with(|| place.span_digits().as_str().into());
        }
    }
    if let Some(call) = server_span::inherited() {
        component = component.or(call.component);
        request_id.get_or_insert_with(|| (&*call.request_id).into());
        trace_id.get_or_insert_with(|| call.own.trace_digits().as_str().into());
        span_id.get_or_insert_with(|| call.own.span_digits().as_str().into());
    }
    let metadata = event.metadata();
    recent().keep_line(Line {
        number: 0,
        at: SystemTime::now(),
        level: level(*metadata.level()),
        target: metadata.target(),
        message,
        component,
        request_id,
        trace_id,
        span_id,
        more: others(fields, &["message", "component", "request_id", "trace_id", "span_id"]),
    });
}

/// Keeps the beginning.
fn cut(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES_MAX {
        let end = text.floor_char_boundary(MESSAGE_BYTES_MAX);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::{Happened, InvocationFilter, LineFilter};
    use crate::work::{Neighbour, Place};
    use crate::writer::Sink;
    use crate::writer::tests::Page;
    use crate::{Format, Settings, call_span, subscriber};

    fn watched(work: impl FnOnce()) {
        let sink = Sink::start(Page::default()).unwrap();
        let settings = Settings { format: Format::Json, filter: "info".into(), otlp: None };
        let subscriber = subscriber(&settings, false, sink, None).unwrap();
        tracing::subscriber::with_default(subscriber, work);
    }

    // Tests of one process share the ring: each looks at a component of its own.

    #[test]
    fn calls_that_call_are_one_tree_with_all_their_lines() {
        let own = TraceParent::root();
        let inner = own.child();
        watched(|| {
            let outer = call_span("tree-1", "GET", &own, None);
            outer.record("component", "tree-front");
            outer.record("http.response.status_code", 503);
            outer.in_scope(|| {
                let span = call_span("tree-1", "GET", &inner, Some(&own));
                span.record("component", "tree-back");
                span.in_scope(|| tracing::warn!("the shelf is empty"));
            });
            tracing::info!(target: "guest", component = "tree-back", request_id = "tree-1", "hi");
        });
        let filter =
            InvocationFilter { component: Some("tree-front".into()), ..Default::default() };
        let front = recent().invocations(&filter, None, 10).pop().unwrap();
        assert_eq!((front.outcome(), front.status), ("failed", Some(503)));
        let (calls, lines) = recent().trace(&front.trace_id());
        let names: Vec<_> = calls.iter().map(|call| call.component.as_deref().unwrap()).collect();
        assert_eq!(names, ["tree-front", "tree-back"]);
        assert_eq!(calls[1].parent_id(), Some(front.id()));
        let words: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(words, ["the shelf is empty", "hi"]);
        assert_eq!(lines[0].component.as_deref(), Some("tree-back"));
        assert_eq!(recent().invocation(&front.id()).unwrap().number, front.number);
    }

    /// A call of a component of a test by another.
    fn neighbour(component: &str, path: &str, status: u16) {
        let of =
            Neighbour { component, caller: "watcher", request_id: "probe-1", method: "GET", path };
        let span = of.span(&Place::root());
        span.record("http.response.status_code", status);
    }

    #[test]
    fn thousands_of_questions_for_health_hide_no_call() {
        watched(|| {
            neighbour("well", "/api/well/v1/things", 200);
            neighbour("well", "/api/well/health", 503);
            neighbour("well", "/api/other/health", 200);
            for _ in 0..10_000 {
                neighbour("well", "/api/well/health", 200);
                neighbour("well", "/api/well/health", 404);
            }
        });
        let of = |trigger: Option<&str>| {
            let filter = InvocationFilter {
                component: Some("well".into()),
                trigger: trigger.map(str::to_owned),
                outcome: None,
            };
            recent().invocations(&filter, None, 1_000)
        };
        let all = of(None);
        let seen: Vec<_> = all.iter().map(|call| (&*call.trigger, call.status)).collect();
        assert_eq!(seen, [("call", Some(200)), ("probe", Some(503)), ("call", Some(200))]);
        // Whoever asks for them finds the last ones, and one by its id.
        let probes = of(Some("probe"));
        assert_eq!(probes.len(), 1_000);
        assert!(probes.windows(2).all(|pair| pair[0].number > pair[1].number));
        assert!(probes.iter().all(|call| call.is_quiet()));
        let (trace, _) = recent().trace(&probes[0].trace_id());
        let found = recent().invocation(&probes[0].id()).unwrap();
        assert_eq!(trace[0].id(), found.id());
        let since = recent().since(probes[1].number);
        assert!(since.all.iter().any(|happened| happened.number() == probes[0].number));
    }

    #[test]
    fn a_request_is_kept_once() {
        let own = TraceParent::root();
        watched(|| {
            let span = call_span("once-1", "GET", &own, None);
            span.record("component", "once");
            span.in_scope(|| tracing::info!(target: "access", component = "once", status = 200));
        });
        let filter = InvocationFilter { component: Some("once".into()), ..Default::default() };
        assert_eq!(recent().invocations(&filter, None, 9).len(), 1);
        let lines = LineFilter { component: Some("once".into()), ..LineFilter::default() };
        assert!(recent().lines(&lines, None, 9).is_empty());
    }

    #[test]
    fn a_reader_who_comes_back_gets_what_happened_in_between() {
        let before = recent().last();
        watched(|| {
            tracing::info!(component = "between", "one");
            tracing::error!(component = "between", "two");
        });
        let since = recent().since(before);
        let said: Vec<_> = since
            .all
            .iter()
            .filter_map(|happened| match happened {
                Happened::Line(line) => Some(line),
                Happened::Invocation(_) => None,
            })
            .filter(|line| line.component.as_deref() == Some("between"))
            .map(|line| line.message.as_str())
            .collect();
        assert_eq!(said, ["one", "two"]);
        assert!(recent().since(since.last).all.iter().all(|h| h.number() > since.last));
        let graver = LineFilter {
            component: Some("between".into()),
            level: Some("warn".into()),
            ..LineFilter::default()
        };
        assert_eq!(recent().lines(&graver, None, 9).len(), 1);
    }
}
