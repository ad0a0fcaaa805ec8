//! Spans of work that no client waits for at the door: deliveries of messages, runs of schedules,
//! attempts at native jobs; and of calls between components. Names of attributes follow the OTel
//! semantic conventions for messaging and FaaS (1.3x, both in development). Refuses to know queues,
//! leases and components.
//!
//! A message's creation context is the span that committed it: the outbox keeps its `traceparent`
//! through retries, dead letters and what is sent again, so all of it stays in one trace.

use crate::otlp;
use crate::trace::TraceParent;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::Span;
use tracing::field::Empty;

/// What the spans of the queue say in `messaging.system`.
pub(crate) const SYSTEM: &str = "nexus";

/// Where a span stands: itself, and what it continues.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub own: TraceParent,
    pub parent: Option<TraceParent>,
}

impl Place {
    /// Below the context that a message carries; a message without one gets the trace that is its
    /// own at every attempt and for whoever hears it.
    pub fn of_message(trace: Option<&str>, id: u128) -> Self {
        match trace.and_then(TraceParent::parse) {
            Some(parent) => Self { own: parent.child(), parent: Some(parent) },
            None => Self { own: TraceParent::of_message(id), parent: None },
        }
    }

    /// Below another call; None when that is in no trace.
    pub fn below(trace: Option<&str>) -> Option<Self> {
        let parent = trace.and_then(TraceParent::parse)?;
        Some(Self { own: parent.child(), parent: Some(parent) })
    }

    /// A trace of its own, for what has several causes (see [`Delivery::links`]).
    pub fn root() -> Self {
        Self { own: TraceParent::root(), parent: None }
    }
}

/// A message that a component is handing to a queue. Its span is the context that the message
/// carries, and is told to the exporter alone: it is no call.
#[derive(Debug)]
pub struct Sending {
    place: Place,
    began: SystemTime,
}

impl Sending {
    /// Below the context that the sender gave; None when that is in no recorded trace, or when
    /// nothing is exported, which costs one load.
    pub fn below(context: &str) -> Option<Self> {
        otlp::exporting()?;
        let place = Place::below(Some(context)).filter(|place| place.own.is_sampled())?;
        Some(Self { place, began: SystemTime::now() })
    }

    /// Whether anything is exported that this could be part of.
    pub fn is_told() -> bool {
        otlp::exporting().is_some()
    }

    /// The `traceparent` of the message.
    pub fn context(&self) -> String {
        self.place.own.to_string()
    }

    /// Tells the span, which ends now.
    pub fn end(self, letter: Letter, error: Option<&'static str>) {
        let (Some(queue), Some(parent)) = (otlp::exporting(), self.place.parent) else { return };
        queue.send_sent(otlp::Sent {
            own: self.place.own,
            parent,
            component: letter.component,
            destination: letter.destination,
            message: letter.message,
            operation: letter.operation,
            began: self.began,
            ended: SystemTime::now(),
            error,
        });
    }
}

/// What is sent (see [`Sending`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The component that sends it.
    pub component: String,
    /// A topic, or a kind of job.
    pub destination: String,
    /// Its id.
    pub message: String,
    /// `publish` for events, `submit` for jobs.
    pub operation: &'static str,
}

/// One delivery: of a message, or of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    pub component: &'a str,
    pub request_id: &'a str,
    pub topic: &'a str,
    /// As the component declares it.
    pub subscription: &'a str,
    /// Of the (first) message.
    pub message: &'a str,
    pub messages: usize,
    pub attempt: u32,
    /// The contexts of a batch's messages.
    pub links: &'a [TraceParent],
}

impl Delivery<'_> {
    /// The consumer's span. Record `outcome` and `error.type` as they become known.
    pub fn span(&self, place: &Place) -> Span {
        let batch = self.messages > 1;
        let span = tracing::info_span!(
            target: "call",
            "delivery",
            request_id = self.request_id,
            trace_id = place.own.trace_digits().as_str(),
            span_id = place.own.span_digits().as_str(),
            parent_span_id = Empty,
            sampled = place.own.is_sampled(),
            component = self.component,
            trigger = "queue",
            revision = Empty,
            otel.name = %format_args!("process {}", self.topic),
            otel.kind = "consumer",
            faas.trigger = "pubsub",
            messaging.system = SYSTEM,
            messaging.operation.type = "process",
            messaging.operation.name = "process",
            messaging.destination.name = self.topic,
            messaging.destination.subscription.name = self.subscription,
            messaging.message.id = Empty,
            messaging.batch.message_count = Empty,
            attempt = self.attempt,
            links = Empty,
            outcome = Empty,
            error.type = Empty,
        );
        below(&span, place);
        if batch {
            span.record("messaging.batch.message_count", self.messages);
            span.record("links", linked(self.links));
        } else {
            span.record("messaging.message.id", self.message);
        }
        span
    }
}

/// One run of a schedule.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    pub component: &'a str,
    pub request_id: &'a str,
    pub schedule: &'a str,
    /// The instant that the schedule names, as RFC 3339 writes it.
    pub time: &'a str,
    pub attempt: u32,
}

impl Run<'_> {
    /// The span of the run. Record `outcome` and `error.type` as they become known.
    pub fn span(&self, place: &Place) -> Span {
        let span = tracing::info_span!(
            target: "call",
            "run",
            request_id = self.request_id,
            trace_id = place.own.trace_digits().as_str(),
            span_id = place.own.span_digits().as_str(),
            parent_span_id = Empty,
            sampled = place.own.is_sampled(),
            component = self.component,
            trigger = "cron",
            revision = Empty,
            otel.name = %format_args!("run {}", self.schedule),
            otel.kind = "consumer",
            faas.trigger = "timer",
            faas.time = self.time,
            schedule = self.schedule,
            attempt = self.attempt,
            outcome = Empty,
            error.type = Empty,
        );
        below(&span, place);
        span
    }
}

/// A call of one component by another, in this process.
#[derive(Debug, Clone, Copy)]
pub struct Neighbour<'a> {
    pub component: &'a str,
    pub caller: &'a str,
    pub request_id: &'a str,
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
}

impl Neighbour<'_> {
    /// The span of the called one. Record `http.response.status_code` and `error.type`.
    pub fn span(&self, place: &Place) -> Span {
        let span = tracing::info_span!(
            target: "call",
            "neighbour",
            request_id = self.request_id,
            trace_id = place.own.trace_digits().as_str(),
            span_id = place.own.span_digits().as_str(),
            parent_span_id = Empty,
            sampled = place.own.is_sampled(),
            component = self.component,
            trigger = "call",
            revision = Empty,
            otel.name = %format_args!("{} {}", self.method, self.component),
            otel.kind = "server",
            faas.trigger = "http",
            caller = self.caller,
            http.request.method = self.method,
            url.path = self.path,
            http.response.status_code = Empty,
            error.type = Empty,
        );
        below(&span, place);
        span
    }
}

/// One attempt at a native job, told when it has ended.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The service whose job it is.
    pub service: &'a str,
    pub kind: &'a str,
    pub job: &'a str,
    pub worker: &'a str,
    pub attempt: u32,
    pub began: SystemTime,
    /// `ack`, `retry`, `release` or `reject`.
    pub outcome: &'a str,
}

impl Attempt<'_> {
    /// Tells the span, from its beginning until now.
    pub fn tell(&self, place: &Place) {
        let since = self.began.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let span = tracing::info_span!(
            target: "call",
            "job",
            request_id = self.job,
            trace_id = place.own.trace_digits().as_str(),
            span_id = place.own.span_digits().as_str(),
            parent_span_id = Empty,
            sampled = place.own.is_sampled(),
            component = self.service,
            trigger = "job",
            otel.name = %format_args!("process {}", self.kind),
            otel.kind = "consumer",
            began_unix_nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            faas.trigger = "other",
            messaging.system = SYSTEM,
            messaging.operation.type = "process",
            messaging.operation.name = "process",
            messaging.destination.name = self.kind,
            messaging.message.id = self.job,
            messaging.client.id = self.worker,
            attempt = self.attempt,
            outcome = self.outcome,
            error.type = Empty,
        );
        below(&span, place);
        if matches!(self.outcome, "retry" | "reject") {
            span.record("error.type", self.outcome);
        }
    }
}

fn below(span: &Span, place: &Place) {
    if let Some(parent) = &place.parent {
        span.record("parent_span_id", parent.span_digits().as_str());
    }
}

/// Contexts in one field, as the exporter reads them.
fn linked(links: &[TraceParent]) -> String {
    links.iter().fold(String::new(), |mut text, link| {
        // Writing into a string does not fail.
        let _written = write!(text, "{link} ");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_message_goes_on_with_the_trace_it_carries() {
        let place = Place::of_message(Some(GIVEN), 1);
        assert_eq!(place.own.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(place.parent.map(|parent| parent.to_string()).as_deref(), Some(GIVEN));
    }

    #[test]
    fn a_message_without_a_trace_has_the_same_one_at_every_attempt() {
        let id = 0x0198_0000_0000_7000_8000_0000_0000_0001;
        let (one, two) = (Place::of_message(None, id), Place::of_message(Some("x"), id));
        assert_eq!(one.own.trace_id(), two.own.trace_id());
        assert_eq!(one.own.is_sampled(), two.own.is_sampled());
        assert_ne!(one.own.span_id(), two.own.span_id());
        assert_ne!(one.own.trace_id(), Place::of_message(None, id + 1).own.trace_id());
    }
}
