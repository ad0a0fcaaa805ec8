//! One invocation as the host sees it: who asked, by which request, until when; and the ways it
//! can fail. Refuses to know HTTP status codes (that is [`crate::Problem`]).

use crate::manifest::ComponentId;
use crate::principal::Principal;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// W3C Trace Context of a request: `traceparent` and `tracestate` as they travel.
#[derive(Debug, Clone, Default)]
pub struct TraceContext {
    pub traceparent: Option<HeaderValue>,
    pub tracestate: Option<HeaderValue>,
}

/// Components, and the number of the revision that is asked for.
pub type Pins = Arc<[(ComponentId, u32)]>;

/// The context of one call; shared by everything that happens on its behalf.
#[derive(Debug)]
pub struct Call {
    pub request_id: Arc<str>,
    pub trace: TraceContext,
    pub principal: Arc<Principal>,
    /// `nexus-principal`, encoded once where the principal was proven.
    pub principal_header: HeaderValue,
    /// The component that made this call in-process, if one did.
    pub caller: Option<ComponentId>,
    /// In-process hops so far; bounds call loops between components.
    pub depth: u8,
    /// Calls with the same affinity reach the same revision; without one, those of the same sender
    /// do. See [`crate::affinity_of`].
    pub affinity: Option<u64>,
    /// Revisions that were asked for by number, also by the calls that follow from this one.
    pub pins: Option<Pins>,
    /// The request's body is all in memory: reading it never waits.
    pub body_is_whole: bool,
    /// Outbound requests made on behalf of this call.
    outbound: AtomicU32,
}

// What the host says of a call in header fields of its own.
static PRINCIPAL: HeaderName = HeaderName::from_static("nexus-principal");
static CALLER: HeaderName = HeaderName::from_static("nexus-caller");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Whether a field is the host's to say towards a guest: one of [`Call::fields`].
pub(crate) fn is_the_hosts(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(
        name,
        "nexus-principal" | "nexus-caller" | "x-request-id" | "traceparent" | "tracestate"
    )
}

/// More hops than any honest chain of services needs.
pub(crate) const DEPTH_MAX: u8 = 16;

impl Call {
    pub fn new(request_id: impl Into<Arc<str>>, principal: Arc<Principal>) -> Self {
        let principal_header = principal.to_header();
        Self::with_header(request_id, principal, principal_header)
    }

    /// As [`Call::new`], with the header already encoded (the front door caches it per token).
    pub fn with_header(
        request_id: impl Into<Arc<str>>,
        principal: Arc<Principal>,
        principal_header: HeaderValue,
    ) -> Self {
        Self {
            request_id: request_id.into(),
            trace: TraceContext::default(),
            principal,
            principal_header,
            caller: None,
            depth: 0,
            affinity: None,
            pins: None,
            body_is_whole: false,
            outbound: AtomicU32::new(0),
        }
    }

    /// The context of an in-process call that `component` makes on behalf of this one: same
    /// principal, request and trace, one hop deeper.
    pub fn onward(&self, component: ComponentId) -> Self {
        Self {
            request_id: self.request_id.clone(),
            trace: self.trace.clone(),
            principal: self.principal.clone(),
            principal_header: self.principal_header.clone(),
            caller: Some(component),
            depth: self.depth.saturating_add(1),
            affinity: self.affinity,
            pins: self.pins.clone(),
            body_is_whole: false,
            outbound: AtomicU32::new(0),
        }
    }

    /// The revision of `component` that this call asks for.
    pub(crate) fn pinned(&self, component: &ComponentId) -> Option<u32> {
        let pins = self.pins.as_ref()?;
        pins.iter().find(|(id, _)| id == component).map(|(_, number)| *number)
    }

    /// What the host says of the call in header fields, and which of them it leaves unsaid.
    pub(crate) fn fields(&self) -> [(&'static HeaderName, Option<&[u8]>); 5] {
        let TraceContext { traceparent, tracestate } = &self.trace;
        // Whoever makes a call may choose its id; what is no value is not said.
        let id = Some(self.request_id.as_bytes());
        let id = id.filter(|id| id.iter().all(|byte| matches!(byte, b' '..=b'~')));
        [
            (&PRINCIPAL, Some(self.principal_header.as_bytes())),
            (&CALLER, self.caller.as_ref().map(|caller| caller.as_str().as_bytes())),
            (&REQUEST_ID, id),
            (&TRACEPARENT, traceparent.as_ref().map(HeaderValue::as_bytes)),
            (&TRACESTATE, tracestate.as_ref().map(HeaderValue::as_bytes)),
        ]
    }

    /// Says [`Call::fields`] in a head, whatever it held under those names.
    pub(crate) fn stamp(&self, headers: &mut HeaderMap) {
        for (name, value) in self.fields() {
            match value.map(|value| HeaderValue::from_bytes(value).expect("it was one before")) {
                Some(value) => drop(headers.insert(name, value)),
                None => drop(headers.remove(name)),
            }
        }
    }

    /// Counts one outbound request; false when `max` were already made.
    pub fn count_outbound(&self, max: u32) -> bool {
        self.outbound.fetch_add(1, Ordering::Relaxed) < max
    }
}

/// Why a call has no response of the component's own.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    #[error("no component named {0} is active")]
    NoSuchComponent(ComponentId),
    #[error("{component} is not active: {reason}")]
    NotActive { component: ComponentId, reason: Arc<str> },
    #[error("{component} serves no revision {number}")]
    NoSuchRevision { component: ComponentId, number: u32 },
    #[error("the revision was taken out of service")]
    Withdrawn,
    #[error("{component} has {inflight} calls in flight and {queued} waiting")]
    Saturated { component: ComponentId, inflight: u32, queued: u32 },
    #[error("the host has no free instance slot")]
    NoCapacity,
    #[error("no response began within {limit:?}")]
    FirstByteTimeout { limit: Duration },
    #[error("the call took longer than {limit:?}")]
    WallTimeout { limit: Duration },
    #[error("the call used more than {limit:?} of CPU time")]
    CpuExceeded { limit: Duration },
    #[error("the instance asked for more than {limit_mib} MiB of memory")]
    MemoryExceeded { limit_mib: u32 },
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge { limit: u64 },
    #[error("the component trapped: {0}")]
    Trapped(Arc<str>),
    #[error("the instance was discarded because of another call")]
    InstanceLost,
    #[error("the component answered with an HTTP error code: {0}")]
    Refused(Arc<str>),
    #[error("the instance could not be created: {0}")]
    Instantiation(Arc<str>),
    #[error("{0} in-process hops are more than any chain of services needs")]
    TooDeep(u8),
    #[error("the host is shutting down")]
    ShuttingDown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::{DEFAULT_TENANT, Principal};

    fn call(request_id: &str) -> Call {
        let anonymous = Arc::new(Principal::anonymous(DEFAULT_TENANT));
        let mut call = Call::new(request_id, anonymous).onward(ComponentId::new("shop").unwrap());
        call.trace.traceparent = Some(HeaderValue::from_static("00-1-2-00"));
        call
    }

    #[test]
    fn the_host_has_the_only_word_about_a_call() {
        let call = call("r-1");
        let mut headers = HeaderMap::new();
        for name in ["nexus-principal", "nexus-caller", "x-request-id", "tracestate"] {
            headers.append(name, HeaderValue::from_static("forged"));
            headers.append(name, HeaderValue::from_static("twice"));
        }
        headers.append("accept", HeaderValue::from_static("*/*"));
        call.stamp(&mut headers);
        assert_eq!(headers["nexus-principal"], call.principal_header);
        assert_eq!(headers["nexus-caller"], "shop");
        assert_eq!(headers["x-request-id"], "r-1");
        assert_eq!(headers["traceparent"], "00-1-2-00");
        assert_eq!(headers.len(), 5, "{headers:?}");
        assert!(call.fields().iter().all(|(name, _)| is_the_hosts(name)));
        assert!(!is_the_hosts(&http::header::ACCEPT));
    }

    #[test]
    fn an_id_that_is_no_value_is_not_said() {
        for id in ["r\r\nx-evil: 1", "é", "\u{7f}"] {
            let mut headers = HeaderMap::new();
            call(id).stamp(&mut headers);
            assert!(!headers.contains_key("x-request-id"), "{id:?}");
        }
    }
}
