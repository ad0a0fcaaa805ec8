//! A client that breaks the rules of HTTP gets the right status, and nobody else notices.

use nexus_harness::prelude::*;

async fn host() -> Nexus {
    Nexus::setup().components(&[probe("hello")]).without_database().start().await
}

/// Sends bytes on a connection of their own and reads until the host closes it.
async fn converse(nexus: &Nexus, bytes: &[u8]) -> String {
    let mut raw = nexus.connect().await;
    raw.send(bytes).await;
    raw.end_of_input().await;
    raw.read_to_end().await
}

fn statuses(conversation: &str) -> Vec<&str> {
    let lines = conversation.lines().filter(|line| line.starts_with("HTTP/1.1 "));
    lines.map(|line| &line[9..12]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_request_is_refused_and_nothing_is_read_after_it() {
    let nexus = host().await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    let lengths = "POST / HTTP/1.1\r\nhost: x\r\n";
    for (name, head) in [
        ("CL.TE", "content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("TE.CL", "transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n"),
        ("two lengths", "content-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
        ("a list of lengths", "content-length: 5, 6\r\n\r\nhello"),
        ("a signed length", "content-length: +5\r\n\r\nhello"),
        ("an unknown coding", "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("a coding list", "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        ("two codings", "transfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n0\r\n\r\n"),
        ("folded header", "x-a: b\r\n c\r\ncontent-length: 0\r\n\r\n"),
        ("space before colon", "content-length : 5\r\n\r\nhello"),
        ("a bare line feed in the head", "x-a: b\ncontent-length: 0\r\n\r\n"),
        ("a bare carriage return", "x-a: b\rc\r\ncontent-length: 0\r\n\r\n"),
        ("a nul in a value", "x-a: b\0c\r\ncontent-length: 0\r\n\r\n"),
    ] {
        let said = converse(&nexus, format!("{lengths}{head}{smuggled}").as_bytes()).await;
        let statuses = statuses(&said);
        assert!(statuses.len() <= 1, "{name}: a second request was read: {said}");
        let refused = statuses.iter().all(|s| ["400", "411", "501"].contains(s));
        assert!(refused, "{name}: {said}");
    }
    nexus.anonymous().get("/hello").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_after_a_body_that_breaks_off() {
    let nexus = host().await;
    let chunks = "transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n";
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    let said = format!("POST / HTTP/1.1\r\nhost: x\r\n{chunks}{smuggled}");
    let answers = converse(&nexus, said.as_bytes()).await;
    // The guest may have answered before it came to the broken part.
    assert!(statuses(&answers).len() <= 1, "a second request was read: {answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_has_its_own_status() {
    let nexus = host().await;
    let long = "x".repeat(40_000);
    for (name, request, status) in [
        ("url", format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"), "414"),
        ("header", format!("GET / HTTP/1.1\r\nhost: x\r\nx-a: {long}\r\n\r\n"), "431"),
        (
            "number of headers",
            format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-a: b\r\n".repeat(300)),
            "431",
        ),
        (
            "body",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n".to_string(),
            "413",
        ),
    ] {
        let said = converse(&nexus, request.as_bytes()).await;
        assert_eq!(statuses(&said), [status], "{name}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_open_tunnels_are_refused() {
    let nexus = host().await;
    for method in ["CONNECT x:443", "TRACE /"] {
        let said =
            converse(&nexus, format!("{method} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
        let refused = statuses(&said).iter().all(|s| ["400", "405", "501"].contains(s));
        assert!(refused, "{method}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_answered_or_hung_up_on_and_the_next_client_is_served() {
    let nexus = host().await;
    for garbage in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n"] {
        let said = converse(&nexus, garbage).await;
        assert!(statuses(&said).iter().all(|s| s.starts_with('4')), "{said}");
    }
    nexus.anonymous().get("/hello").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn half_requests_hold_nobody_up() {
    let nexus = host().await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut raw = nexus.connect().await;
        raw.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhal").await;
        slow.push(raw);
        let mut raw = nexus.connect().await;
        raw.send("GET / HTTP/1.1\r\nho").await;
        slow.push(raw);
    }
    for _ in 0..20 {
        nexus.anonymous().get("/hello").await.ok();
    }
    drop(slow);
    nexus.anonymous().get("/hello").await.ok();
}
