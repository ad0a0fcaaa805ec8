//! Requests that come in one piece and answers that go in one: the meeting with `nexus:http/whole`.
//!
//! Knows how much of a body is waited for. Refuses to know routes.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::Request;
use http_body::{Body as _, Frame};

use crate::piece;

/// Gathered of an answer before it is said to flow: a copy costs less than a stream does.
const GATHERED_BYTES_MAX: usize = 256 << 10;

/// A request as axum takes it; None where it is none, which the host sends nobody.
pub(crate) fn request(head_bytes: u32, piece: Vec<u8>) -> Option<Request<Body>> {
    let mut request = Request::new(Body::empty());
    let body = piece::read_request(head_bytes, piece, &mut request)?;
    if !body.is_empty() {
        *request.body_mut() = Body::from(body);
    }
    Some(request)
}

/// What a body has ready.
pub(crate) enum Gathered {
    /// All of it, and no trailers.
    All(Vec<u8>),
    /// Its beginning; what came after it, where that is no data.
    Begun(Vec<u8>, Option<Result<Frame<Bytes>, axum::Error>>),
}

/// Takes what is ready, and waits for nothing.
pub(crate) fn gather(body: &mut Body, cx: &mut Context<'_>) -> Gathered {
    let mut bytes = Vec::new();
    loop {
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending => return Gathered::Begun(bytes, None),
            Poll::Ready(None) => return Gathered::All(bytes),
            Poll::Ready(Some(Err(why))) => return Gathered::Begun(bytes, Some(Err(why))),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if bytes.is_empty() => bytes = data.into(),
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => return Gathered::Begun(bytes, Some(Ok(frame))),
            },
        }
        if bytes.len() > GATHERED_BYTES_MAX {
            return Gathered::Begun(bytes, None);
        }
        if body.is_end_stream() {
            return Gathered::All(bytes);
        }
    }
}

#[cfg(target_arch = "wasm32")]
pub use export::bindings;
#[cfg(target_arch = "wasm32")]
pub(crate) use export::{answer, send};

#[cfg(target_arch = "wasm32")]
mod export {
    use super::*;
    use std::future::poll_fn;
    use std::task::ready;

    use axum::http::{HeaderMap, HeaderValue, header};
    use spin_sdk::wasip3::wit_bindgen::{self, StreamWriter};

    #[doc(hidden)]
    #[allow(missing_docs, unreachable_pub)]
    pub mod bindings {
        use spin_sdk::wit_bindgen;

        wit_bindgen::generate!({
            path: "../../../wit/nexus-http@0.1.0",
            world: "nexus:http/service",
            runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
            default_bindings_module: "::nexus_sdk::whole_bindings",
            export_macro_name: "export_whole",
            pub_export_macro: true,
        });
    }

    use crate::piece::fields;
    use crate::service::Answered;
    use bindings::exports::nexus::http::whole::{Answer, Body as Given, Flow};
    use bindings::{wit_future, wit_stream};

    /// An answer as the host takes it: in one piece where it is all there, and otherwise what there
    /// is, before the rest.
    pub(crate) fn answer(answered: Pin<&mut Answered<'_>>, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut answer = ready!(answered.poll(cx));
        let length = answer.body().size_hint().exact();
        let given = match gather(answer.body_mut(), cx) {
            Gathered::All(bytes) => Given::All(bytes),
            begun => {
                if let Some(length) = length {
                    let length = HeaderValue::from(length);
                    answer.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length);
                }
                let body = std::mem::take(answer.body_mut());
                let (contents, reader) = wit_stream::new();
                let (said, end) = wit_future::new(|| Err("the answer was not finished".to_owned()));
                wit_bindgen::spawn(async move {
                    if let Some(end) = send(begun, body, contents).await {
                        let end = end.map(|trailers| trailers.as_ref().map_or(Vec::new(), fields));
                        let _reader_gone = said.write(end).await;
                    }
                });
                Given::Flow(Flow { contents: reader, end })
            }
        };
        let (status, fields) = (answer.status().as_u16(), fields(answer.headers()));
        Poll::Ready(Answer { status, fields, body: given })
    }

    /// Sends a body after what was gathered of it. How it ended; None where nobody reads any more.
    pub(crate) async fn send(
        gathered: Gathered,
        mut body: Body,
        mut contents: StreamWriter<u8>,
    ) -> Option<Result<Option<HeaderMap>, String>> {
        let (bytes, mut next) = match gathered {
            Gathered::All(bytes) => (bytes, None),
            Gathered::Begun(bytes, next) => (bytes, next),
        };
        if !bytes.is_empty() && !contents.write_all(bytes).await.is_empty() {
            return None;
        }
        let mut trailers = None;
        loop {
            let frame = match next.take() {
                Some(frame) => frame,
                None if body.is_end_stream() => break,
                None => match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                    Some(frame) => frame,
                    None => break,
                },
            };
            match frame.map(Frame::into_data) {
                Err(why) => return Some(Err(why.to_string())),
                Ok(Ok(data)) => {
                    if !contents.write_all(data.into()).await.is_empty() {
                        return None;
                    }
                }
                Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
            }
        }
        Some(Ok(trailers))
    }
}

#[cfg(test)]
mod unit {
    use super::*;
    use axum::http::{HeaderMap, Method};
    use std::task::Waker;

    #[tokio::test]
    async fn a_request_has_the_body_that_came_with_it() {
        let target = |body: &[u8]| {
            let (head_bytes, all) = piece::piece(&Method::PUT, "/a", &HeaderMap::new(), body);
            request(head_bytes, all).unwrap()
        };
        assert!(target(b"").body().is_end_stream());
        let body = axum::body::to_bytes(target(b"the body").into_body(), usize::MAX);
        assert_eq!(body.await.unwrap(), "the body");
    }

    #[test]
    fn an_answer_is_gathered_as_far_as_it_is_ready() {
        let mut cx = Context::from_waker(Waker::noop());
        let ready = ["a", "b"].map(|text| Ok::<_, std::io::Error>(Bytes::from(text)));
        let body = |frames: Vec<_>, then_waits: bool| {
            let mut frames = frames.into_iter();
            Body::from_stream(futures::stream::poll_fn(move |_| match frames.next() {
                Some(frame) => Poll::Ready(Some(frame)),
                None if then_waits => Poll::Pending,
                None => Poll::Ready(None),
            }))
        };
        let mut all = body(ready.into(), false);
        assert!(matches!(gather(&mut all, &mut cx), Gathered::All(bytes) if bytes == b"ab"));
        let ready = [Ok(Bytes::from("a"))];
        let mut begun = body(ready.into(), true);
        let gathered = gather(&mut begun, &mut cx);
        assert!(matches!(gathered, Gathered::Begun(bytes, None) if bytes == b"a"));
        let ready = [Ok(Bytes::from("a")), Err(std::io::Error::other("no more"))];
        let mut broken = body(ready.into(), false);
        let gathered = gather(&mut broken, &mut cx);
        assert!(matches!(gathered, Gathered::Begun(bytes, Some(Err(_))) if bytes == b"a"));
    }

    #[test]
    fn an_answer_without_end_is_gathered_up_to_a_limit() {
        let mut cx = Context::from_waker(Waker::noop());
        let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![0; 100 << 10]));
        let mut endless =
            Body::from_stream(futures::stream::poll_fn(move |_| Poll::Ready(Some(chunk()))));
        let gathered = gather(&mut endless, &mut cx);
        assert!(matches!(gathered, Gathered::Begun(bytes, None) if bytes.len() == 300 << 10));
    }
}
