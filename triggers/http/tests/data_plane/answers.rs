//! What a component sees and what a client gets back, request by request.

use crate::clients::{Raw, ask, get, raw, send};
use crate::echo::MANIFEST;
use crate::host::Host;
use http::Request;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_component_sees_an_absolute_url_and_spins_fields() {
    let host = Host::start();
    let answer = ask(host.address(), get("/users/42/posts/?q=1")).await;
    assert_eq!(answer.status, 200);
    let seen = answer.json();
    assert_eq!(seen["uri"], "http://nexus.example/users/42/posts/?q=1");
    let headers = &seen["headers"];
    assert_eq!(headers["host"], "nexus.example");
    assert_eq!(headers["spin-full-url"], "http://nexus.example/users/42/posts/?q=1");
    assert_eq!(headers["spin-path-info"], "/posts/");
    assert_eq!(headers["spin-matched-route"], "/users/:id/...");
    assert_eq!(headers["spin-component-route"], "/users/:id");
    assert_eq!(headers["spin-path-match-id"], "42");
    assert!(headers["spin-client-addr"].as_str().unwrap().starts_with("127.0.0.1:"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_speak_for_the_host_or_for_a_proxy() {
    let host = Host::start();
    let request = get("/echo/x")
        .header("spin-full-url", "http://evil")
        .header("spin-forged", "1")
        .header("nexus-principal", "root")
        .header("nexus-caller", "root")
        .header("nexus-now", "0")
        .header("x-forwarded-for", "1.2.3.4")
        .header("forwarded", "for=1.2.3.4")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("te", "trailers");
    let seen = ask(host.address(), request).await.json();
    assert_eq!(seen["headers"]["spin-full-url"], "http://nexus.example/echo/x");
    for name in [
        "spin-forged",
        "nexus-principal",
        "nexus-caller",
        "nexus-now",
        "x-forwarded-for",
        "forwarded",
        "connection",
        "x-hop",
        "te",
    ] {
        assert_eq!(seen["headers"].get(name), None, "{name}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_speaks_for_its_client() {
    let trusted = |config: &mut trigger_http::HttpConfig| {
        config.peers.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    };
    let host = Host::with(trusted);
    let request = get("/echo/x")
        .header("x-forwarded-for", "6.6.6.6, 192.0.2.7")
        .header("x-forwarded-proto", "https");
    let answer = ask(host.address(), request).await;
    let seen = answer.json();
    assert_eq!(seen["headers"]["spin-client-addr"], "192.0.2.7:0");
    assert_eq!(seen["headers"]["spin-full-url"], "https://nexus.example/echo/x");
    assert!(answer.field("strict-transport-security").starts_with("max-age="));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_one_id_and_one_trace_everywhere() {
    let host = Host::start();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = get("/echo/x").header("x-request-id", "r-1").header("traceparent", parent);
    let answer = ask(host.address(), request).await;
    assert_eq!(answer.field("x-request-id"), "r-1");
    let seen = answer.json();
    assert_eq!(seen["request_id"], "r-1");
    let own = seen["traceparent"].as_str().unwrap();
    assert!(own.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && own != parent, "{own}");

    let answer = ask(host.address(), get("/nowhere").header("x-request-id", "a b")).await;
    answer.is_problem(404, "no-route");
    assert_ne!(answer.field("x-request-id"), "a b");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_bodiless_statuses_and_odd_components_make_valid_responses() {
    let host = Host::start();
    let mut raw = Raw::open(host.address()).await;
    // Each on the same connection: a body where none belongs would break the next answer.
    for (method, path, status, length) in [
        ("HEAD", "/echo/ignore", 200, "7"),
        ("GET", "/echo/status/204", 204, ""),
        ("GET", "/echo/status/304", 304, ""),
        ("HEAD", "/echo/status/404", 404, "6"),
        ("OPTIONS", "*", 204, ""),
    ] {
        raw.say(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let (got, headers) = raw.head().await.unwrap();
        let got_length = headers.get("content-length").map_or("", |v| v.to_str().unwrap());
        assert_eq!((got.as_u16(), got_length), (status, length), "{method} {path}");
        assert!(!headers.contains_key("transfer-encoding"), "{method} {path}");
    }
    raw.say("GET /echo/status/200 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = raw.answer().await.unwrap();
    assert_eq!(answer.text(), "a body");
    assert_eq!(answer.field("x-own"), "kept");
    assert_ne!(answer.field("x-request-id"), "forged");
    assert_eq!(answer.field("server"), "nexus");
    for name in ["connection", "keep-alive", "upgrade", "transfer-encoding"] {
        assert_eq!(answer.field(name), "", "{name}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_a_component_are_the_hosts_problems() {
    let host = Host::start();
    ask(host.address(), get("/echo/trap")).await.is_problem(500, "trapped");
    ask(host.address(), get("/echo/status/101")).await.is_problem(502, "bad-response");
    host.echo.deactivate("broken");
    let answer = ask(host.address(), get("/broken")).await;
    answer.is_problem(503, "not-active");
    assert_eq!(answer.field("retry-after"), "5");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_generation_is_routed_at_once() {
    let host = Host::start();
    let mut raw = Raw::open(host.address()).await;
    let ask = "GET /new/x HTTP/1.1\r\nHost: a\r\n\r\n";
    raw.say(ask).await;
    raw.answer().await.unwrap().is_problem(404, "no-route");
    host.echo.activate(&MANIFEST.replace("/broken", "/new/..."));
    raw.say(ask).await;
    assert_eq!(raw.answer().await.unwrap().status, 200);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_hosts_and_keys_are_checked_before_anything_else() {
    let host = Host::start();
    let address = host.address();
    for (request, status, name) in [
        ("TRACE /echo/x HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method-not-allowed"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405, "method-not-allowed"),
        ("BREW /echo/x HTTP/1.1\r\nHost: a\r\n\r\n", 501, "method-not-implemented"),
        ("GET /echo/x HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "invalid-host"),
        ("GET /echo/x HTTP/1.1\r\nHost:\r\n\r\n", 400, "invalid-host"),
        ("GET /echo/x HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417, "expectation-failed"),
        (
            "GET /echo/x HTTP/1.1\r\nHost: a\r\nIdempotency-Key: a b\r\n\r\n",
            400,
            "invalid-idempotency-key",
        ),
    ] {
        raw(address, request).await.is_problem(status, name);
    }
    let answer = raw(address, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.field("allow").contains("GET"));
    let absolute = "GET http://b.example/echo/x HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(raw(address, absolute).await.json()["uri"], "http://b.example/echo/x");
    let upgrade = "GET /echo/x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
    assert_eq!(raw(address, upgrade).await.status, 200, "an upgrade is ignored");
    let old = raw(address, "GET /echo/x HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.json()["headers"]["host"], "localhost:8080");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_counted_once_under_its_component() {
    let host = Host::start();
    let post = || Request::post("/echo/x").header("host", "a");
    assert_eq!(send(host.address(), post(), "hello").await.json()["body"], json!(5));
    ask(host.address(), get("/echo/trap")).await;
    ask(host.address(), get("/nowhere")).await;
    raw(host.address(), "nonsense\r\n\r\n").await.is_problem(400, "malformed-request");
    let all = || host.snapshot().components.values().map(|c| c.requests()).sum::<u64>();
    crate::host::until("four requests are counted", || all() == 4).await;
    let snapshot = host.snapshot();
    assert_eq!(snapshot.components["echo"].responses, [0, 1, 0, 0, 1]);
    assert_eq!(snapshot.components["host"].responses, [0, 0, 0, 2, 0]);
    assert_eq!(snapshot.connections, 4);
    host.stop().await;
}
