//! HTTP in one call, for guests that export `nexus:http/whole` (`wit/nexus-http@0.1.0`): a request
//! that is all there goes in as one piece, and an answer that is all there comes back as one. The
//! host is asked for nothing in between. Refuses to know limits.

use crate::body::{Response, full};
use crate::instance::Instance;
use crate::piece::{Piece, headers};
use crate::whole::{Contents, End, Pipe, Piped, TrailersOf};
use http::{Method, StatusCode, header};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use wasmtime::component::{FutureConsumer, Source, TypedFunc};
use wasmtime::{AsContextMut, StoreContextMut, error::Context as _};
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{WasiHttpView as _, p3};

#[allow(unreachable_pub)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/nexus-http@0.1.0",
        world: "nexus:http/service",
        exports: { default: async | store },
    });
}

pub(crate) use bindings::exports::nexus::http::whole as wit;

pub(crate) const WHOLE: &str = "nexus:http/whole@0.1.0";

pub(crate) type Said = (Result<wit::Answer, String>,);
pub(crate) type Handle = TypedFunc<Piece, Said>;

/// What the guest answered `asked`.
///
/// # Errors
/// The guest's own, and what is no answer in HTTP.
pub(crate) fn response(
    mut store: impl AsContextMut<Data = Instance>,
    (said,): Said,
    asked: &Method,
) -> wasmtime::Result<Response> {
    let wit::Answer { status, fields, body } = said.map_err(refused)?;
    let head = head(status, fields);
    match body {
        wit::Body::All(bytes) => {
            let head = head.and_then(|head| fits(head, bytes.len(), asked)).map_err(refused)?;
            Ok(head.map(|()| full(bytes)))
        }
        wit::Body::Flow(wit::Flow { mut contents, mut end }) => {
            let head = match head {
                Ok(head) => head,
                Err(why) => {
                    contents.close(&mut store)?;
                    end.close(&mut store)?;
                    return Err(refused(why));
                }
            };
            let pipe = Arc::new(Pipe::default());
            contents.pipe(&mut store, Contents(pipe.clone()))?;
            end.pipe(&mut store, EndOf(TrailersOf(pipe.clone())))?;
            let mut context = store.as_context_mut();
            let hooks = context.data_mut().http().hooks;
            let (response, _nobody_asks) =
                p3::Response::from_http(hooks, head.map(|()| Piped(pipe)));
            response.into_http_with_getter(&mut store, async { Ok(()) }, Instance::http)
        }
    }
}

fn refused(why: String) -> wasmtime::Error {
    ErrorCode::InternalError(Some(why)).into()
}

fn head(status: u16, fields: Vec<u8>) -> Result<http::Response<()>, String> {
    let mut head = http::Response::new(());
    *head.headers_mut() = headers(fields)?;
    match StatusCode::from_u16(status) {
        Ok(status) if !status.is_informational() => *head.status_mut() = status,
        _ => return Err(format!("{status} is no status of an answer")),
    }
    Ok(head)
}

/// A length that is said is the body's.
fn fits(
    head: http::Response<()>,
    bytes: usize,
    asked: &Method,
) -> Result<http::Response<()>, String> {
    let bodiless = *asked == Method::HEAD || head.status() == StatusCode::NOT_MODIFIED;
    match head.headers().get(header::CONTENT_LENGTH) {
        Some(said)
            if !bodiless && said.to_str().ok().and_then(|s| s.parse().ok()) != Some(bytes) =>
        {
            Err(format!("a body of {bytes} bytes is said to have {said:?}"))
        }
        _ => Ok(head),
    }
}

/// Takes the guest's word that a body ends.
struct EndOf(TrailersOf);

impl FutureConsumer<Instance> for EndOf {
    type Item = Result<Vec<u8>, String>;

    fn poll_consume(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, Instance>,
        mut source: Source<'_, Self::Item>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut said = None;
        source.read(&mut store, &mut said)?;
        let said = said.context("a future without its value")?;
        self.0.say(match said.and_then(headers) {
            Ok(trailers) if trailers.is_empty() => End::Nothing,
            Ok(trailers) => End::Trailers(trailers),
            Err(why) => End::Broken(ErrorCode::InternalError(Some(why))),
        });
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::tests::encoded;

    #[test]
    fn an_answers_head_is_read_as_it_is_written() {
        let head = head(201, encoded(&["x-a", "1"])).unwrap();
        assert_eq!(head.status(), StatusCode::CREATED);
        assert_eq!(head.headers()["x-a"], "1");
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for status in [0, 100, 199, 1000, 65_535] {
            assert!(head(status, Vec::new()).is_err(), "{status}");
        }
        assert!(head(200, vec![0xff; 4]).is_err());
    }

    #[test]
    fn a_length_is_the_bodys_unless_there_is_none() {
        let of = |status, said: &str, bytes, asked| {
            let head = head(status, encoded(&["content-length", said])).unwrap();
            fits(head, bytes, &asked).is_ok()
        };
        assert!(of(200, "5", 5, Method::GET));
        assert!(!of(200, "6", 5, Method::GET));
        assert!(!of(200, "five", 5, Method::GET));
        assert!(of(200, "6", 0, Method::HEAD));
        assert!(of(304, "6", 0, Method::GET));
    }
}
