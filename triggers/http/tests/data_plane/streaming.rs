//! Bodies flow in both directions as they come.

use crate::clients::Raw;
use crate::host::{Host, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_body_comes_back_while_it_is_still_being_sent() {
    let host = Host::start();
    let mut raw = Raw::open(host.address()).await;
    raw.say("POST /echo/stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    raw.say("5\r\nhello\r\n").await;
    let (status, headers) = raw.head().await.unwrap();
    assert_eq!(status, 200);
    assert_eq!(headers["transfer-encoding"], "chunked");
    raw.hears("5\r\nhello\r\n").await;
    raw.say("5\r\nagain\r\n").await;
    raw.hears("5\r\nagain\r\n").await;
    raw.say("0\r\n\r\n").await;
    raw.hears("0\r\n\r\n").await;
    raw.say("GET /echo/ignore HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(raw.answer().await.unwrap().text(), "ignored", "the connection goes on");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_one_by_one_and_a_listener_that_leaves_is_noticed() {
    let host = Host::start();
    let mut raw = Raw::open(host.address()).await;
    raw.say("GET /echo/events HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (_, headers) = raw.head().await.unwrap();
    assert_eq!(headers["content-type"], "text/event-stream");
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        host.echo.emit(event);
        raw.hears(event).await;
    }
    drop(raw);
    until("the stream ends", || host.snapshot().components["echo"].broken == 1).await;
    assert_eq!(host.snapshot().components["echo"].bytes_out, 27);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn megabytes_pass_unchanged() {
    let host = Host::start();
    let size = 8 << 20;
    let body: Vec<u8> = (0..size).map(|n: usize| (n * 31 % 251) as u8).collect();
    let request = http::Request::post("/echo/stream").header("host", "a");
    let answer = crate::clients::send(host.address(), request, body.clone()).await;
    assert!(answer.body == body, "{} of {size} bytes", answer.body.len());
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_breaks_off_is_not_mistaken_for_a_whole_one() {
    let host = Host::start();
    let mut raw = Raw::open(host.address()).await;
    raw.say("GET /echo/cut HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (status, _) = raw.head().await.unwrap();
    assert_eq!(status, 200);
    let rest = raw.rest().await;
    assert!(rest.starts_with(b"5\r\nfirst\r\n"), "{rest:?}");
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the end was not reached: {rest:?}");
    until("it is counted", || host.snapshot().components["echo"].broken == 1).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_of_a_told_length_is_whole_at_its_last_byte_and_not_before() {
    let host = Host::start();
    let counted = || host.snapshot().components.get("echo").map_or(0, |echo| echo.requests());
    let broken = || host.snapshot().components["echo"].broken;
    let five = "/echo/told/5 HTTP/1.1\r\nHost: a\r\n";
    let mut raw = Raw::open(host.address()).await;
    raw.say(format!("HEAD {five}\r\n")).await;
    let (_, headers) = raw.head().await.unwrap();
    assert_eq!(headers["content-length"], "5");
    raw.say(format!("GET {five}\r\n")).await;
    assert_eq!(raw.answer().await.unwrap().text(), "whole");
    raw.say(format!("GET {five}Connection: close\r\n\r\n")).await;
    assert_eq!(raw.answer().await.unwrap().text(), "whole");
    raw.is_closed().await;
    until("three requests are counted", || counted() == 3).await;
    assert_eq!(broken(), 0, "each was whole");
    let mut raw = Raw::open(host.address()).await;
    raw.say("GET /echo/told/6 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let heard = raw.rest().await;
    assert!(!heard.ends_with(b"whole!"), "the sixth never comes: {heard:?}");
    until("the fourth is counted", || counted() == 4).await;
    assert_eq!(broken(), 1, "a promise that was not kept");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_to_an_unread_body_ends_the_connection_cleanly() {
    let host = Host::start();
    let mut raw = Raw::open(host.address()).await;
    raw.say("POST /echo/ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 150000\r\n\r\n").await;
    raw.say(vec![b'a'; 1000]).await;
    assert_eq!(raw.answer().await.unwrap().text(), "ignored");
    // Whatever follows of the body must not be taken for a request.
    let _gone = tokio::io::AsyncWriteExt::write_all(
        &mut raw.stream,
        b"GET /echo/hold HTTP/1.1\r\nHost: a\r\n\r\n",
    )
    .await;
    raw.is_closed().await;
    assert_eq!(host.echo.holding(), 0);
    host.stop().await;
}
