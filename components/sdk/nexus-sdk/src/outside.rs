//! Asking somebody outside of the suite: one request, one time limit over all of it, and as much
//! of the answer as was asked for.
//!
//! Knows HTTP and which errors are the host's refusals. Refuses redirects, retries and cookies;
//! where a request may go is decided by the host, from `allowed_outbound_hosts` and the address
//! that the name stands for.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use spin_sdk::http::{FullBody, Request, Response, send};
use spin_sdk::wasip3::http::types::{ErrorCode, RequestOptions};
use spin_sdk::wasip3::http_compat::RequestOptionsExtension;

/// A request to somebody outside, not sent yet.
#[derive(Debug)]
#[must_use = "a letter does nothing until it is sent"]
pub struct Letter {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
}

/// What came back, whatever its status.
#[derive(Debug)]
pub struct Echo {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The beginning of the body, or all of it.
    pub body: Vec<u8>,
}

/// Why nothing came back; the words are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The host does not let it go there, or it is no request: never will it be answered.
    Refused(String),
    /// Nobody answered, or not in time.
    Away(String),
}

/// A request to anybody; `url` is absolute.
pub fn letter(method: Method, url: impl Into<String>) -> Letter {
    Letter { method, url: url.into(), headers: HeaderMap::new(), body: Bytes::new() }
}

impl Letter {
    /// Sets a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Letter {
        self.headers.insert(name, value);
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Letter {
        self.body = body.into();
        self
    }

    /// Sends it and reads at most `body_bytes_max` of the answer, all within `wall`. A body that
    /// is longer, or breaks off after the head, is cut: the status is the answer.
    ///
    /// # Errors
    /// [`Unanswered`] when no status came.
    pub async fn send(self, wall: Duration, body_bytes_max: usize) -> Result<Echo, Unanswered> {
        let mut echo = None;
        let exchange = async { self.exchange(wall, body_bytes_max, &mut echo).await };
        let ended = within(wall, exchange).await;
        match (ended, echo) {
            (Some(Err(why)), _) => Err(why),
            (_, Some(echo)) => Ok(echo),
            _ => Err(Unanswered::Away(format!("no answer within {} s", wall.as_secs_f64()))),
        }
    }

    /// Fills `echo` in as the answer comes.
    async fn exchange(
        self,
        wall: Duration,
        body_bytes_max: usize,
        echo: &mut Option<Echo>,
    ) -> Result<(), Unanswered> {
        let request = Request::builder().method(self.method).uri(&self.url);
        let length = self.body.len();
        let request = request.body(FullBody::new(self.body));
        let mut request = request.map_err(|why| Unanswered::Refused(why.to_string()))?;
        *request.headers_mut() = self.headers;
        if length > 0 {
            // Otherwise the body travels in chunks, which some receivers do not take.
            request.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        }
        request.extensions_mut().insert(RequestOptionsExtension(options(wall)));
        let response = send(request).await.map_err(|code| unanswered(&code))?;
        let (parts, body) = Response::into_parts(response);
        let begun = Echo { status: parts.status, headers: parts.headers, body: Vec::new() };
        let echo = echo.insert(begun);
        let mut body = pin!(body);
        while echo.body.len() < body_bytes_max
            && let Some(Ok(frame)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await
        {
            let left = body_bytes_max - echo.body.len();
            let piece = frame.into_data().unwrap_or_default();
            echo.body.extend_from_slice(&piece[..piece.len().min(left)]);
        }
        Ok(())
    }
}

/// The same limit for the host, which then gives up by itself.
fn options(wall: Duration) -> RequestOptions {
    let options = RequestOptions::new();
    let nanoseconds = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
    // A host that knows no such limit is overtaken by our own clock.
    let _unknown = options.set_connect_timeout(Some(nanoseconds));
    let _unknown = options.set_first_byte_timeout(Some(nanoseconds));
    let _unknown = options.set_between_bytes_timeout(Some(nanoseconds));
    options
}

/// What a future gives within a limit.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut over = pin!(spin_sdk::time::sleep(limit));
    poll_fn(|cx| match Pin::new(&mut work).poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    })
    .await
}

fn unanswered(code: &ErrorCode) -> Unanswered {
    let refused = |words: &str| Unanswered::Refused(words.to_owned());
    match code {
        ErrorCode::HttpRequestDenied => refused("this installation does not let requests go there"),
        ErrorCode::DestinationIpProhibited => refused("the address is not a public one"),
        ErrorCode::HttpRequestUriInvalid => refused("the URL cannot be asked"),
        ErrorCode::HttpRequestUriTooLong => refused("the URL is too long"),
        ErrorCode::HttpRequestMethodInvalid => refused("the method is none"),
        ErrorCode::HttpRequestHeaderSectionSize(_) => refused("the headers are too long"),
        ErrorCode::ConnectionReadTimeout | ErrorCode::ConnectionTimeout => {
            Unanswered::Away("no answer in time".into())
        }
        ErrorCode::DnsError(_) => Unanswered::Away("the name has no address".into()),
        ErrorCode::ConnectionRefused => Unanswered::Away("the connection was refused".into()),
        ErrorCode::TlsCertificateError => {
            Unanswered::Away("the certificate is not to be trusted".into())
        }
        other => Unanswered::Away(format!("the exchange broke off ({other:?})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_refuses_is_told_apart_from_what_may_answer_later() {
        for code in [ErrorCode::HttpRequestDenied, ErrorCode::DestinationIpProhibited] {
            assert!(matches!(unanswered(&code), Unanswered::Refused(_)), "{code:?}");
        }
        for code in [ErrorCode::ConnectionRefused, ErrorCode::HttpProtocolError] {
            assert!(matches!(unanswered(&code), Unanswered::Away(_)), "{code:?}");
        }
    }
}
