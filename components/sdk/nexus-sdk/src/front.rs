//! The meeting of axum with `wasi:http`: a request as axum takes it, an answer as the host does.
//!
//! Asks the host as seldom as can be, because each question costs about what a small handler does;
//! what nobody looks at (scheme, authority, options) is not asked for. Refuses to know routes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body::{Frame, SizeHint};
use spin_sdk::wasip3::http::types::{
    ErrorCode, Fields, Request as WasiRequest, Response as WasiResponse, Trailers,
};
use spin_sdk::wasip3::wit_bindgen::{self, FutureReader, FutureWriter, StreamReader, StreamResult};
use spin_sdk::wasip3::{wit_future, wit_stream};

use crate::whole;

/// Bytes read at once, at most.
const READ_BYTES_MAX: usize = 64 << 10;

/// Bytes read at once where nobody has said how many there are.
const READ_BYTES: usize = 16 << 10;

/// How a body ends.
type End = Result<Option<Trailers>, ErrorCode>;

/// A request as axum takes it; its URI is path and query.
///
/// # Errors
/// What breaks the grammar of HTTP, which the host lets nobody send.
pub(crate) fn taken(asked: WasiRequest) -> Result<Request<Body>, ErrorCode> {
    let mut request = Request::new(Body::empty());
    let method = asked.get_method().try_into();
    *request.method_mut() = method.map_err(|_| ErrorCode::HttpRequestMethodInvalid)?;
    if let Some(target) = asked.get_path_with_query() {
        *request.uri_mut() = Uri::try_from(target).map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    }
    *request.headers_mut() = headers(asked.get_headers())?;
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if length != Some(0) {
        *request.body_mut() = Body::new(Incoming { length, state: State::Unread(asked) });
    }
    Ok(request)
}

fn headers(fields: Fields) -> Result<HeaderMap, ErrorCode> {
    let fields = fields.copy_all();
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(internal)?;
        // The bytes stay where they are.
        let value = HeaderValue::from_maybe_shared(Bytes::from(value)).map_err(internal)?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn fields(headers: &HeaderMap) -> Result<Fields, ErrorCode> {
    let owned = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    let all: Vec<_> = headers.iter().map(owned).collect();
    Fields::from_list(&all).map_err(internal)
}

fn internal(why: impl std::fmt::Display) -> ErrorCode {
    ErrorCode::InternalError(Some(why.to_string()))
}

/// The body of a request, asked for when somebody reads it.
struct Incoming {
    length: Option<u64>,
    state: State,
}

enum State {
    Unread(WasiRequest),
    Open(Flow),
    Reading(Pin<Box<dyn Future<Output = Read> + Send>>),
    Over,
}

struct Flow {
    contents: StreamReader<u8>,
    trailers: FutureReader<End>,
    /// Whoever sent it learns that it was read when this goes.
    _received: FutureWriter<Result<(), ErrorCode>>,
    left: Option<u64>,
}

enum Read {
    Chunk(Vec<u8>, Flow),
    End(End),
}

impl Flow {
    fn of(request: WasiRequest, left: Option<u64>) -> Self {
        let (received, said) = wit_future::new(|| Ok(()));
        let (contents, trailers) = WasiRequest::consume_body(request, said);
        Self { contents, trailers, _received: received, left }
    }

    async fn read(mut self) -> Read {
        let left = self.left.map_or(READ_BYTES, |left| usize::try_from(left).unwrap_or(usize::MAX));
        // Also what has none left is read, for its end.
        let room = Vec::with_capacity(left.clamp(1, READ_BYTES_MAX));
        match self.contents.read(room).await {
            (StreamResult::Complete(_), chunk) => {
                self.left = self.left.map(|left| left.saturating_sub(chunk.len() as u64));
                Read::Chunk(chunk, self)
            }
            (StreamResult::Dropped | StreamResult::Cancelled, _) => Read::End(self.trailers.await),
        }
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        loop {
            let length = self.length;
            self.state = match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return Poll::Ready(None),
                State::Unread(request) => State::Open(Flow::of(request, length)),
                State::Open(flow) => State::Reading(Box::pin(flow.read())),
                State::Reading(mut reading) => match reading.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready(Read::Chunk(chunk, flow)) => {
                        self.state = State::Open(flow);
                        return Poll::Ready(Some(Ok(Frame::data(chunk.into()))));
                    }
                    Poll::Ready(Read::End(end)) => {
                        let trailers = end.and_then(|fields| fields.map(headers).transpose());
                        return Poll::Ready(trailers.map(|it| it.map(Frame::trailers)).transpose());
                    }
                },
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        if let (Some(length), State::Unread(_)) = (self.length, &self.state) {
            hint.set_upper(length);
        }
        hint
    }
}

/// An answer as the host takes it. What is there is handed over at once, and the rest once the
/// answer has begun.
///
/// # Errors
/// Header fields that the host does not take.
pub(crate) async fn given(answer: Response<Body>) -> Result<WasiResponse, ErrorCode> {
    let (mut parts, mut body) = answer.into_parts();
    if let Some(length) = http_body::Body::size_hint(&body).exact() {
        let length = HeaderValue::from(length);
        parts.headers.entry(header::CONTENT_LENGTH).or_insert(length);
    }
    let fields = fields(&parts.headers)?;
    let (said, end) = wit_future::new(|| Err(internal("the answer was not finished")));
    let (contents, reader) = wit_stream::new();
    let (response, _sent) = WasiResponse::new(fields, Some(reader), end);
    if parts.status != StatusCode::OK {
        // Every status of three digits is taken.
        let _taken = response.set_status_code(parts.status.as_u16());
    }
    let gathered = poll_fn(|cx| Poll::Ready(whole::gather(&mut body, cx))).await;
    let mut sending = Box::pin(async move {
        let Some(end) = whole::send(gathered, body, contents).await else { return };
        let end = match end {
            Ok(trailers) => trailers.as_ref().map(self::fields).transpose(),
            Err(why) => Err(internal(why)),
        };
        let _reader_gone = said.write(end).await;
    });
    let sent = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await;
    if sent.is_pending() {
        wit_bindgen::spawn(sending);
    }
    Ok(response)
}
