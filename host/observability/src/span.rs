//! Spans: remembered while they are open, so that lines can name their call; handed to the OTLP
//! exporter when they close, if somebody records the trace.

use crate::fields::Fields;
use crate::otlp::{Finished, Queue};
use crate::ring;
use crate::server_span;
use crate::trace::{TraceParent, hex_u128};
use compact_str::CompactString;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::field::{Empty, Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The span of one call at the place where it enters the host. `own` is what the component sees as
/// its `traceparent`; `parent` is what the caller sent, if it sent one.
///
/// Record as they become known: `component`, `revision`, `trigger` (`http` where nothing is said),
/// `http.route`, `http.response.status_code`, `error.type`. Its name is method and route.
pub fn call_span(
    request_id: &str,
    method: &str,
    own: &TraceParent,
    parent: Option<&TraceParent>,
) -> Span {
    let span = tracing::info_span!(
        target: "call",
        "call",
        request_id,
        trace_id = own.trace_digits().as_str(),
        span_id = own.span_digits().as_str(),
        parent_span_id = Empty,
        sampled = own.is_sampled(),
        component = Empty,
        trigger = Empty,
        revision = Empty,
        otel.kind = "server",
        http.request.method = method,
        http.route = Empty,
        http.response.status_code = Empty,
        error.type = Empty,
    );
    if let Some(parent) = parent {
        span.record("parent_span_id", parent.span_digits().as_str());
    }
    span
}

/// What is known of an open span.
pub(crate) struct SpanRecord {
    pub(crate) fields: Fields,
    began: SystemTime,
    /// Which span of which trace this is; None outside every call.
    pub(crate) place: Option<TraceParent>,
    /// The span above, in this process or in another.
    parent_id: Option<u64>,
}

/// What a span says: where it stands, as numbers, and the rest.
struct Said<'a> {
    fields: &'a mut Fields,
    trace_id: Option<u128>,
    span_id: Option<u64>,
    parent_id: Option<u64>,
    sampled: bool,
}

impl<'a> Said<'a> {
    fn new(fields: &'a mut Fields) -> Self {
        Self { fields, trace_id: None, span_id: None, parent_id: None, sampled: false }
    }

    fn place(&self) -> Option<TraceParent> {
        Some(TraceParent::from_parts(self.trace_id?, self.span_id?, self.sampled))
    }
}

impl Visit for Said<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.record_debug(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "trace_id" => self.trace_id = hex_u128(value),
            "span_id" => self.span_id = hex_u128(value).map(|id| id as u64),
            "parent_span_id" => self.parent_id = hex_u128(value).map(|id| id as u64),
            _ => self.fields.record_str(field, value),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.record_i64(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.record_u64(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.record_f64(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "sampled" => self.sampled = value,
            _ => self.fields.record_bool(field, value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.fields.record_error(field, value);
    }
}

/// The layer that keeps [`SpanRecord`]s.
pub(crate) struct Spans {
    queue: Option<Queue>,
}

impl Spans {
    pub(crate) fn new(queue: Option<Queue>) -> Self {
        Self { queue }
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let (mut place, mut parent_id) = (None, None);
        let fields = Fields::of(|fields| {
            let mut said = Said::new(fields);
            attributes.record(&mut said);
            (place, parent_id) = (said.place(), said.parent_id);
        });
        let above = span.parent();
        let above = above.as_ref().and_then(|parent| {
            parent.extensions().get::<SpanRecord>().and_then(|record| record.place)
        });
        let above = above.or_else(|| server_span::inherited().map(|call| call.own));
        let place = place.or_else(|| above.map(|above| above.child()));
        let parent_id = parent_id.or_else(|| above.map(|above| above.span_number()));
        let began = began(&fields).unwrap_or_else(SystemTime::now);
        let record = SpanRecord { fields, began, place, parent_id };
        span.extensions_mut().insert(record);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(record) = span.extensions_mut().get_mut::<SpanRecord>() {
            let mut said = Said::new(&mut record.fields);
            values.record(&mut said);
            record.parent_id = said.parent_id.or(record.parent_id);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(record) = span.extensions_mut().remove::<SpanRecord>() else {
            return;
        };
        let Some(place) = record.place else { return };
        let name = span.name();
        if let Some(queue) = self.queue.as_ref().filter(|_| place.is_sampled()) {
            queue.send(finished(&record, place, name));
        }
        if span.metadata().target() == "call" {
            let SpanRecord { fields, began, parent_id, .. } = record;
            ring::recent()
                .keep_invocation(ring::invocation_of(fields, &place, parent_id, name, began));
        }
    }
}

/// A span as the exporter wants it.
fn finished(record: &SpanRecord, place: TraceParent, name: &str) -> Finished {
    Finished {
        place,
        parent_span_id: record.parent_id.map_or(Vec::new(), |id| id.to_be_bytes().to_vec()),
        name: record.fields.name().map_or(name.to_owned(), CompactString::into_string),
        began: record.began,
        ended: SystemTime::now(),
        fields: record.fields.clone(),
    }
}

/// When the work began, where it is told afterwards (see [`crate::work::Attempt`]).
fn began(fields: &Fields) -> Option<SystemTime> {
    match fields.get("began_unix_nanos")? {
        crate::fields::Value::Unsigned(nanos) => Some(UNIX_EPOCH + Duration::from_nanos(*nanos)),
        _ => None,
    }
}
