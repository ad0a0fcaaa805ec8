//! Which request this is: its id, and its place in a distributed trace.

use crate::fields::Fields;
use http::{HeaderName, HeaderValue};
use nexus_observability::TraceParent;
use nexus_runtime::TraceContext;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

// Names that are looked up for each request: read once.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Longer ids are no ids but payload.
const REQUEST_ID_MAX: usize = 128;

/// The client's `x-request-id` if it is one sane value, otherwise a new UUIDv7.
pub(crate) fn request_id(fields: Fields<'_>, now: SystemTime) -> Arc<str> {
    let mut sent = fields.get_all(&REQUEST_ID);
    match (sent.next().and_then(|value| value.to_str().ok()), sent.next()) {
        (Some(id), None) if is_sane(id) => id.into(),
        _ => request_id_at(now),
    }
}

pub(crate) fn new_request_id() -> Arc<str> {
    request_id_at(SystemTime::now())
}

/// A UUIDv7 (RFC 9562 section 5.7); ids are not secrets, so the thread's generator will do.
fn request_id_at(now: SystemTime) -> Arc<str> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let random: [u8; 10] = rand::random();
    let id = uuid::Builder::from_unix_timestamp_millis(since.as_millis() as u64, &random);
    let id: Uuid = id.into_uuid();
    let mut text = Uuid::encode_buffer();
    (&*id.hyphenated().encode_lower(&mut text)).into()
}

fn is_sane(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=REQUEST_ID_MAX).contains(&id.len()) && id.bytes().all(allowed)
}

/// The span of this request and, if the client sent a valid one, its parent.
pub(crate) struct Trace {
    pub(crate) own: TraceParent,
    pub(crate) parent: Option<TraceParent>,
    state: Option<HeaderValue>,
}

impl Trace {
    /// Continues a valid `traceparent`; `tracestate` without one means nothing (W3C Trace Context
    /// section 3.2.2).
    pub(crate) fn of(fields: Fields<'_>) -> Self {
        let mut sent = fields.get_all(&TRACEPARENT);
        let parent = match (sent.next().and_then(|value| value.to_str().ok()), sent.next()) {
            (Some(value), None) => TraceParent::parse(value),
            _ => None,
        };
        let own = parent.as_ref().map_or_else(TraceParent::root, TraceParent::child);
        let state = parent.and_then(|_| fields.get(&TRACESTATE).cloned());
        Self { own, parent, state }
    }

    /// What travels on with the call.
    pub(crate) fn context(&self) -> TraceContext {
        let own = HeaderValue::from_bytes(&self.own.header()).expect("hex and dashes are ASCII");
        TraceContext { traceparent: Some(own), tracestate: self.state.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn a_sane_request_id_is_kept() {
        for id in ["a", "r-1.2_3", "01890000-0000-7000-8000-000000000001"] {
            assert_eq!(
                &*request_id(Fields::from(&headers(&[("x-request-id", id)])), UNIX_EPOCH),
                id
            );
        }
    }

    #[test]
    fn any_other_request_id_is_replaced_by_a_uuid_of_version_7() {
        let long: &'static str = Box::leak("a".repeat(129).into_boxed_str());
        for id in ["", "a b", "a/b", "<script>", long] {
            let made = request_id(Fields::from(&headers(&[("x-request-id", id)])), UNIX_EPOCH);
            let made: Uuid = made.parse().unwrap();
            assert_eq!(made.get_version_num(), 7, "{id:?}");
        }
        assert_ne!(
            request_id(Fields::from(&HeaderMap::new()), UNIX_EPOCH),
            request_id(Fields::from(&HeaderMap::new()), UNIX_EPOCH)
        );
    }

    #[test]
    fn a_valid_trace_is_continued_with_a_new_span() {
        let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace =
            Trace::of(Fields::from(&headers(&[("traceparent", sent), ("tracestate", "a=b")])));
        let context = trace.context();
        let own = context.traceparent.unwrap();
        assert!(own.to_str().unwrap().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert_ne!(own, sent);
        assert_eq!(context.tracestate.unwrap(), "a=b");
    }

    #[test]
    fn an_invalid_trace_is_replaced_and_its_state_dropped() {
        let trace = Trace::of(Fields::from(&headers(&[
            ("traceparent", "00-0-0-0"),
            ("tracestate", "a=b"),
        ])));
        assert!(trace.parent.is_none());
        assert!(trace.context().tracestate.is_none());
        assert_eq!(trace.context().traceparent.unwrap().len(), 55);
    }
}
