//! What is asked of an instance: its function is called, its answer awaited and sent to whoever
//! asked. Knows the shapes of the exports; refuses to know limits, which end a call from outside.

use crate::body::{self, Request, Response};
use crate::call::Call;
use crate::exports::{Guest, Handle, HandleBatch, Run, wit};
use crate::instance::Instance;
use crate::one_call;
use crate::piece::{Piece, piece};
use crate::work::Outcome;
use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::Either;
use http::Method;
use http::request::Parts;
use std::pin::{Pin, pin};
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::Resource;
use wasmtime::component::{Accessor, GuestTaskId, TypedFuncCallConcurrent};
use wasmtime_wasi_http::handler::{ExpirationError, Prepared, Proxy};
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, WasiHttpView as _, p3};

/// Where an answer is waited for.
pub(crate) type Answer<R> = oneshot::Sender<wasmtime::Result<R>>;

/// What is asked of the instance, and where its answer goes. Small, because it is moved from hand
/// to hand; so is [`Begun`].
pub(crate) enum Work {
    /// A request that is all there, for a guest that takes such in one piece.
    Whole(Arc<Parts>, Bytes, Answer<Response>),
    Http(Box<Request>, Answer<Response>),
    /// One message of a subscription.
    Message(String, Box<wit::Message>, Answer<Vec<Outcome>>),
    /// Several messages of a subscription.
    Batch(String, Vec<wit::Message>, Answer<Vec<Outcome>>),
    Tick(Box<wit::Tick>, Answer<Vec<Outcome>>),
}

impl Work {
    /// Ends the call before it reached an instance.
    pub(crate) fn fail(self, error: wasmtime::Error) {
        let _caller_gone = match self {
            Work::Whole(_, _, answer) | Work::Http(_, answer) => answer.send(Err(error)).is_err(),
            Work::Message(_, _, answer) | Work::Batch(_, _, answer) | Work::Tick(_, answer) => {
                answer.send(Err(error)).is_err()
            }
        };
    }
}

/// A guest's function that was called and has not answered.
pub(crate) enum Begun<'a> {
    /// A guest that takes requests in one piece, and the method of this one.
    Whole(one_call::Handle, Concurrent<Piece, one_call::Said>, Method, Answer<Response>),
    Http(Box<Front<'a>>, Answer<Response>),
    /// A WASI 0.2 guest.
    OldHttp(Box<Prepared<'a, Instance>>),
    Message(Handle, Concurrent<(String, wit::Message), (wit::Outcome,)>, Answer<Vec<Outcome>>),
    Batch(
        HandleBatch,
        Concurrent<(String, Vec<wit::Message>), (Vec<wit::Outcome>,)>,
        Answer<Vec<Outcome>>,
    ),
    Tick(Run, Concurrent<(wit::Tick,), (wit::Outcome,)>, Answer<Vec<Outcome>>),
}

type Concurrent<P, R> = TypedFuncCallConcurrent<Instance, P, R>;

impl<'a> Begun<'a> {
    pub(crate) fn new(
        mut store: StoreContextMut<'_, Instance>,
        guest: &'a Guest<'_>,
        work: Work,
        call: &Call,
    ) -> wasmtime::Result<(Self, GuestTaskId)> {
        Ok(match work {
            Work::Whole(head, body, answer) => {
                let handle = guest.whole(&mut store)?;
                let call = handle.start_call_concurrent(store, piece(&head, &body, call)?)?;
                let task = call.task();
                (Self::Whole(handle, call, head.method.clone(), answer), task)
            }
            Work::Http(request, answer) => match guest.http(&mut store)? {
                Proxy::P3(service) => {
                    let front = Front::new(store, service, *request, call.body_is_whole)?;
                    let task = front.call.task();
                    (Self::Http(Box::new(front), answer), task)
                }
                old @ Proxy::P2(_) => {
                    let begun = Prepared::new(store, old, *request, Instance::http, answer)?;
                    let task = match &begun {
                        Prepared::P2 { call, .. } => call.task(),
                        Prepared::P3 { call, .. } => call.task(),
                    };
                    (Self::OldHttp(Box::new(begun)), task)
                }
            },
            Work::Message(subscription, message, answer) => {
                let handle = guest.message(&mut store)?;
                let call = handle.start_call_concurrent(store, (subscription, *message))?;
                let task = call.task();
                (Self::Message(handle, call, answer), task)
            }
            Work::Batch(subscription, messages, answer) => {
                let handle = guest.batch(&mut store)?;
                let call = handle.start_call_concurrent(store, (subscription, messages))?;
                let task = call.task();
                (Self::Batch(handle, call, answer), task)
            }
            Work::Tick(tick, answer) => {
                let run = guest.run(&mut store)?;
                let call = run.start_call_concurrent(store, (*tick,))?;
                let task = call.task();
                (Self::Tick(run, call, answer), task)
            }
        })
    }

    /// Waits for the guest's answer, or until its caller gives up; a trap is the instance's end.
    ///
    /// What waits for anything but [`Self::Whole`] is by itself: it is larger, and room for it
    /// would be made and moved with each request.
    pub(crate) async fn run(
        self,
        accessor: &Accessor<Instance>,
        gave_up: Pin<&mut impl Future<Output = ()>>,
    ) -> wasmtime::Result<()> {
        match self {
            Self::Whole(handle, call, asked, answer) => {
                let done = pin!(async {
                    let said = handle.finish_call_concurrent(accessor, call).await?;
                    accessor.with(|store| one_call::response(store, said, &asked))
                });
                settled(done, gave_up, answer).await
            }
            Self::Http(front, answer) => {
                settled(Box::pin((*front).finish(accessor)), gave_up, answer).await
            }
            Self::OldHttp(prepared) => Box::pin(prepared.run(accessor, gave_up)).await.map(drop),
            Self::Message(handle, call, answer) => {
                let done = handle.finish_call_concurrent(accessor, call);
                let done = async { done.await.map(|(outcome,)| vec![outcome.into()]) };
                settled(Box::pin(done), gave_up, answer).await
            }
            Self::Batch(handle, call, answer) => {
                let done = handle.finish_call_concurrent(accessor, call);
                let done = async {
                    let (outcomes,) = done.await?;
                    wasmtime::error::Ok(outcomes.into_iter().map(Outcome::from).collect())
                };
                settled(Box::pin(done), gave_up, answer).await
            }
            Self::Tick(run, call, answer) => {
                let done = run.finish_call_concurrent(accessor, call);
                let done = async { done.await.map(|(outcome,)| vec![outcome.into()]) };
                settled(Box::pin(done), gave_up, answer).await
            }
        }
    }
}

/// A request that a WASI 0.3 guest has been handed.
pub(crate) struct Front<'a> {
    service: &'a p3::bindings::Service,
    call: Concurrent<(Resource<p3::Request>,), (Result<Resource<p3::Response>, ErrorCode>,)>,
    /// What became of a request that is read as it comes.
    received: Option<Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>>,
}

impl<'a> Front<'a> {
    fn new(
        mut store: StoreContextMut<'_, Instance>,
        service: &'a p3::bindings::Service,
        mut request: Request,
        body_is_whole: bool,
    ) -> wasmtime::Result<Self> {
        let whole = body::whole(request.body_mut(), body_is_whole);
        if whole.is_some() {
            *request.body_mut() = body::full("");
        }
        let view = store.data_mut().http();
        let (request, received) = p3::Request::from_http(view.hooks, request);
        let request = view.table.push(request)?;
        let received: Option<Pin<Box<dyn Future<Output = _> + Send>>> = match &whole {
            Some(_) => None,
            None => Some(Box::pin(received)),
        };
        store.data_mut().arrived.put(&request, whole);
        let handle = service.wasi_http_handler().func_handle();
        Ok(Self { service, call: handle.start_call_concurrent(store, (request,))?, received })
    }

    async fn finish(self, accessor: &Accessor<Instance>) -> wasmtime::Result<Response> {
        let handle = self.service.wasi_http_handler().func_handle();
        let (response,) = handle.finish_call_concurrent(accessor, self.call).await?;
        let response = response?;
        let received = async {
            match self.received {
                Some(received) => received.await,
                None => Ok(()),
            }
        };
        accessor.with(|mut access| {
            let response = access.data_mut().http().table.delete(response)?;
            response.into_http_with_getter(&mut access, received, Instance::http)
        })
    }
}

async fn settled<R>(
    done: impl Future<Output = wasmtime::Result<R>> + Unpin,
    gave_up: Pin<&mut impl Future<Output = ()>>,
    answer: Answer<R>,
) -> wasmtime::Result<()> {
    let result = match futures::future::select(done, gave_up).await {
        Either::Left((result, _)) => result,
        // The guest's task runs on unheard until it ends or its instance does.
        Either::Right(((), _)) => Err(ExpirationError.into()),
    };
    let _caller_gone = answer.send(result);
    Ok(())
}
