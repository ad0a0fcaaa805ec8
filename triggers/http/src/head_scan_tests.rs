//! The scanner against every way of cutting a stream.

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 2048, headers: 8, url_bytes: 256 };

fn scan(text: &[u8]) -> Result<u64, Refused> {
    let mut scanner = Scanner::new(LIMITS);
    scanner.scan(text).map(|()| scanner.heads())
}

/// The same stream in two reads, cut at every place, must come to the same verdict.
fn verdict(text: &str) -> Result<u64, &'static str> {
    let whole = scan(text.as_bytes()).map_err(|refused| refused.problem.name);
    for cut in 0..=text.len() {
        let mut scanner = Scanner::new(LIMITS);
        let (first, second) = text.as_bytes().split_at(cut);
        let parts = scanner.scan(first).and_then(|()| scanner.scan(second));
        let parts = parts.map(|()| scanner.heads()).map_err(|refused| refused.problem.name);
        assert_eq!(parts, whole, "cut at {cut}: {text:?}");
    }
    let mut scanner = Scanner::new(LIMITS);
    let bytewise = text.as_bytes().chunks(1).try_for_each(|byte| scanner.scan(byte));
    let bytewise = bytewise.map(|()| scanner.heads()).map_err(|refused| refused.problem.name);
    assert_eq!(bytewise, whole, "byte by byte: {text:?}");
    whole
}

#[test]
fn ordinary_requests_pass_and_are_counted() {
    for (text, heads) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 1),
        ("GET / HTTP/1.0\r\n\r\n", 1),
        ("GET / HTTP/1.1\r\nHost:a\r\n\r\nGET /b HTTP/1.1\r\nhost: a \r\n\r\n", 2),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\
             helloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            2,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n\
             5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            2,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             A;x=\"y\"\r\n0123456789\r\n000\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            2,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n\
             GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            2,
        ),
    ] {
        assert_eq!(verdict(text), Ok(heads), "{text:?}");
    }
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\n";
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "Content-Length: 5, 5\r\n\r\n",
        "Content-Length: +5\r\n\r\n",
        "Content-Length: 0x5\r\n\r\n",
        "Content-Length: \r\n\r\n",
        "Content-Length: 99999999999999999999\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n",
        "Transfer-Encoding:\x0bchunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n",
        " Transfer-Encoding: chunked\r\n\r\n",
        "X: a\r\n\tfolded\r\n\r\n",
        "X: a\r\n folded: b\r\n\r\n",
        "X: a\n\r\n",
        "X: a\r\n\n",
        "X: a\rb\r\n\r\n",
        "X\0: a\r\n\r\n",
        "X: a\0b\r\n\r\n",
        ": a\r\n\r\n",
        "X\r\n\r\n",
    ] {
        assert_eq!(verdict(&format!("{head}{fields}")), Err("malformed-request"), "{fields:?}");
    }
}

#[test]
fn broken_request_lines_are_refused() {
    for (line, name) in [
        ("GET / HTTP/1.1 \r\n", "malformed-request"),
        ("GET  / HTTP/1.1\r\n", "malformed-request"),
        ("GET /\r\n", "malformed-request"),
        ("GET\t/ HTTP/1.1\r\n", "malformed-request"),
        ("GET / HTTP/1.1\n", "malformed-request"),
        ("G(T / HTTP/1.1\r\n", "malformed-request"),
        ("GET /\u{e9} HTTP/1.1\r\n", "malformed-request"),
        ("GET / http/1.1\r\n", "malformed-request"),
        ("GET / HTTP/2.0\r\n", "version-not-supported"),
        ("GET / HTTP/0.9\r\n", "version-not-supported"),
    ] {
        assert_eq!(verdict(&format!("{line}Host: a\r\n\r\n")), Err(name), "{line:?}");
    }
}

#[test]
fn a_host_is_named_exactly_once() {
    assert_eq!(verdict("GET / HTTP/1.1\r\n\r\n"), Err("invalid-host"));
    assert_eq!(verdict("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), Err("invalid-host"));
    assert_eq!(verdict("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), Err("invalid-host"));
}

#[test]
fn http_1_0_has_no_transfer_encoding() {
    let text = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(verdict(text), Err("malformed-request"));
}

#[test]
fn broken_chunks_are_refused_inside_the_body() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "0x5\r\nhello\r\n",
        "-1\r\n",
        "\r\n",
        "fffffffffffffffff\r\n",
        "5;a\rb\r\nhello\r\n",
        "5;\0\r\nhello\r\n",
        "0\r\n\n",
        "0\r\nX: a\n\r\n",
        "0\r\n folded\r\n\r\n",
    ] {
        let text = format!("{head}{body}");
        assert_eq!(verdict(&text), Err("malformed-request"), "{body:?}");
        let refused = scan(text.as_bytes()).unwrap_err();
        assert!(refused.in_body, "{body:?}");
        assert!(refused.sound >= head.len(), "the head was sound: {body:?}");
    }
}

#[test]
fn limits_hold_before_a_line_is_complete() {
    let long_url = format!("GET /{} HTTP/1.1\r\n", "a".repeat(300));
    assert_eq!(verdict(&long_url), Err("url-too-long"));
    assert_eq!(scan(&[b'a'; 400]).unwrap_err().problem.name, "url-too-long");
    let long_field = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(2048));
    assert_eq!(verdict(&long_field), Err("header-section-too-large"));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: a\r\n".repeat(8));
    assert_eq!(verdict(&many), Err("too-many-headers"));
    assert_eq!(verdict(&"\r\n".repeat(2000)), Err("header-section-too-large"));
}

#[test]
fn a_bad_request_behind_a_good_one_leaves_the_good_one_alone() {
    let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let refused = scan(format!("{good}GET / HTTP/1.1\nHost: a\r\n\r\n").as_bytes()).unwrap_err();
    assert_eq!(refused.sound, good.len());
    assert!(!refused.in_body);
}

#[test]
fn a_stream_knows_when_it_is_between_messages() {
    let mut scanner = Scanner::new(LIMITS);
    assert!(scanner.is_between());
    scanner.scan(b"GET / HT").unwrap();
    assert!(scanner.is_in_head() && !scanner.is_between());
    scanner.scan(b"TP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n").unwrap();
    assert!(!scanner.is_in_head());
    scanner.scan(b"ok").unwrap();
    assert!(scanner.is_between());
}
