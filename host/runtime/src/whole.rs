//! Bodies that are all there are handed over at once. `wasi:http` 0.3 moves a body by a stream and
//! a future; where the host already has everything, or has room for everything, no guest has to be
//! woken again for what is left: a small answer costs one entry into the guest instead of four, a
//! small request with an answer one instead of eight.
//!
//! Two functions of `wasi:http/types` are ours here, a third in `headers`. `response.new` reads a
//! guest's stream from the moment the response exists, up to [`AHEAD_MAX`] bytes ahead of the
//! client; `request.consume-body` gives what came [`Arrived`] whole. Refuses to know limits.

use crate::instance::Instance;
use crate::no_trailers::{NoTrailers, SaidTrailers};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use wasmtime::component::{
    Access, FutureAny, FutureConsumer, FutureProducer, FutureReader, Linker, Resource, Source,
    StreamConsumer, StreamReader, StreamResult,
};
use wasmtime::{AsContextMut as _, StoreContextMut, error::Context as _};
use wasmtime_wasi_http::p3::bindings::http::types::{ErrorCode, HostRequestWithStore as _};
use wasmtime_wasi_http::p3::{Request, Response};
use wasmtime_wasi_http::{Error, FieldMap, WasiHttp, WasiHttpView as _};

/// Bytes of a response that the host takes before the client has taken them: most answers are
/// smaller, and a guest that writes more waits for its client as it always did.
const AHEAD_MAX: usize = 64 << 10;

/// Bytes taken at once from a guest that writes them at once.
const CHUNK_MAX: usize = 256 << 10;

pub(crate) const INTERFACE: &str = "wasi:http/types@0.3.0";

/// Puts our two functions in the place of upstream's, which are linked already.
pub(crate) fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(INTERFACE)?;
    types.func_wrap("[static]response.new", |store, parts| {
        response_new(store, parts).map(|r| (r,))
    })?;
    types.func_wrap("[static]request.consume-body", |store, (request, done)| {
        consume_body(store, request, done).map(|body| (body,))
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Requests whose bodies are all there, by the numbers of their resources.
#[derive(Default)]
pub(crate) struct Arrived(Vec<(u32, Bytes)>);

impl Arrived {
    /// `body` is None for a request that is read as it comes. The number may have been another
    /// request's, which the guest dropped without reading it.
    pub(crate) fn put(&mut self, request: &Resource<Request>, body: Option<Bytes>) {
        self.take(request.rep());
        self.0.extend(body.map(|body| (request.rep(), body)));
    }

    fn take(&mut self, rep: u32) -> Option<Bytes> {
        let at = self.0.iter().position(|(of, _)| *of == rep)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Nothing runs in the instance: what is left was dropped unread.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

fn consume_body(
    mut store: StoreContextMut<'_, Instance>,
    request: Resource<Request>,
    mut done: FutureReader<Result<(), ErrorCode>>,
) -> wasmtime::Result<(StreamReader<u8>, FutureAny)> {
    let Some(bytes) = store.data_mut().arrived.take(request.rep()) else {
        let access = Access::<Instance, WasiHttp>::new(store.as_context_mut(), Instance::http);
        let (contents, trailers) = WasiHttp::consume_body(access, request, done)?;
        return Ok((contents, trailers.try_into_future_any(store)?));
    };
    let view = store.data_mut().http();
    view.table.delete(request).context("find the request")?;
    // Nobody sends this request any more, so nobody wants to know what became of it.
    done.close(&mut store)?;
    let contents = match bytes.is_empty() {
        true => StreamReader::new(&mut store, std::iter::empty())?,
        false => StreamReader::new(&mut store, bytes)?,
    };
    let none = std::future::ready(wasmtime::error::Ok(NoTrailers));
    let trailers = FutureReader::new(&mut store, none)?;
    Ok((contents, trailers.try_into_future_any(store)?))
}

type NewResponse = (Resource<FieldMap>, Option<StreamReader<u8>>, FutureReader<SaidTrailers>);

fn response_new(
    mut store: StoreContextMut<'_, Instance>,
    (headers, contents, trailers): NewResponse,
) -> wasmtime::Result<(Resource<Response>, FutureReader<Result<(), ErrorCode>>)> {
    let pipe = Arc::new(Pipe::default());
    match contents {
        Some(contents) => contents.pipe(&mut store, Contents(pipe.clone()))?,
        None => pipe.flow().contents_end = true,
    }
    trailers.pipe(&mut store, TrailersOf(pipe.clone()))?;
    let view = store.data_mut().http();
    let mut headers = view.table.delete(headers).context("find the fields")?;
    headers.set_immutable();
    let (mut response, sent) = Response::from_http(view.hooks, http::Response::new(Piped(pipe)));
    response.headers = headers;
    let response = view.table.push(response).context("keep the response")?;
    let sent = FutureReader::new(&mut store, Sent(Box::pin(sent)))?;
    Ok((response, sent))
}

/// Tells the guest what became of its response, if it asks.
struct Sent(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>);

impl FutureProducer<Instance> for Sent {
    type Item = Result<(), ErrorCode>;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _store: StoreContextMut<'_, Instance>,
        finish: bool,
    ) -> Poll<wasmtime::Result<Option<Self::Item>>> {
        match self.0.as_mut().poll(cx) {
            Poll::Ready(sent) => Poll::Ready(Ok(Some(sent.map_err(code_of)))),
            Poll::Pending if finish => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn code_of(error: Error) -> ErrorCode {
    match error {
        Error::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(size),
        other => ErrorCode::InternalError(Some(other.to_string())),
    }
}

/// What a guest has written of a response and no client has taken yet.
#[derive(Default)]
pub(crate) struct Pipe(Mutex<Flow>);

#[derive(Default)]
struct Flow {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    contents_end: bool,
    trailers: End,
    /// Nobody reads any more.
    abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Default)]
pub(crate) enum End {
    #[default]
    Unsaid,
    Trailers(HeaderMap),
    Nothing,
    Broken(ErrorCode),
}

impl Pipe {
    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Flow)) {
        let mut flow = self.flow();
        change(&mut flow);
        let reader = flow.reader.take();
        drop(flow);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// Takes the guest's bytes; when it is dropped, the guest has written all of them or is no more.
pub(crate) struct Contents(pub(crate) Arc<Pipe>);

impl Drop for Contents {
    fn drop(&mut self) {
        self.0.change(|flow| flow.contents_end = true);
    }
}

impl StreamConsumer<Instance> for Contents {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, Instance>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        {
            let mut flow = self.0.flow();
            if flow.abandoned {
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
            if flow.bytes >= AHEAD_MAX {
                if finish {
                    return Poll::Ready(Ok(StreamResult::Cancelled));
                }
                flow.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        let mut source = source.as_direct(store);
        let written = source.remaining();
        let chunk = Bytes::copy_from_slice(&written[..written.len().min(CHUNK_MAX)]);
        source.mark_read(chunk.len());
        if !chunk.is_empty() {
            self.0.change(|flow| {
                flow.bytes += chunk.len();
                flow.chunks.push_back(chunk);
            });
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Takes the guest's word that the body ends, and with which trailers.
pub(crate) struct TrailersOf(pub(crate) Arc<Pipe>);

impl TrailersOf {
    pub(crate) fn say(&self, end: End) {
        self.0.change(|flow| {
            if matches!(flow.trailers, End::Unsaid) {
                flow.trailers = end;
            }
        });
    }
}

impl Drop for TrailersOf {
    fn drop(&mut self) {
        self.say(End::Nothing);
    }
}

impl FutureConsumer<Instance> for TrailersOf {
    type Item = SaidTrailers;

    fn poll_consume(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, Instance>,
        mut source: Source<'_, SaidTrailers>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut said = None;
        source.read(&mut store, &mut said)?;
        let end = match said.context("a future without its value")? {
            Ok(None) => End::Nothing,
            Ok(Some(fields)) => {
                let fields = store.data_mut().http().table.delete(fields);
                End::Trailers(fields.context("find the trailers")?.into())
            }
            Err(code) => End::Broken(code),
        };
        self.say(end);
        Poll::Ready(Ok(()))
    }
}

/// The client's side of a pipe.
pub(crate) struct Piped(pub(crate) Arc<Pipe>);

impl Drop for Piped {
    fn drop(&mut self) {
        let mut flow = self.0.flow();
        flow.abandoned = true;
        flow.chunks.clear();
        let writer = flow.writer.take();
        drop(flow);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

impl Body for Piped {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut flow = self.0.flow();
        if let Some(chunk) = flow.chunks.pop_front() {
            flow.bytes -= chunk.len();
            let writer = if flow.bytes < AHEAD_MAX { flow.writer.take() } else { None };
            drop(flow);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if flow.contents_end && !matches!(flow.trailers, End::Unsaid) {
            return match std::mem::replace(&mut flow.trailers, End::Nothing) {
                End::Trailers(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                End::Broken(code) => Poll::Ready(Some(Err(code.into()))),
                End::Nothing | End::Unsaid => Poll::Ready(None),
            };
        }
        flow.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let flow = self.0.flow();
        flow.contents_end && flow.chunks.is_empty() && matches!(flow.trailers, End::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        let flow = self.0.flow();
        // A length would be the end for the client: it is said where no trailers follow.
        match flow.contents_end && matches!(flow.trailers, End::Nothing) {
            true => SizeHint::with_exact(flow.bytes as u64),
            false => SizeHint::default(),
        }
    }
}
