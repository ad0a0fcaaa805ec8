//! A response on its way out: what a component may not say, what every answer says, and the body
//! that counts itself and writes the access line when it is through.

use crate::credentials;
use crate::exchanges::Exchange;
use crate::identity::REQUEST_ID;
use crate::inbound::is_hop_by_hop;
use crate::metrics::Traffic;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, SERVER, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use nexus_observability::{Ended, ServerSpan};
use nexus_runtime::Response;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use wasmtime_wasi_http::{Error, WasiBody};

/// Removes hop-by-hop fields and lengths that are no length.
pub(crate) fn clean(headers: &mut HeaderMap) {
    let doomed: Vec<HeaderName> =
        headers.keys().filter(|name| is_hop_by_hop(name.as_str())).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let digits = |value: &HeaderValue| {
        (1..=18).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_digit)
    };
    let honest = lengths.next().is_none_or(digits) && lengths.next().is_none();
    if !honest {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Makes body and length agree with method and status (RFC 9110 sections 6.4.1 and 8.6): hyper
/// trusts us here.
pub(crate) fn shape(response: &mut Response, is_head: bool) {
    let exact = response.body().size_hint().exact();
    let (status, headers) = (response.status(), response.headers_mut());
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if bodiless {
        headers.remove(CONTENT_LENGTH);
    } else if is_head {
        if let (Some(length @ 1..), false) = (exact, headers.contains_key(CONTENT_LENGTH)) {
            headers.insert(CONTENT_LENGTH, length.into());
        }
    } else if exact.is_some() {
        headers.remove(CONTENT_LENGTH);
    }
    if bodiless || is_head {
        *response.body_mut() = nexus_runtime::full(Bytes::new());
    }
}

/// Ends a session that is none, unless the component has just begun another.
pub(crate) fn forget_session(headers: &mut HeaderMap, secure: bool) {
    if headers.get_all(SET_COOKIE).iter().any(credentials::is_of_session) {
        return;
    }
    headers.append(SET_COOKIE, credentials::forgetting(secure));
    // Whoever keeps this answer for others would end their sessions.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// What every answer says.
pub(crate) fn sign(headers: &mut HeaderMap, request_id: &str, hsts: Option<&HeaderValue>) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(SERVER, HeaderValue::from_static("nexus"));
    headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(const { HeaderValue::from_static("nosniff") });
    if let Some(hsts) = hsts {
        headers.insert(http::header::STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
}

/// What the host's own answers say besides: they are data and show nothing.
pub(crate) fn harden(headers: &mut HeaderMap) {
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// What is remembered of a request until its response is through.
pub(crate) struct Record {
    pub(crate) span: ServerSpan,
    pub(crate) uri: Uri,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) exchange: Exchange,
    /// None until a response was made: the client may leave first.
    pub(crate) status: Option<StatusCode>,
    pub(crate) bytes: u64,
    pub(crate) whole: bool,
}

/// The status under which requests are logged and counted that the client abandoned: as nginx
/// does; it is never sent.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl Drop for Record {
    fn drop(&mut self) {
        let now = Instant::now();
        let took = self.span.took(now);
        let status = self.status.map_or(CLIENT_CLOSED_REQUEST, |status| status.as_u16());
        let (bytes, whole) = (self.bytes, self.whole);
        self.exchange.answered = self.status.is_some();
        self.exchange.over = Some(now.into());
        self.traffic.count(status, took, bytes, whole);
        self.span.end(&Ended { path: self.uri.path(), status, took, bytes, whole });
    }
}

/// A response body with its record.
pub(crate) struct Outgoing {
    inner: WasiBody,
    /// Bytes after which the response is whole, where body or head tells them: with a length,
    /// hyper's HTTP/1 drops the body at its last byte and never asks for the end.
    length: Option<u64>,
    record: Record,
}

impl Outgoing {
    /// The response as it leaves; cleaned and shaped before, so that its length is true.
    pub(crate) fn of(response: Response, record: Record) -> http::Response<Self> {
        let exact = response.body().size_hint().exact();
        let length = exact.or_else(|| declared_length(response.headers()));
        response.map(|inner| {
            let mut outgoing = Self { inner, length, record };
            outgoing.record.whole = outgoing.is_whole(outgoing.inner.is_end_stream());
            outgoing
        })
    }

    /// A length that is known decides; without one, the end that the body has `ended` with.
    fn is_whole(&self, ended: bool) -> bool {
        self.length.map_or(ended, |length| length == self.record.bytes)
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.record.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                self.record.whole = self.is_whole(self.inner.is_end_stream());
            }
            Poll::Ready(Some(Err(error))) => {
                self.record.whole = false;
                let broke_off = || tracing::warn!(?error, "the response broke off");
                self.record.span.in_scope(broke_off);
            }
            Poll::Ready(None) => self.record.whole = self.is_whole(true),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_runtime::full;

    fn shaped(status: u16, is_head: bool, length: Option<&str>) -> (Option<String>, u64) {
        let mut builder = http::Response::builder().status(status);
        if let Some(length) = length {
            builder = builder.header(CONTENT_LENGTH, length);
        }
        let mut response = builder.body(full("hello")).unwrap();
        clean(response.headers_mut());
        shape(&mut response, is_head);
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.map(|value| value.to_str().unwrap().to_owned());
        (length, response.body().size_hint().exact().unwrap())
    }

    #[test]
    fn lengths_and_bodies_agree_with_method_and_status() {
        assert_eq!(shaped(200, false, None), (None, 5), "hyper adds the length it knows");
        assert_eq!(shaped(200, false, Some("7")), (None, 5), "a wrong length is not sent");
        assert_eq!(shaped(200, true, None), (Some("5".into()), 0));
        assert_eq!(shaped(200, true, Some("7")), (Some("7".into()), 0));
        assert_eq!(shaped(204, false, Some("5")), (None, 0));
        assert_eq!(shaped(304, false, Some("5")), (None, 0));
    }

    #[test]
    fn a_component_cannot_speak_about_the_connection() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "gzip"),
            ("keep-alive", "timeout=1"),
            ("content-length", "+5"),
            ("etag", "\"1\""),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        clean(&mut headers);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["etag"], "\"1\"");
    }
}
