//! The part of `opentelemetry/proto/{collector/trace,trace,common,resource}/v1` that we write.
//! Field numbers are those of opentelemetry-proto 1.x, where they are frozen.

use super::{Collector, Ended, Finished, Sent};
use crate::fields::Value;
use crate::trace::TraceParent;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportTraceServiceRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(super) scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    pub(super) scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub(super) spans: Vec<Span>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Scope {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    pub(super) name: String,
    #[prost(int32, tag = "6")]
    pub(super) kind: i32,
    #[prost(fixed64, tag = "7")]
    pub(super) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    pub(super) end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "13")]
    pub(super) links: Vec<Link>,
    #[prost(message, optional, tag = "15")]
    pub(super) status: Option<Status>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Link {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) span_id: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Status {
    #[prost(int32, tag = "3")]
    pub(super) code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AnyValue {
    #[prost(oneof = "any_value::Value", tags = "1, 2, 3, 4")]
    pub(super) value: Option<any_value::Value>,
}

pub(super) mod any_value {
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(in crate::otlp) enum Value {
        #[prost(string, tag = "1")]
        Text(String),
        #[prost(bool, tag = "2")]
        Bool(bool),
        #[prost(int64, tag = "3")]
        Int(i64),
        #[prost(double, tag = "4")]
        Double(f64),
    }
}

/// `STATUS_CODE_ERROR`.
const STATUS_ERROR: i32 = 2;

/// Fields that place a span or rename it; they are no attributes.
const NOT_ATTRIBUTES: [&str; 6] =
    ["began_unix_nanos", "links", "message", "otel.kind", "otel.name", "trigger"];

pub(super) fn request(collector: &Collector, spans: &[Ended]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource(collector)),
            scope_spans: vec![ScopeSpans {
                scope: Some(Scope { name: "nexus".into() }),
                spans: spans.iter().map(span).collect(),
            }],
        }],
    }
}

/// This host, as every export says it.
pub(super) fn resource(collector: &Collector) -> Resource {
    let attributes = collector.resource.iter().map(|(name, value)| text(name, value)).collect();
    Resource { attributes }
}

fn span(span: &Ended) -> Span {
    match span {
        Ended::Call(call) => finished(call),
        Ended::Sent(message) => sent(message),
    }
}

/// The producer's span of one message. Source: semantic conventions for messaging spans, "Span
/// name" and "Span kind": `send` is what a message's context is created by here.
fn sent(sent: &Sent) -> Span {
    let mut attributes = vec![
        text("faas.name", &sent.component),
        text("messaging.system", crate::work::SYSTEM),
        text("messaging.operation.type", "send"),
        text("messaging.operation.name", sent.operation),
        text("messaging.destination.name", &sent.destination),
        text("messaging.message.id", &sent.message),
    ];
    attributes.extend(sent.error.map(|error| text("error.type", error)));
    Span {
        trace_id: sent.own.trace_id_bytes(),
        span_id: sent.own.span_id_bytes(),
        parent_span_id: sent.parent.span_id_bytes(),
        name: format!("{} {}", sent.operation, sent.destination),
        kind: kind(Some("producer")),
        start_time_unix_nano: nanoseconds(sent.began),
        end_time_unix_nano: nanoseconds(sent.ended.max(sent.began)),
        attributes,
        links: Vec::new(),
        status: sent.error.map(|_| Status { code: STATUS_ERROR }),
    }
}

fn finished(span: &Finished) -> Span {
    let fields = span.fields.iter().filter(|(name, _)| !NOT_ATTRIBUTES.contains(name));
    let mut attributes: Vec<_> = fields.map(|(name, value)| attribute(name, value)).collect();
    attributes.extend(trigger(span).map(|word| text("faas.trigger", word)));
    let failed = span.fields.text("error.type").is_some();
    Span {
        trace_id: span.place.trace_id_bytes(),
        span_id: span.place.span_id_bytes(),
        parent_span_id: span.parent_span_id.clone(),
        name: span.name.clone(),
        kind: kind(span.fields.text("otel.kind")),
        start_time_unix_nano: nanoseconds(span.began),
        end_time_unix_nano: nanoseconds(span.ended.max(span.began)),
        attributes,
        links: links(span.fields.text("links").unwrap_or_default()),
        status: failed.then_some(Status { code: STATUS_ERROR }),
    }
}

/// What `faas.trigger` is of a request at the door, of which the span says no more than that a
/// component was called (semantic conventions for FaaS spans, "Incoming FaaS span attributes").
fn trigger(span: &Finished) -> Option<&'static str> {
    let is_called = span.fields.text("component").is_some();
    let is_said = span.fields.text("faas.trigger").is_some();
    match span.fields.text("trigger") {
        None | Some("http") if is_called && !is_said => Some("http"),
        Some("invoke") if is_called && !is_said => Some("other"),
        _ => None,
    }
}

/// What [`crate::work::Delivery`] wrote.
fn links(text: &str) -> Vec<Link> {
    let contexts = text.split(' ').filter_map(TraceParent::parse);
    let link = |context: TraceParent| Link {
        trace_id: context.trace_id_bytes(),
        span_id: context.span_id_bytes(),
    };
    contexts.map(link).collect()
}

/// `SpanKind` by its name in the specification; INTERNAL when none is given.
fn kind(name: Option<&str>) -> i32 {
    match name {
        Some("server") => 2,
        Some("client") => 3,
        Some("producer") => 4,
        Some("consumer") => 5,
        _ => 1,
    }
}

pub(super) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn text(name: &str, value: &str) -> KeyValue {
    attribute(name, &Value::Text(value.into()))
}

fn attribute(name: &str, value: &Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::Text(text.to_string()),
        Value::Bool(flag) => any_value::Value::Bool(*flag),
        Value::Signed(n) => any_value::Value::Int(*n),
        Value::Unsigned(n) => any_value::Value::Int(i64::try_from(*n).unwrap_or(i64::MAX)),
        Value::Float(n) => any_value::Value::Double(*n),
    };
    KeyValue { key: renamed(name).into(), value: Some(AnyValue { value: Some(value) }) }
}

/// Our words in log lines, as the semantic conventions call them.
fn renamed(name: &str) -> &str {
    match name {
        "component" => "faas.name",
        "request_id" => "faas.invocation_id",
        "revision" => "faas.version",
        "attempt" => "nexus.attempt",
        "caller" => "nexus.caller",
        "outcome" => "nexus.outcome",
        "schedule" => "nexus.schedule",
        other => other,
    }
}
