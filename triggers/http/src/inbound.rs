//! A request's head on its way in: what is refused for any component, and what a component must
//! not see. Refuses to know routes and principals.

use crate::config::HttpLimits;
use crate::credentials;
use crate::fields::{Fields, Names};
use crate::problems;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Version};
use nexus_runtime::Problem;

/// Methods that reach a component.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Vault's own method, which its clients send to `/v1/transit/keys`. It changes nothing, yet counts
/// as unsafe where cookies are believed: no browser sends it in good faith.
const LIST: &str = "LIST";

/// For `allow`.
pub(crate) const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Checks a head and says which authority it is for. HTTP/1 framing was checked on the wire; what
/// HTTP/2 leaves to us is checked here.
pub(crate) fn check(
    parts: &Parts,
    fields: Fields<'_>,
    limits: &HttpLimits,
    fallback: &Authority,
) -> Result<Authority, Problem> {
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(problems::METHOD_NOT_ALLOWED);
    }
    if !METHODS.contains(&parts.method) && parts.method.as_str() != LIST {
        return Err(problems::METHOD_NOT_IMPLEMENTED);
    }
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > limits.url_bytes_max {
        let detail = format!("a URL takes {} bytes", limits.url_bytes_max);
        return Err(problems::URL_TOO_LONG.detail(detail));
    }
    if !target.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(problems::MALFORMED.detail("the target is not visible ASCII"));
    }
    if parts.version == Version::HTTP_2 {
        check_size(&parts.headers, limits)?;
    }
    if let Some(expect) = fields.get(&EXPECT)
        && !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        return Err(problems::EXPECTATION_FAILED);
    }
    authority(parts, fallback)
}

fn check_size(headers: &HeaderMap, limits: &HttpLimits) -> Result<(), Problem> {
    if headers.len() > limits.headers_max {
        let detail = format!("a request takes {} header fields", limits.headers_max);
        return Err(problems::TOO_MANY_HEADERS.detail(detail));
    }
    // As the fields would measure in HTTP/1: name, colon, space, value, CRLF.
    let size = |(name, value): (&HeaderName, &http::HeaderValue)| name.as_str().len() + value.len();
    let bytes: usize = headers.iter().map(|field| size(field) + 4).sum();
    if bytes > limits.head_bytes_max {
        let detail = format!("a header section takes {} bytes", limits.head_bytes_max);
        return Err(problems::HEAD_TOO_LARGE.detail(detail));
    }
    Ok(())
}

/// The target's authority if it has one (RFC 9112 section 3.2.2, RFC 9113 section 8.3.1),
/// otherwise `host`.
fn authority(parts: &Parts, fallback: &Authority) -> Result<Authority, Problem> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return Err(problems::INVALID_HOST);
    }
    let host = match host {
        Some(host) => {
            Some(Authority::try_from(host.as_bytes()).map_err(|_| problems::INVALID_HOST)?)
        }
        None => None,
    };
    let authority = match (parts.uri.authority(), host) {
        (Some(target), Some(host)) if parts.version == Version::HTTP_2 && *target != host => {
            return Err(problems::INVALID_HOST.detail("host and :authority differ"));
        }
        (Some(target), _) => target.clone(),
        (None, Some(host)) => host,
        (None, None) if parts.version == Version::HTTP_10 => fallback.clone(),
        (None, None) => return Err(problems::INVALID_HOST),
    };
    if !is_host_and_port(&authority) {
        return Err(problems::INVALID_HOST);
    }
    Ok(authority)
}

/// No user information, a host, and a port that is one if there is a colon (RFC 3986 section
/// 3.2.3 would let it be empty; nobody sends that in good faith).
fn is_host_and_port(authority: &Authority) -> bool {
    let text = authority.as_str();
    // Colons of an IPv6 address stand in its brackets.
    let colon = match text.starts_with('[') {
        true => text.find(']').map_or(0, |at| at + 1),
        false => text.bytes().position(|byte| matches!(byte, b':' | b'@')).unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(colon);
    let port_is_good = match port.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_ok() && !port.starts_with('+'),
        None => port.is_empty(),
    };
    !host.is_empty() && port_is_good
}

/// `Content-Length`, which the wire or HTTP/2 has checked.
pub(crate) fn content_length(fields: Fields<'_>) -> Option<u64> {
    fields.get(&CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Longest idempotency key: what Stripe's clients and the IETF draft's examples stay below.
const IDEMPOTENCY_KEY_MAX: usize = 255;

/// Only the syntax: what a key means is the component's affair.
pub(crate) fn check_idempotency_key(fields: Fields<'_>) -> Result<(), Problem> {
    let mut keys = fields.get_all(&IDEMPOTENCY_KEY);
    let (Some(key), more) = (keys.next(), keys.next()) else {
        return Ok(());
    };
    let fits = (1..=IDEMPOTENCY_KEY_MAX).contains(&key.len());
    if more.is_some() || !fits || !key.as_bytes().iter().all(u8::is_ascii_graphic) {
        return Err(problems::INVALID_IDEMPOTENCY_KEY);
    }
    Ok(())
}

/// Removes what concerns this connection only, what only the host may say, what only a trusted
/// proxy may say, and the credentials that the host has read.
pub(crate) fn clean(headers: &mut HeaderMap, names: Names, trusted: bool) {
    credentials::remove(headers, names);
    let mut doomed: Vec<HeaderName> = Vec::new();
    for value in Fields::new(headers, names).get_all(&CONNECTION) {
        let named = value.to_str().unwrap_or_default().split(',');
        doomed.extend(named.filter_map(|name| name.trim().parse().ok()));
    }
    doomed.retain(|name| *name != HOST && *name != CONTENT_LENGTH);
    doomed.extend(headers.keys().filter(|name| is_private(name.as_str(), trusted)).cloned());
    for name in doomed {
        headers.remove(name);
    }
}

/// Fields a component must not get from a client. Cheap to deny: most names fail the first test.
fn is_private(name: &str, trusted: bool) -> bool {
    is_hop_by_hop(name)
        || is_host_only(name)
        || !trusted
            && (name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip"))
}

/// RFC 9110 section 7.6.1, and what is only meant for the next hop by custom.
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "expect"
    )
}

/// What only this host may tell a component.
pub(crate) fn is_host_only(name: &str) -> bool {
    name.starts_with("spin-") || name.starts_with("nexus-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Request};

    const FALLBACK: &str = "fallback.example";

    fn head(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Parts {
        let builder = Request::builder().uri("/").header("host", "a.example");
        build(builder).body(()).unwrap().into_parts().0
    }

    fn checked(parts: &Parts) -> Result<String, &'static str> {
        let limits = HttpLimits { url_bytes_max: 64, ..HttpLimits::default() };
        check(parts, Fields::from(&parts.headers), &limits, &FALLBACK.parse().unwrap())
            .map(|authority| authority.to_string())
            .map_err(|problem| problem.name)
    }

    #[test]
    fn only_known_methods_pass() {
        for (method, verdict) in [
            ("GET", Ok("a.example".to_owned())),
            ("PATCH", Ok("a.example".to_owned())),
            ("LIST", Ok("a.example".to_owned())),
            ("TRACE", Err("method-not-allowed")),
            ("CONNECT", Err("method-not-allowed")),
            ("PROPFIND", Err("method-not-implemented")),
            ("get", Err("method-not-implemented")),
            ("LISTS", Err("method-not-implemented")),
        ] {
            assert_eq!(checked(&head(|b| b.method(method))), verdict, "{method}");
        }
    }

    #[test]
    fn hosts_that_are_no_authority_are_refused() {
        let with = |host: &'static str| {
            let mut parts = head(|b| b);
            parts.headers.insert(HOST, HeaderValue::from_static(host));
            checked(&parts)
        };
        assert_eq!(with("b.example:8080"), Ok("b.example:8080".into()));
        assert_eq!(with("[::1]:80"), Ok("[::1]:80".into()));
        assert_eq!(with("[::1]"), Ok("[::1]".into()));
        let users = ["user@a.example", "user:80@a.example", "user@[::1]", "user@a.example:80"];
        let ports = ["a:x", "a:99999", ":80", "a:", "a:+1", "[::1]:", "[::1]x", "[::1]:x"];
        for host in users.into_iter().chain(ports).chain(["", "a b", "a/b", "[::1"]) {
            assert_eq!(with(host), Err("invalid-host"), "{host:?}");
        }
    }

    #[test]
    fn the_target_names_the_host_before_the_field_does() {
        let absolute = head(|b| b.uri("http://b.example/x"));
        assert_eq!(checked(&absolute), Ok("b.example".into()));
        let split = head(|b| b.uri("http://b.example/x").version(Version::HTTP_2));
        assert_eq!(checked(&split), Err("invalid-host"));
        let mut old = head(|b| b.version(Version::HTTP_10));
        old.headers.remove(HOST);
        assert_eq!(checked(&old), Ok(FALLBACK.into()));
        old.version = Version::HTTP_11;
        assert_eq!(checked(&old), Err("invalid-host"));
    }

    #[test]
    fn http_2_heads_have_the_same_limits() {
        let many = head(|b| {
            (0..101).fold(b.version(Version::HTTP_2), |b, n| b.header(format!("x-{n}"), "1"))
        });
        assert_eq!(checked(&many), Err("too-many-headers"));
        let large = "a".repeat(33 << 10);
        let large = head(|b| b.version(Version::HTTP_2).header("x", large));
        assert_eq!(checked(&large), Err("header-section-too-large"));
        let long = head(|b| b.uri(format!("/{}", "a".repeat(64))));
        assert_eq!(checked(&long), Err("url-too-long"));
    }

    #[test]
    fn only_one_expectation_can_be_met() {
        assert!(checked(&head(|b| b.header(EXPECT, "100-Continue"))).is_ok());
        assert_eq!(checked(&head(|b| b.header(EXPECT, "tea"))), Err("expectation-failed"));
    }

    #[test]
    fn an_idempotency_key_is_one_visible_word() {
        let key = |values: &[&str]| {
            let parts =
                head(|b| values.iter().fold(b, |b, value| b.header("idempotency-key", *value)));
            check_idempotency_key(Fields::from(&parts.headers)).is_ok()
        };
        assert!(key(&[]) && key(&["a"]) && key(&["\"8e03978e\""]) && key(&[&"a".repeat(255)]));
        assert!(!key(&[""]) && !key(&["a b"]) && !key(&["a", "b"]) && !key(&[&"a".repeat(256)]));
    }

    #[test]
    fn a_component_sees_neither_hop_fields_nor_what_only_the_host_may_say() {
        let fields = [
            ("accept", "*/*"),
            ("connection", "close, X-Hop, content-length"),
            ("x-hop", "1"),
            ("content-length", "5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("spin-full-url", "http://evil"),
            ("spin-path-match-id", "1"),
            ("nexus-principal", "root"),
            ("nexus-caller", "root"),
            ("nexus-now", "0"),
            ("nexus-affinity", "a"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
            ("authorization", "Basic x"),
        ];
        let all = || {
            let pair =
                |(n, v): (&str, &str)| (n.parse().unwrap(), HeaderValue::from_str(v).unwrap());
            HeaderMap::from_iter(fields.map(pair))
        };
        let left = |trusted: bool| {
            let mut headers = all();
            let names = Names::of(&headers);
            clean(&mut headers, names, trusted);
            let mut names: Vec<_> = headers.keys().map(|name| name.to_string()).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(left(false), "accept authorization content-length");
        assert_eq!(left(true), "accept authorization content-length x-forwarded-for x-real-ip");
    }
}
