//! Oversized, slow and greedy clients: each limit has its own answer.

use crate::clients::{Raw, raw};
use crate::host::{Host, until, within};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn heads_have_limits_and_each_its_own_problem() {
    let host = Host::start();
    let head = |rest: &str| format!("GET /echo/x HTTP/1.1\r\nHost: a\r\n{rest}\r\n");
    for (request, status, name) in [
        (head(&format!("X: {}\r\n", "a".repeat(33 << 10))), 431, "header-section-too-large"),
        (head(&"X: a\r\n".repeat(100)), 431, "too-many-headers"),
        (
            format!("GET /echo/{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9 << 10)),
            414,
            "url-too-long",
        ),
        // never finished: refused as soon as it is too long
        (format!("GET /{}", "a".repeat(20 << 10)), 414, "url-too-long"),
    ] {
        let answer = raw(host.address(), request).await;
        answer.is_problem(status, name);
        assert_eq!(answer.field("connection"), "close");
    }
    let full = head(&format!("X: {}\r\n", "a".repeat(31 << 10)));
    assert_eq!(raw(host.address(), full).await.status, 200, "below the limit");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_says_it_is_too_large_is_refused_unread() {
    let host = Host::start();
    let mut raw = Raw::open(host.address()).await;
    raw.say("POST /small/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n").await;
    let answer = raw.answer().await.unwrap();
    answer.is_problem(413, "body-too-large");
    assert!(answer.json()["detail"].as_str().unwrap().contains("1000"));
    assert_eq!(answer.field("connection"), "close");

    let mut raw = Raw::open(host.address()).await;
    let continues = "POST /small/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n";
    raw.say(format!("{continues}Content-Length: 1001\r\n\r\n")).await;
    raw.answer().await.unwrap().is_problem(413, "body-too-large");

    let mut raw = Raw::open(host.address()).await;
    raw.say(format!("{continues}Content-Length: 5\r\n\r\n")).await;
    raw.hears("HTTP/1.1 100 Continue\r\n\r\n").await;
    raw.say("hello").await;
    assert_eq!(raw.answer().await.unwrap().json()["body"], 5);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_ends_the_connection_behind_a_long_body_that_nobody_read() {
    let host = Host::start();
    for (path, length, ends) in [
        ("/echo/status/422", 100_000, true),
        ("/nobody", 100_000, true),
        ("/echo/swallow/422", 100_000, false),
        ("/echo/swallow", 100_000, false),
        ("/echo/status/422", 5, false),
        ("/echo/status/422", 0, false),
    ] {
        let mut raw = Raw::open(host.address()).await;
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        raw.say(format!("{head}{}", "a".repeat(length))).await;
        let answer = raw.answer().await.unwrap();
        assert_eq!(answer.field("connection") == "close", ends, "{path} {length}");
        if ends {
            raw.is_closed().await;
            continue;
        }
        raw.say("GET /echo/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(raw.answer().await.unwrap().status, 200, "{path} {length}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_that_grows_too_large_is_cut_whatever_the_component_does() {
    let host = Host::start();
    for path in ["/small/x", "/small/swallow"] {
        let mut raw = Raw::open(host.address()).await;
        raw.say(format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"))
            .await;
        let chunk = format!("200\r\n{}\r\n", "a".repeat(0x200));
        raw.say(&chunk).await;
        raw.say(&chunk).await;
        let answer = raw.answer().await.unwrap();
        answer.is_problem(413, "body-too-large");
        assert_eq!(answer.field("connection"), "close", "{path}");
        raw.is_closed().await;
    }
    let fits = format!("3e8\r\n{}\r\n0\r\n\r\n", "a".repeat(1000));
    let head = "POST /small/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(raw(host.address(), format!("{head}{fits}")).await.json()["body"], 1000);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_body_does_not_take_the_answer_with_it() {
    let host = Host::start();
    // The client goes on sending megabytes and reads only then.
    let mut raw = Raw::open(host.address()).await;
    raw.say("POST /small/x HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n").await;
    raw.say(vec![b'a'; 200_000]).await;
    raw.answer().await.unwrap().is_problem(413, "body-too-large");
    raw.is_closed().await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_answered_408_and_a_silent_client_let_go() {
    let host = Host::with(|config| {
        config.limits.head_timeout = Duration::from_millis(200);
        config.limits.keep_alive = Duration::from_millis(300);
    });
    let mut slow = Raw::open(host.address()).await;
    let began = Instant::now();
    slow.say("GET /echo/x HTTP/1.1\r\nHost").await;
    let answer = slow.answer().await.unwrap();
    answer.is_problem(408, "head-timeout");
    assert!(began.elapsed() >= Duration::from_millis(190));
    slow.is_closed().await;

    let mut silent = Raw::open(host.address()).await;
    silent.is_closed().await;

    // A trickle does not buy time, also not on a connection that has been useful.
    let mut trickle = Raw::open(host.address()).await;
    trickle.say("GET /echo/ignore HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(trickle.answer().await.unwrap().text(), "ignored");
    let began = Instant::now();
    let mut said = 0;
    while began.elapsed() < Duration::from_millis(250) {
        let _gone = within(trickle.stream.try_write_byte(said)).await;
        said += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    trickle.answer().await.unwrap().is_problem(408, "head-timeout");

    let mut idle = Raw::open(host.address()).await;
    idle.say("GET /echo/ignore HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(idle.answer().await.unwrap().text(), "ignored");
    let began = Instant::now();
    idle.is_closed().await;
    assert!(began.elapsed() >= Duration::from_millis(250), "kept alive for a while");
    assert_eq!(host.snapshot().timeouts, 2);
    host.stop().await;
}

/// Writes byte `n` of an endless header field.
trait Trickle {
    async fn try_write_byte(&mut self, n: usize) -> std::io::Result<()>;
}

impl Trickle for TcpStream {
    async fn try_write_byte(&mut self, n: usize) -> std::io::Result<()> {
        let text = b"GET /echo/x HTTP/1.1\r\nX: ";
        let byte = text.get(n).copied().unwrap_or(b'a');
        tokio::io::AsyncWriteExt::write_all(self, &[byte]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_answered_408_whatever_the_component_does() {
    let host = Host::with(|config| {
        config.limits.body_grace = Duration::from_millis(150);
        config.limits.body_rate_min = 100_000;
    });
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut silent = Raw::open(host.address()).await;
        silent.say(format!("POST /echo/swallow HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")).await;
        let answer = silent.answer().await.unwrap();
        answer.is_problem(408, "body-timeout");
        assert_eq!(answer.field("connection"), "close");
        silent.is_closed().await;
    }
    // Never silent for long, and still too slow.
    let mut trickle = Raw::open(host.address()).await;
    trickle.say("POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n").await;
    let began = Instant::now();
    let mut answer = None;
    while answer.is_none() {
        assert!(began.elapsed() < Duration::from_secs(10), "a trickle went on for ever");
        let _gone = tokio::io::AsyncWriteExt::write_all(&mut trickle.stream, b"a").await;
        let soon = Duration::from_millis(20);
        answer = tokio::time::timeout(soon, trickle.answer()).await.ok().flatten();
    }
    answer.unwrap().is_problem(408, "body-timeout");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_takes_its_time_is_no_slow_client() {
    let host = Host::with(|config| {
        config.limits.head_timeout = Duration::from_millis(100);
        config.limits.keep_alive = Duration::from_millis(100);
        config.limits.body_grace = Duration::from_millis(100);
    });
    let mut raw = Raw::open(host.address()).await;
    raw.say("POST /echo/hold HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
    until("the call waits", || host.echo.holding() == 1).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    host.echo.release();
    assert_eq!(raw.answer().await.unwrap().text(), "released");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_bytes_is_cut_off() {
    let host = Host::with(|config| config.limits.write_stall = Duration::from_millis(200));
    let mut raw = Raw::open(host.address()).await;
    let size = 64 << 20;
    raw.say(format!("POST /echo/stream HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"))
        .await;
    // The echo fills our receive buffer, then the host's send buffer, then nothing moves.
    let chunk = vec![b'a'; 1 << 20];
    let began = Instant::now();
    loop {
        let sent = tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &chunk);
        match tokio::time::timeout(Duration::from_secs(10), sent).await {
            Ok(Ok(())) => assert!(began.elapsed() < Duration::from_secs(10)),
            Ok(Err(_cut_off)) => break,
            Err(_) => panic!("the connection hangs"),
        }
    }
    until("the connection is gone", || host.snapshot().connections_open == 0).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_caps_are_closed_at_once_and_counted() {
    let host = Host::with(|config| config.limits.connections_per_ip_max = 3);
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut raw = Raw::open(host.address()).await;
        raw.say("GET /echo/ignore HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(raw.answer().await.unwrap().status, 200);
        kept.push(raw);
    }
    let mut fourth = Raw::open(host.address()).await;
    fourth.is_closed().await;
    assert_eq!(host.snapshot().connections_refused, 1);
    assert_eq!(host.snapshot().connections_open, 3);
    kept.pop();
    until("its place is free", || host.snapshot().connections_open == 2).await;
    raw(host.address(), "GET /echo/ignore HTTP/1.1\r\nHost: a\r\n\r\n").await;
    host.stop().await;

    let denied = Host::with(|config| config.peers.deny = vec!["127.0.0.0/8".parse().unwrap()]);
    Raw::open(denied.address()).await.is_closed().await;
    denied.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_ends_its_call() {
    let host = Host::start();
    let mut raw = Raw::open(host.address()).await;
    raw.say("GET /echo/hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until("the call waits", || host.echo.holding() == 1).await;
    drop(raw);
    until("the call is dropped", || host.echo.dropped() == 1).await;
    until("it is counted", || host.snapshot().components["echo"].broken == 1).await;
    assert_eq!(host.snapshot().components["echo"].responses, [0, 0, 0, 1, 0], "as 499");
    host.stop().await;
}
