//! A small HTTP/1.1 client for one loopback server: our own host. One request, one connection;
//! no TLS, no redirects, no compression, because none of it is met here.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A cold component compiles and migrates within this.
const LIMIT: Duration = Duration::from_secs(30);
/// No answer shown or polled here is longer.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// A request to be sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// `GET` when empty.
    pub method: &'a str,
    pub path: &'a str,
    /// Development or operator token, sent as `authorization: Bearer`.
    pub token: Option<&'a str>,
    pub headers: &'a [(&'a str, &'a str)],
    /// A JSON body.
    pub json: Option<&'a str>,
    /// A body of another kind; its media type is in `headers`.
    pub bytes: Option<&'a [u8]>,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Sends one request and reads the whole answer.
pub fn send(to: SocketAddr, request: &Request) -> Result<Reply> {
    let mut stream =
        TcpStream::connect_timeout(&to, LIMIT).with_context(|| format!("connect to {to}"))?;
    stream.set_read_timeout(Some(LIMIT)).context("bound the wait for an answer")?;
    stream.write_all(text(to, request).as_bytes()).with_context(|| format!("write to {to}"))?;
    if let Some(bytes) = request.bytes {
        stream.write_all(bytes).with_context(|| format!("write {} bytes to {to}", bytes.len()))?;
    }
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .with_context(|| format!("read the answer to {} {}", verb(request), request.path))?;
    let has_body = verb(request) != "HEAD";
    parse(&answer, has_body).with_context(|| format!("understand the answer to {}", request.path))
}

/// The method that a request is sent with.
pub fn verb<'a>(request: &Request<'a>) -> &'a str {
    if request.method.is_empty() { "GET" } else { request.method }
}

fn text(to: SocketAddr, request: &Request) -> String {
    let mut text = format!(
        "{} {} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\naccept: */*\r\n",
        verb(request),
        request.path
    );
    for (name, value) in request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(token) = request.token {
        text.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    let body = request.json.unwrap_or_default();
    if request.json.is_some() {
        text.push_str("content-type: application/json\r\n");
    }
    if !matches!(verb(request), "GET" | "HEAD") {
        let length = request.bytes.map_or(body.len(), <[u8]>::len);
        text.push_str(&format!("content-length: {length}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text
}

/// RFC 9112 §6: chunked, or a length, or until the connection closes.
fn parse(answer: &[u8], has_body: bool) -> Result<Reply> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        bail!("it has no end of headers");
    };
    let head = std::str::from_utf8(&answer[..end]).context("read the headers as text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.context("read the status line")?;
    let pair = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.filter_map(pair).collect();
    let mut reply = Reply { status, headers, body: String::new() };
    let mut body = answer[end + 4..].to_vec();
    if reply.header("transfer-encoding").is_some_and(|it| it.eq_ignore_ascii_case("chunked")) {
        body = unchunk(&body)?;
    } else if !has_body {
        body.clear();
    } else if let Some(length) =
        reply.header("content-length").and_then(|it| it.parse::<usize>().ok())
        && body.len() != length
    {
        bail!("{} of {length} bytes came", body.len());
    }
    reply.body = String::from_utf8_lossy(&body).into_owned();
    Ok(reply)
}

fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").context("find a chunk's size")?;
        let size = std::str::from_utf8(&rest[..end]).context("read a chunk's size")?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).context("read a chunk's size")?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Ok(whole);
        }
        let chunk = rest.get(..size).context("the answer ends inside a chunk")?;
        whole.extend_from_slice(chunk);
        rest = rest.get(size + 2..).context("the answer ends after a chunk")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_answer_is_put_together() {
        let reply = parse(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
              4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n",
            true,
        )
        .expect("it is whole");
        assert_eq!((reply.status, reply.body.as_str()), (200, "Wikipedia"));
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error() {
        let short = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfour";
        assert_eq!(parse(short, true).expect_err("6 bytes lack").to_string(), "4 of 10 bytes came");
        assert!(
            parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", true).is_err()
        );
        assert!(parse(b"HTTP/1.1 200", true).is_err());
    }

    #[test]
    fn a_request_is_sent_as_written() {
        let to = "127.0.0.1:8080".parse().expect("an address");
        let request = Request {
            method: "POST",
            path: "/x",
            token: Some("t"),
            headers: &[("idempotency-key", "1")],
            json: Some("{}"),
            bytes: None,
        };
        assert_eq!(
            text(to, &request),
            "POST /x HTTP/1.1\r\nhost: 127.0.0.1:8080\r\nconnection: close\r\naccept: */*\r\n\
             idempotency-key: 1\r\nauthorization: Bearer t\r\ncontent-type: application/json\r\n\
             content-length: 2\r\n\r\n{}"
        );
    }
}
