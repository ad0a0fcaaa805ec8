//! What a server sees of a guest's head.

use crate::servers::*;
use capability_outbound_http::Origin;
use http::HeaderValue;
use nexus_runtime::TraceContext;
use std::sync::Arc;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-01";

fn traced(lines: &[&str]) -> Origin {
    let mut call = call("req-7");
    call.trace = TraceContext {
        traceparent: Some(HeaderValue::from_static(PARENT)),
        tracestate: Some(HeaderValue::from_static("a=b")),
    };
    Origin { call: Some(Arc::new(call)), ..origin(lines) }
}

#[tokio::test]
async fn the_hosts_own_fields_and_those_of_one_hop_never_leave() {
    let server = Server::start(mirror).await;
    let mut request = get(&server.url("/a?b=c"));
    for (name, value) in [
        ("nexus-principal", "e30"),
        ("nexus-caller", "bank"),
        ("nexus-now", "0"),
        ("nexus-anything", "1"),
        ("nexus-client-addr", "198.51.100.7:1"),
        ("nexus-client-agent", "Firefox"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=1"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("proxy-authorization", "Basic x"),
        ("host", "elsewhere.example"),
        ("accept", "text/plain"),
        ("authorization", "Bearer mine"),
    ] {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    let origin = traced(&[&server.url("")]);
    let sent = client(Default::default()).send(request, None, &origin).await;
    let seen = text(sent.expect("it is granted")).await;
    let mut lines: Vec<&str> = seen.lines().skip(1).collect();
    lines.sort_unstable();
    assert!(seen.starts_with("GET /a?b=c HTTP/1.1\n"), "{seen}");
    assert_eq!(
        lines,
        [
            "accept: text/plain",
            "authorization: Bearer mine",
            "body 0 bytes",
            &format!("host: {}", server.address),
            &format!("traceparent: {PARENT}"),
            "tracestate: a=b",
            "x-request-id: req-7",
        ]
    );
}

#[tokio::test]
async fn a_guests_own_trace_is_kept() {
    let server = Server::start(mirror).await;
    let mut request = get(&server.url("/"));
    request.headers_mut().insert("traceparent", HeaderValue::from_static(OTHER));
    request.headers_mut().insert("x-request-id", HeaderValue::from_static("mine"));
    let origin = traced(&[&server.url("")]);
    let sent = client(Default::default()).send(request, None, &origin).await;
    let seen = text(sent.expect("it is granted")).await;
    assert!(seen.contains(&format!("traceparent: {OTHER}\n")), "{seen}");
    assert!(!seen.contains("tracestate"), "{seen}");
    assert!(seen.contains("x-request-id: mine\n"), "{seen}");
}

#[tokio::test]
async fn fields_of_one_hop_do_not_reach_the_guest() {
    let server = Server::start(|_request| async {
        http::Response::builder()
            .header("connection", "keep-alive, x-hop")
            .header("x-hop", "1")
            .header("keep-alive", "timeout=9")
            .header("x-kept", "1")
            .body(nexus_runtime::full("ok"))
            .expect("a sound response")
    })
    .await;
    let origin = origin(&[&server.url("")]);
    let sent = client(Default::default()).send(get(&server.url("/")), None, &origin).await;
    let response = sent.expect("it is granted");
    let headers = response.headers();
    assert!(headers.contains_key("x-kept"));
    for name in ["connection", "x-hop", "keep-alive"] {
        assert!(!headers.contains_key(name), "{name} reached the guest");
    }
}
