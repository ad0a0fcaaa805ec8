//! What travels in a request's head and what stays here: hop-by-hop fields, our own `nexus-*`
//! fields, the trace. Refuses to know where the request goes.

use http::HeaderMap;
use http::header::{
    CONNECTION, FORWARDED, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use nexus_runtime::Call;

/// Ours to set: a guest that could would be anybody it likes.
const OURS: &str = "nexus-";

/// What a front end tells a service about its visitor. The service decides by `nexus-caller`
/// whom to believe; it stays between components.
const OF_VISITORS: [&str; 2] = ["nexus-client-addr", "nexus-client-agent"];

/// Fields between two neighbours only (RFC 9110 §7.6.1), and `http2-settings` (RFC 7540 §3.2.1).
static HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// What a proxy says of its client. At our own front door a guest must not pass for one.
static OF_PROXIES: [HeaderName; 5] = [
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// What the map takes in memory, roughly: names, values and 32 bytes of overhead each, as HTTP/2
/// counts (RFC 9113 §10.5.1).
pub(crate) fn bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// Removes what concerns only one hop, including what `connection` names.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    // gRPC needs `te: trailers`; nothing else may be said with it.
    let trailers = headers.get(TE).is_some_and(|te| te == "trailers");
    if !trailers {
        headers.remove(TE);
    }
}

/// Removes the fields only the host sets.
pub(crate) fn strip_ours(headers: &mut HeaderMap) {
    let is_ours = |name: &str| name.starts_with(OURS) && !OF_VISITORS.contains(&name);
    let ours: Vec<HeaderName> =
        headers.keys().filter(|name| is_ours(name.as_str())).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
}

/// Removes what a guest has no business saying in a request.
pub(crate) fn clean_request(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    strip_ours(headers);
    headers.remove(TRAILER);
}

/// Removes what only components may tell each other.
pub(crate) fn strip_of_visitors(headers: &mut HeaderMap) {
    for name in OF_VISITORS {
        headers.remove(name);
    }
}

/// Removes what only a proxy may say to the front door.
pub(crate) fn strip_of_proxies(headers: &mut HeaderMap) {
    for name in &OF_PROXIES {
        headers.remove(name);
    }
}

/// Adds the trace (W3C Trace Context) and the request id, unless the guest has its own.
pub(crate) fn add_trace(headers: &mut HeaderMap, call: &Call) {
    if !headers.contains_key("traceparent")
        && let Some(parent) = &call.trace.traceparent
    {
        headers.insert("traceparent", parent.clone());
        if let Some(state) = &call.trace.tracestate {
            headers.insert("tracestate", state.clone());
        }
    }
    if !headers.contains_key("x-request-id")
        && let Ok(id) = HeaderValue::from_str(&call.request_id)
    {
        headers.insert("x-request-id", id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().expect("the test's field has a name");
            map.append(name, value.parse().expect("the test's field has a value"));
        }
        map
    }

    #[test]
    fn a_request_keeps_only_what_is_for_the_far_end() {
        let mut headers = map(&[
            ("accept", "text/html"),
            ("connection", "close, X-Private , nexus-now"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAARAAAAA"),
            ("nexus-principal", "e30"),
            ("Nexus-Caller", "bank"),
            ("nexus-now", "0"),
            ("nexus-principal", "e31"),
            ("authorization", "Bearer x"),
        ]);
        clean_request(&mut headers);
        assert_eq!(
            headers,
            map(&[("accept", "text/html"), ("te", "trailers"), ("authorization", "Bearer x")])
        );
    }

    #[test]
    fn te_says_trailers_or_nothing() {
        let mut headers = map(&[("te", "gzip;q=0.5, trailers")]);
        strip_hop_by_hop(&mut headers);
        assert!(headers.is_empty());
    }
}
