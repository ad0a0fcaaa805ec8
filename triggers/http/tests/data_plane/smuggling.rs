//! Requests that two parsers could read differently, over a real socket: refused with 400, and
//! nothing behind them is ever taken for a request.

use crate::clients::Raw;
use crate::host::{Host, until};

/// What an attacker hides behind the ambiguity.
const HIDDEN: &str = "GET /echo/hold HTTP/1.1\r\nHost: a\r\n\r\n";

async fn refused(host: &Host, request: &str) {
    let mut raw = Raw::open(host.address()).await;
    raw.say(format!("{request}{HIDDEN}")).await;
    let answer = raw.answer().await.unwrap_or_else(|| panic!("no answer: {request:?}"));
    answer.is_problem(400, "malformed-request");
    assert_eq!(answer.field("connection"), "close", "{request:?}");
    raw.is_closed().await;
    assert_eq!(host.echo.holding(), 0, "the hidden request was served: {request:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let host = Host::start();
    for fields in [
        // CL.TE and TE.CL, in both orders
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        // TE.TE: codings that one side may not recognise
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        // lengths
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "Content-Length: 5, 6\r\n\r\nhello",
        "Content-Length: 5 6\r\n\r\nhello",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: -5\r\n\r\nhello",
        "Content-Length: 0x5\r\n\r\nhello",
        "Content-Length: 5.\r\n\r\nhello",
        "Content-Length : 5\r\n\r\nhello",
        "Content-Length: 18446744073709551621\r\n\r\nhello",
        // line ends
        "X: y\n\r\n",
        "X: y\r\n\n",
        "X\0: y\r\n\r\n",
    ] {
        refused(&host, &format!("POST /echo/x HTTP/1.1\r\nHost: a\r\n{fields}")).await;
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_chunks_are_refused_while_the_component_reads() {
    let host = Host::start();
    let head = "POST /echo/swallow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "-1\r\n\r\n",
        "g\r\n\r\n",
        "\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "0\r\n\n",
        "0\r\nX: y\n\r\n",
    ] {
        refused(&host, &format!("{head}{body}")).await;
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_behind_good_ones_does_not_take_their_answers() {
    let host = Host::start();
    let mut raw = Raw::open(host.address()).await;
    let good = "GET /echo/x HTTP/1.1\r\nHost: a\r\n\r\n";
    let bad = "GET /echo/x HTTP/1.1\nHost: a\r\n\r\n";
    raw.say(format!("{good}{HIDDEN}{bad}{good}")).await;
    assert_eq!(raw.answer().await.unwrap().status, 200);
    until("the second request is served", || host.echo.holding() == 1).await;
    host.echo.release();
    assert_eq!(raw.answer().await.unwrap().text(), "released");
    raw.answer().await.unwrap().is_problem(400, "malformed-request");
    raw.is_closed().await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_with_bodies_keep_their_borders() {
    let host = Host::start();
    let mut raw = Raw::open(host.address()).await;
    let sized = "POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let chunked = "POST /echo/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 1\r\n\r\n";
    let text = format!("{sized}{chunked}\r\n{sized}{chunked}");
    // One byte at a time: no border may depend on how the bytes arrive.
    for byte in text.as_bytes() {
        raw.say([*byte]).await;
    }
    for length in [5, 7, 5, 7] {
        let answer = raw.answer().await.unwrap();
        assert_eq!(answer.json()["body"], length);
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_at_all_gets_a_400() {
    let host = Host::start();
    for noise in [
        "\x16\x03\x01\x02\0\x01\0\r\n",
        "GET\r\n\r\n",
        "EHLO mail.example\r\n",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "{}\r\n",
    ] {
        let mut raw = Raw::open(host.address()).await;
        raw.say(noise).await;
        let answer = raw.answer().await.unwrap_or_else(|| panic!("no answer: {noise:?}"));
        assert!(matches!(answer.status.as_u16(), 400 | 505), "{noise:?}: {}", answer.status);
        raw.is_closed().await;
    }
    host.stop().await;
}
