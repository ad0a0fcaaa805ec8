//! Clients: one that says exactly the bytes it is told, and hyper's own for both protocols.

use crate::host::within;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that this is the host's problem `name`, complete and consistent.
    #[track_caller]
    pub fn is_problem(&self, status: u16, name: &str) {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.field("content-type"), "application/problem+json", "{text}");
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/host/{name}"), "{text}");
        assert_eq!(self.status.as_u16(), status, "{text}");
        assert_eq!(problem["status"], status, "{text}");
        assert_eq!(problem["instance"], self.field("x-request-id"), "{text}");
        assert_eq!(self.field("x-content-type-options"), "nosniff");
    }
}

/// A connection on which any bytes can be said.
pub struct Raw<S = TcpStream> {
    pub stream: S,
    buffer: BytesMut,
}

impl Raw {
    pub async fn open(address: SocketAddr) -> Self {
        Self::over(within(TcpStream::connect(address)).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn over(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.stream.write_all(bytes.as_ref())).await.unwrap();
        within(self.stream.flush()).await.unwrap();
    }

    /// Reads more; false at the end of the stream (a reset counts as one).
    async fn more(&mut self) -> bool {
        within(self.stream.read_buf(&mut self.buffer)).await.unwrap_or(0) > 0
    }

    /// One response head; None when the connection ends first.
    pub async fn head(&mut self) -> Option<(StatusCode, HeaderMap)> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            if !self.more().await {
                assert!(self.buffer.is_empty(), "cut head: {:?}", self.buffer);
                return None;
            }
        };
        let head = self.buffer.split_to(end + 4);
        let text = std::str::from_utf8(&head).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        Some((status, fields.collect()))
    }

    /// One response with a body of known length (or none).
    pub async fn answer(&mut self) -> Option<Answer> {
        let (status, headers) = self.head().await?;
        let length = headers.get("content-length").map_or("0", |v| v.to_str().unwrap());
        let length: usize = length.parse().unwrap();
        while self.buffer.len() < length {
            assert!(self.more().await, "cut body");
        }
        let body = self.buffer.split_to(length).freeze();
        Some(Answer { status, headers, body })
    }

    /// Everything until the stream ends.
    pub async fn rest(&mut self) -> Bytes {
        while self.more().await {}
        self.buffer.split().freeze()
    }

    /// Reads until what has arrived contains `text`, and forgets it.
    pub async fn hears(&mut self, text: &str) {
        loop {
            let found = self.buffer.windows(text.len()).position(|w| w == text.as_bytes());
            if let Some(at) = found {
                let _heard = self.buffer.split_to(at + text.len());
                return;
            }
            assert!(self.more().await, "ended without {text:?}: {:?}", self.buffer);
        }
    }

    /// The connection must end without another byte.
    pub async fn is_closed(&mut self) {
        let rest = self.rest().await;
        assert!(rest.is_empty(), "more was said: {:?}", String::from_utf8_lossy(&rest));
    }
}

/// Says `bytes` on a new connection and takes one answer.
pub async fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Answer {
    let mut raw = Raw::open(address).await;
    raw.say(bytes).await;
    raw.answer().await.expect("an answer")
}

pub fn get(path: &str) -> http::request::Builder {
    Request::get(path).header("host", "nexus.example")
}

/// One request over HTTP/1.1.
pub async fn ask(address: SocketAddr, request: http::request::Builder) -> Answer {
    send(address, request, "").await
}

pub async fn send(
    address: SocketAddr,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    send_over(stream, request, body).await
}

pub async fn send_over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> Answer {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = request.body(Full::new(body.into())).unwrap();
    let answer = whole(within(sender.send_request(request)).await.unwrap()).await;
    drop(sender);
    driver.abort();
    answer
}

pub async fn whole(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = within(body.collect()).await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub type Http2 = http2::SendRequest<Full<Bytes>>;

/// An HTTP/2 connection with prior knowledge.
pub async fn http2(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> (Http2, tokio::task::JoinHandle<Result<(), hyper::Error>>) {
    let io = TokioIo::new(stream);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    (sender, tokio::spawn(connection))
}
