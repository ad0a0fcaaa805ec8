//! HTTP/2 with prior knowledge: the same answers, and floods that end.

use crate::clients::{Http2, Raw, get, http2, whole};
use crate::host::{Host, until, within};
use bytes::Bytes;
use futures::future::join_all;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

async fn connected(host: &Host) -> (Http2, tokio::task::JoinHandle<Result<(), hyper::Error>>) {
    http2(TcpStream::connect(host.address()).await.unwrap()).await
}

fn request(path: &str) -> http::request::Builder {
    Request::get(format!("http://nexus.example{path}"))
}

async fn ask(sender: &Http2, request: http::request::Builder) -> crate::clients::Answer {
    send(sender, request, "").await
}

async fn send(
    sender: &Http2,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> crate::clients::Answer {
    let request = request.body(Full::new(body.into())).unwrap();
    whole(within(sender.clone().send_request(request)).await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_share_a_connection() {
    let host = Host::start();
    let (sender, _driver) = connected(&host).await;
    let all = (0..300).map(|n| {
        let sender = sender.clone();
        async move {
            let path = format!("/users/{n}/x");
            let seen = ask(&sender, request(&path)).await.json();
            assert_eq!(seen["headers"]["spin-path-match-id"], n.to_string());
            assert_eq!(seen["headers"]["host"], "nexus.example");
        }
    });
    join_all(all).await;
    assert_eq!(host.snapshot().connections, 1);
    assert_eq!(host.snapshot().components["echo"].requests(), 300);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_problems_are_the_same() {
    let host = Host::start();
    let (sender, _driver) = connected(&host).await;
    let post = |path: &str| Request::post(format!("http://nexus.example{path}"));
    send(&sender, post("/small/x"), vec![0; 1001]).await.is_problem(413, "body-too-large");
    ask(&sender, request("/nowhere")).await.is_problem(404, "no-route");
    ask(&sender, request("/echo/trap")).await.is_problem(500, "trapped");
    let many = (0..101).fold(request("/echo/x"), |b, n| b.header(format!("x-{n}"), "1"));
    ask(&sender, many).await.is_problem(431, "too-many-headers");
    let large = request("/echo/x").header("x", "a".repeat(40 << 10));
    ask(&sender, large).await.is_problem(431, "header-section-too-large");
    let long = request(&format!("/echo/{}", "a".repeat(9 << 10)));
    ask(&sender, long).await.is_problem(414, "url-too-long");
    let split = request("/echo/x").header("host", "other.example");
    ask(&sender, split).await.is_problem(400, "invalid-host");
    let head = Request::head("http://nexus.example/echo/ignore");
    let answer = ask(&sender, head).await;
    assert_eq!((answer.field("content-length"), answer.body.len()), ("7", 0));
    assert_eq!(ask(&sender, request("/echo/status/204")).await.body.len(), 0);
    assert_eq!(ask(&sender, request("/echo/x")).await.status, 200, "the connection goes on");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_stream_and_a_cancelled_stream_ends_its_call() {
    let host = Host::start();
    let (sender, _driver) = connected(&host).await;
    let body = vec![7; 3 << 20];
    let echoed = send(&sender, Request::post("http://a/echo/stream"), body.clone()).await;
    assert!(echoed.body == body);

    let events = request("/echo/events").body(Full::new(Bytes::new())).unwrap();
    let response = within(sender.clone().send_request(events)).await.unwrap();
    let mut body = response.into_body();
    host.echo.emit("data: 1\n\n");
    let frame = within(body.frame()).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "data: 1\n\n");
    drop(body);

    let held = request("/echo/hold").body(Full::new(Bytes::new())).unwrap();
    let mut again = sender.clone();
    let held = tokio::spawn(async move { again.send_request(held).await.map(drop) });
    until("the call waits", || host.echo.holding() == 1).await;
    held.abort();
    until("the call is dropped", || host.echo.dropped() == 1).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_abandons_requests_by_the_hundred_is_disconnected() {
    let host = Host::with(|config| config.limits.resets_max = 50);
    let (sender, driver) = connected(&host).await;
    for n in 0.. {
        assert!(n < 1000, "the flood goes on");
        let held = request("/echo/hold").body(Full::new(Bytes::new())).unwrap();
        let mut again = sender.clone();
        let held = tokio::spawn(async move { again.send_request(held).await.map(drop) });
        // Abandoned only once it runs: what is reset before that is h2's to count.
        let runs = || host.echo.holding() + host.echo.dropped() > n || driver.is_finished();
        until("the call runs", runs).await;
        held.abort();
        if driver.is_finished() {
            break;
        }
    }
    assert_eq!(host.snapshot().floods, 1);
    until("no call is left", || host.echo.holding() == 0).await;
    assert_eq!(crate::clients::ask(host.address(), get("/echo/ignore")).await.status, 200);
    host.stop().await;
}

/// One HTTP/2 frame (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_block_without_end_is_cut_off() {
    let host = Host::start();
    let mut raw = Raw::open(host.address()).await;
    raw.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    raw.say(frame(4, 0, 0, &[])).await;
    raw.say(frame(1, 0, 1, &[0x82])).await;
    // CONTINUATION frames of literal fields (never indexed), END_HEADERS never set.
    let mut field = vec![0x10, 1, b'a', 0x7f, 0x81, 0x1e];
    field.extend([b'b'; 4000]);
    let flood = frame(9, 0, 1, &field);
    let mut said = 0;
    loop {
        let sent = tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &flood);
        match within(sent).await {
            Ok(()) => said += flood.len(),
            Err(_cut_off) => break,
        }
        assert!(said < 64 << 20, "64 MiB of one header block were accepted");
    }
    until("the connection is gone", || host.snapshot().connections_open == 0).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_of_streams_in_one_burst_are_cut_off() {
    let host = Host::start();
    let mut raw = Raw::open(host.address()).await;
    raw.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    raw.say(frame(4, 0, 0, &[])).await;
    // GET http /echo/hold with :authority a, then RST_STREAM(CANCEL), as fast as the wire takes it.
    let mut head = vec![0x82, 0x86, 0x04, 10];
    head.extend(b"/echo/hold");
    head.extend([0x01, 1, b'a']);
    let mut burst = Vec::new();
    for n in 0..20_000u32 {
        burst.extend(frame(1, 0x5, n * 2 + 1, &head));
        burst.extend(frame(3, 0, n * 2 + 1, &8u32.to_be_bytes()));
    }
    let _cut_off = within(tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &burst)).await;
    until("the connection is gone", || host.snapshot().connections_open == 0).await;
    until("no call is left", || host.echo.holding() == 0).await;
    let served = host.snapshot().components.get("echo").map_or(0, |c| c.requests());
    assert!(served < 2_000, "{served} of 20000 abandoned requests were begun");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_asked_to_leave() {
    let host = Host::with(|config| {
        config.limits.keep_alive = Duration::from_millis(200);
        config.limits.head_timeout = Duration::from_millis(200);
    });
    let (sender, driver) = connected(&host).await;
    assert_eq!(ask(&sender, request("/echo/ignore")).await.status, 200);
    let began = Instant::now();
    within(driver).await.unwrap().unwrap();
    assert!(began.elapsed() >= Duration::from_millis(150));
    // A client that says no more than hello is let go as well.
    let mut raw = Raw::open(host.address()).await;
    raw.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let _settings = raw.rest().await;
    until("both are gone", || host.snapshot().connections_open == 0).await;
    host.stop().await;
}
