//! Spans: remembered while they are open, so that lines can name their call; handed to the OTLP
//! exporter when they close, if somebody records the trace.

use crate::fields::Fields;
use crate::otlp::{Finished, Queue};
use crate::ring;
use crate::trace::{TraceParent, hex_u128};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::field::{Empty, display};
use tracing::span::{Attributes, Id, Record};
use tracing::{Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The span of one call at the place where it enters the host. `own` is what the component sees as
/// its `traceparent`; `parent` is what the caller sent, if it sent one.
///
/// Record as they become known: `component`, `revision`, `trigger` (`http` where nothing is said),
/// `otel.name` (method and route), `http.route`,
/// `http.request.method`, `http.response.status_code`, `error.type`.
pub fn call_span(request_id: &str, own: &TraceParent, parent: Option<&TraceParent>) -> Span {
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
        otel.name = Empty,
        otel.kind = "server",
        http.request.method = Empty,
        http.route = Empty,
        http.response.status_code = Empty,
        error.type = Empty,
    );
    if let Some(parent) = parent {
        span.record("parent_span_id", display(parent.span_id()));
    }
    span
}

/// What is known of an open span.
pub(crate) struct SpanRecord {
    pub(crate) fields: Fields,
    began: SystemTime,
    /// Which span of which trace this is; None outside every call.
    place: Option<TraceParent>,
    parent: Option<TraceParent>,
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
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let Some(span) = context.span(id) else { return };
        let above = span.parent();
        let above = above.as_ref().and_then(|parent| {
            parent.extensions().get::<SpanRecord>().and_then(|record| record.place)
        });
        let place = named_place(&fields).or_else(|| above.map(|above| above.child()));
        let began = began(&fields).unwrap_or_else(SystemTime::now);
        let record = SpanRecord { fields, began, place, parent: above };
        span.extensions_mut().insert(record);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(record) = span.extensions_mut().get_mut::<SpanRecord>() {
            values.record(&mut record.fields);
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
            let SpanRecord { mut fields, began, parent, .. } = record;
            let said = fields.take_text("parent_span_id");
            let parent = said.or_else(|| parent.map(|parent| parent.span_id()));
            ring::recent()
                .keep_invocation(ring::invocation_of(fields, &place, parent, name, began));
        }
    }
}

/// A span as the exporter wants it.
fn finished(record: &SpanRecord, place: TraceParent, name: &str) -> Finished {
    let parent_id = record.fields.text("parent_span_id").and_then(hex_u128);
    Finished {
        place,
        parent_span_id: parent_id
            .map(|id| (id as u64).to_be_bytes().to_vec())
            .or_else(|| record.parent.map(|parent| parent.span_id_bytes()))
            .unwrap_or_default(),
        name: record.fields.text("otel.name").unwrap_or(name).to_owned(),
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

/// The place that [`call_span`] wrote into the span's fields.
fn named_place(fields: &Fields) -> Option<TraceParent> {
    let trace_id = fields.text("trace_id").and_then(hex_u128)?;
    let span_id = fields.text("span_id").and_then(hex_u128)?;
    let sampled = fields.get("sampled") == Some(&crate::fields::Value::Bool(true));
    Some(TraceParent::from_parts(trace_id, span_id as u64, sampled))
}
