//! One body to the collector: one connection each, retried a few times when the collector says it
//! is worth it (OTLP specification, "Retryable Response Codes").

use super::Collector;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Tries per body; a collector that restarts is back by then, and memory stays bounded.
const ATTEMPTS_MAX: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the collector cannot be reached: {0}")]
    Unreachable(String),
    #[error("the collector did not answer within {0:?}")]
    Slow(Duration),
    #[error("the collector answered {0}")]
    Refused(http::StatusCode),
}

impl Failure {
    fn is_worth_retrying(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Slow(_) => true,
            Self::Refused(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        }
    }
}

/// Posts an encoded request until it is taken, refused for good, or tried often enough.
pub(super) async fn deliver(collector: &Collector, body: Vec<u8>) -> Result<(), Failure> {
    let body = Bytes::from(body);
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        let post = timeout(collector.timeout, post(collector, body.clone())).await;
        match post.unwrap_or(Err(Failure::Slow(collector.timeout))) {
            Err(failure) if failure.is_worth_retrying() && attempt < ATTEMPTS_MAX => {
                sleep(pause).await;
                pause *= 2;
            }
            outcome => return outcome,
        }
    }
    unreachable!("the loop returns with its last attempt")
}

async fn post(collector: &Collector, body: Bytes) -> Result<(), Failure> {
    let unreachable = |error: &dyn std::fmt::Display| Failure::Unreachable(error.to_string());
    let host = collector.endpoint.host_str().unwrap_or_default();
    let port = collector.endpoint.port_or_known_default().unwrap_or(4318);
    // An IPv6 address stands in brackets in a URL and without them in a socket address.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await.map_err(|e| unreachable(&e))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|e| unreachable(&e))?;
    let driver = tokio::spawn(connection);
    let mut request = http::Request::post(path(collector))
        .header(HOST, format!("{host}:{port}"))
        .header(CONTENT_TYPE, "application/x-protobuf")
        .header(USER_AGENT, "nexus-otlp");
    for (name, value) in &collector.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body)).map_err(|e| unreachable(&e))?;
    let response = sender.send_request(request).await.map_err(|e| unreachable(&e))?;
    driver.abort();
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(Failure::Refused(status)) }
}

fn path(collector: &Collector) -> String {
    let path = collector.endpoint.path();
    collector.endpoint.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}
