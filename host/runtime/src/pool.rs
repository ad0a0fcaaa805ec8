//! The instances of one component on one shard, and the calls waiting for them.

use crate::asked::{Answer, Work};
use crate::body::{self, Guarded, Request, Response};
use crate::call::{Call, CallError};
use crate::revision::Revision;
use crate::work::{Delivery, Outcome, Tick};
use crate::worker::{self, Job, Running};
use bytes::Bytes;
use futures::channel::oneshot;
use http::request::Parts;
use http_body::Body as _;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use wasmtime_wasi_http::handler::ExpirationError;

/// Instances of a shared component on one shard: enough that a few stuck ones do not stop it,
/// few enough that one component cannot take the host's pool.
const SHARED_MAX: u32 = 8;
/// Instances of a component that needs a fresh one per call.
const FRESH_MAX: u32 = 64;

/// One component on one shard.
pub(crate) struct Pool {
    pub(crate) revision: Arc<Revision>,
    /// Its instances end as soon as they have nothing to do.
    closed: AtomicBool,
    desk: Mutex<Desk>,
}

#[derive(Default)]
struct Desk {
    waiting: VecDeque<Job>,
    /// Workers that would take a call now; the last to sit down is the warmest.
    seated: Vec<(u64, Waker)>,
    workers: u32,
    next_seat: u64,
}

/// A worker's place at the desk; given up when dropped, so that no call waits for a ghost.
pub(crate) struct Seat {
    pool: Arc<Pool>,
    id: u64,
    taken: bool,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let pool = self.pool.clone();
        pool.leave(self);
    }
}

/// A request that is ready to be asked of a component.
pub(crate) struct Asked {
    pool: Arc<Pool>,
    call: Arc<Call>,
    what: What,
}

enum What {
    /// All there, for a guest that takes such in one piece.
    Whole(Arc<Parts>, Bytes),
    Streaming(Box<Request>),
}

impl Asked {
    pub(crate) fn revision(&self) -> &Arc<Revision> {
        &self.pool.revision
    }

    /// Calls the component; a call that lost its instance to another one's fault is tried once
    /// more when it can be repeated safely.
    pub(crate) async fn answered(self) -> Result<Response, CallError> {
        let Self { pool, call, what } = self;
        let revision = &pool.revision;
        revision.counters.calls.fetch_add(1, Relaxed);
        let begun = Instant::now();
        let result = match what {
            What::Whole(head, body) => pool.call_whole(&head, &body, &call, begun).await,
            What::Streaming(request) => {
                // By itself: the most of what a call is, which every call would be moved with.
                Box::pin(pool.call_streaming(request, &call, begun)).await
            }
        };
        match &result {
            Ok(response) => {
                revision.latency.record(begun.elapsed());
                if response.status().is_server_error() {
                    revision.counters.server_errors.fetch_add(1, Relaxed);
                }
            }
            Err(error) => revision.count_failure(error),
        }
        result
    }
}

impl Pool {
    pub(crate) fn new(revision: Arc<Revision>) -> Arc<Self> {
        Arc::new(Self { revision, closed: AtomicBool::new(false), desk: Mutex::default() })
    }

    /// Calls go elsewhere from now on. One that was on its way here is still answered.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
        let seated = std::mem::take(&mut self.desk().seated);
        for (_, waker) in seated {
            waker.wake();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a request ready to be asked. What it holds is put away here and not moved again with
    /// each future that waits for the answer.
    pub(crate) fn ask(self: Arc<Self>, request: Request, call: Call) -> Asked {
        let is_whole = call.body_is_whole;
        let (head, mut body) = request.into_parts();
        let whole = match self.revision.is_native() {
            true => body::whole(&mut body, is_whole),
            false => None,
        };
        let what = match whole {
            Some(body) => What::Whole(Arc::new(head), body),
            None => {
                let mut request = Box::new(Request::from_parts(head, body));
                call.stamp(request.headers_mut());
                What::Streaming(request)
            }
        };
        Asked { pool: self, call: Arc::new(call), what }
    }

    /// A request that is read as it comes.
    async fn call_streaming(
        self: &Arc<Self>,
        request: Box<Request>,
        call: &Arc<Call>,
        begun: Instant,
    ) -> Result<Response, CallError> {
        let repeatable =
            request.method().is_safe() && request.body().size_hint().exact() == Some(0);
        let again = repeatable.then(|| {
            let mut again = Box::new(http::Request::new(body::full("")));
            *again.method_mut() = request.method().clone();
            *again.uri_mut() = request.uri().clone();
            *again.headers_mut() = request.headers().clone();
            again
        });
        let ask = |request| |answer| Work::Http(request, answer);
        match (self.answer(ask(request), call, begun).await, again) {
            (Err(Lost { spared: true, .. }), Some(again)) => {
                self.answer(ask(again), call, begun).await.map_err(|lost| lost.error)
            }
            (result, _) => result.map_err(|lost| lost.error),
        }
    }

    /// A request that is all there, so that no copy is kept of it.
    async fn call_whole(
        self: &Arc<Self>,
        head: &Arc<Parts>,
        body: &Bytes,
        call: &Arc<Call>,
        begun: Instant,
    ) -> Result<Response, CallError> {
        let ask = || |answer| Work::Whole(head.clone(), body.clone(), answer);
        match self.answer(ask(), call, begun).await {
            Err(Lost { spared: true, .. }) if head.method.is_safe() && body.is_empty() => {
                self.answer(ask(), call, begun).await.map_err(|lost| lost.error)
            }
            result => result.map_err(|lost| lost.error),
        }
    }

    async fn answer(
        self: &Arc<Self>,
        work: impl FnOnce(Answer<Response>) -> Work,
        call: &Arc<Call>,
        begun: Instant,
    ) -> Result<Response, Lost> {
        let limits = &self.revision.limits;
        let time = Time { begun, patience: limits.first_byte.min(limits.wall), wall: limits.wall };
        let (response, running) = self.attempt(work, call, time).await?;
        Ok(Guarded::wrap(response, running, limits))
    }

    /// Hands messages to the component. Never tried twice here: who redelivers counts attempts.
    pub(crate) async fn deliver(
        self: &Arc<Self>,
        delivery: Delivery,
        call: Call,
    ) -> Result<Vec<Outcome>, CallError> {
        let deadline = self.revision.now() + delivery.wall;
        let subscription = delivery.subscription.to_string();
        let id = &call.request_id;
        let mut messages: Vec<_> =
            delivery.messages.iter().map(|message| message.to_wit(id, deadline)).collect();
        let single = messages.len() == 1 && !delivery.batch;
        match messages.pop() {
            Some(message) if single => {
                let work = |answer| Work::Message(subscription, Box::new(message), answer);
                self.work(work, call, delivery.wall).await
            }
            last => {
                messages.extend(last);
                let work = |answer| Work::Batch(subscription, messages, answer);
                self.work(work, call, delivery.wall).await
            }
        }
    }

    /// Runs a schedule of the component.
    pub(crate) async fn tick(
        self: &Arc<Self>,
        tick: Tick,
        call: Call,
    ) -> Result<Vec<Outcome>, CallError> {
        let wall = tick.wall;
        let tick = tick.to_wit(&call.request_id, self.revision.now());
        self.work(|answer| Work::Tick(Box::new(tick), answer), call, wall).await
    }

    async fn work(
        self: &Arc<Self>,
        work: impl FnOnce(Answer<Vec<Outcome>>) -> Work,
        call: Call,
        wall: Duration,
    ) -> Result<Vec<Outcome>, CallError> {
        self.revision.counters.calls.fetch_add(1, Relaxed);
        let time = Time { begun: Instant::now(), patience: wall, wall };
        match self.attempt(work, &Arc::new(call), time).await {
            Ok((outcomes, _running)) => {
                let refused = outcomes.iter().filter(|outcome| outcome.is_a_failure()).count();
                self.revision.counters.server_errors.fetch_add(refused as u64, Relaxed);
                Ok(outcomes)
            }
            Err(Lost { error, .. }) => {
                self.revision.count_failure(&error);
                Err(error)
            }
        }
    }

    async fn attempt<R>(
        self: &Arc<Self>,
        work: impl FnOnce(Answer<R>) -> Work,
        call: &Arc<Call>,
        time: Time,
    ) -> Result<(R, Arc<Running>), Lost> {
        let deadline = tokio::time::Instant::from_std(time.begun + time.patience);
        if self.revision.is_cut_off() {
            return Err(CallError::Withdrawn.into());
        }
        let permit = self.admit(deadline).await?;
        let running = Arc::new(Running::new(call.clone(), time.begun + time.wall, permit));
        let (answer, answered) = oneshot::channel();
        self.submit(Job { running: running.clone(), work: work(answer) });
        let answered = tokio::time::timeout_at(deadline, answered).await;
        match answered {
            Ok(Ok(Ok(answer))) => Ok((answer, running)),
            // What an instance says while it is being lost is a consequence; its ending is the
            // cause.
            Ok(Ok(Err(_))) if running.is_cut_short() => Err(self.lost(&running).await),
            Ok(Ok(Err(error))) => Err(self.answered_error(&error, &running, time)),
            Ok(Err(oneshot::Canceled)) => Err(self.lost(&running).await),
            Err(_elapsed) => {
                running.expire();
                Err(CallError::FirstByteTimeout { limit: time.patience }.into())
            }
        }
    }

    /// A place among the calls in flight, waited for in a bounded queue.
    async fn admit(
        &self,
        deadline: tokio::time::Instant,
    ) -> Result<tokio::sync::OwnedSemaphorePermit, CallError> {
        let revision = &self.revision;
        if let Ok(permit) = revision.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = Waiting::enter(revision);
        if waiting.number > revision.limits.queue_max {
            return Err(CallError::Saturated {
                component: revision.manifest.id.clone(),
                inflight: revision.inflight(),
                queued: waiting.number - 1,
            });
        }
        match tokio::time::timeout_at(deadline, revision.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_closed)) => Err(CallError::ShuttingDown),
            Err(_elapsed) => Err(CallError::Saturated {
                component: revision.manifest.id.clone(),
                inflight: revision.inflight(),
                queued: revision.counters.queued.load(Relaxed),
            }),
        }
    }

    /// Gives a call to a worker that waits, to a new one, or to the first that has room.
    fn submit(self: &Arc<Self>, job: Job) {
        let mut desk = self.desk();
        if let Some((_, waker)) = desk.seated.pop() {
            desk.waiting.push_back(job);
            drop(desk);
            waker.wake();
            return;
        }
        let most = if self.revision.is_shared() { SHARED_MAX } else { FRESH_MAX };
        if desk.workers < most {
            desk.workers += 1;
            drop(desk);
            tokio::spawn(worker::run(self.clone(), Some(job)));
        } else {
            desk.waiting.push_back(job);
        }
    }

    pub(crate) fn seat(self: &Arc<Self>) -> Seat {
        let mut desk = self.desk();
        desk.next_seat += 1;
        Seat { pool: self.clone(), id: desk.next_seat, taken: false }
    }

    /// The next call whose caller still waits; otherwise the worker sits down to be woken.
    pub(crate) fn take(&self, seat: &mut Seat, cx: &Context<'_>) -> Option<Job> {
        let mut desk = self.desk();
        while let Some(job) = desk.waiting.pop_front() {
            if !job.running.is_expired() {
                if seat.taken {
                    desk.seated.retain(|(id, _)| *id != seat.id);
                    seat.taken = false;
                }
                return Some(job);
            }
        }
        if self.is_closed() {
            // Closed a moment ago: nobody would wake who sits down now.
            cx.waker().wake_by_ref();
            return None;
        }
        match desk.seated.iter_mut().find(|(id, _)| *id == seat.id) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => desk.seated.push((seat.id, cx.waker().clone())),
        }
        seat.taken = true;
        None
    }

    /// The worker takes no calls for now. A call that was meant for it goes to another.
    pub(crate) fn leave(self: &Arc<Self>, seat: &mut Seat) {
        if seat.taken {
            self.desk().seated.retain(|(id, _)| *id != seat.id);
            seat.taken = false;
            self.staff();
        }
    }

    /// Makes sure that waiting calls have somebody who will come for them.
    fn staff(self: &Arc<Self>) {
        let mut desk = self.desk();
        if desk.waiting.is_empty() {
            return;
        }
        if let Some((_, waker)) = desk.seated.pop() {
            drop(desk);
            waker.wake();
            return;
        }
        let most = if self.revision.is_shared() { SHARED_MAX } else { FRESH_MAX };
        if desk.workers < most {
            desk.workers += 1;
            let job = desk.waiting.pop_front();
            drop(desk);
            tokio::spawn(worker::run(self.clone(), job));
        }
    }

    pub(crate) fn worker_gone(self: &Arc<Self>) {
        self.desk().workers -= 1;
        self.staff();
    }

    /// No instance could be made: its call fails, and the waiting ones too unless somebody else
    /// is there to serve them.
    pub(crate) fn creation_failed(self: &Arc<Self>, first: Option<Job>, error: CallError) {
        let mut desk = self.desk();
        desk.workers -= 1;
        let mut stranded: Vec<Job> = Vec::new();
        match first {
            Some(job) if desk.workers > 0 && matches!(error, CallError::NoCapacity) => {
                desk.waiting.push_front(job);
            }
            Some(job) => stranded.push(job),
            None => {}
        }
        if desk.workers == 0 {
            stranded.extend(desk.waiting.drain(..));
        }
        drop(desk);
        for job in stranded {
            job.work.fail(NoInstance(error.clone()).into());
        }
    }

    fn answered_error(&self, error: &wasmtime::Error, running: &Running, time: Time) -> Lost {
        if let Some(NoInstance(error)) = error.downcast_ref() {
            return error.clone().into();
        }
        if error.is::<ExpirationError>() || running.is_expired() {
            return CallError::FirstByteTimeout { limit: time.patience }.into();
        }
        if error.is::<wasmtime::Trap>() {
            return CallError::Trapped(format!("{error:#}").into()).into();
        }
        CallError::Refused(format!("{error:#}").into()).into()
    }

    async fn lost(&self, running: &Running) -> Lost {
        match running.ending().await {
            Some(ending) => {
                let spared = ending.spares(running);
                let error = if ending.is_anothers(running) {
                    CallError::InstanceLost
                } else {
                    ending.error
                };
                Lost { error, spared }
            }
            None => CallError::InstanceLost.into(),
        }
    }
}

/// How long a call may take, from its beginning.
#[derive(Clone, Copy)]
struct Time {
    begun: Instant,
    /// Until the answer begins.
    patience: Duration,
    /// Until everything the call set off is done.
    wall: Duration,
}

/// A failed attempt.
struct Lost {
    error: CallError,
    /// Another call is (or may be) to blame: worth one more try.
    spared: bool,
}

impl From<CallError> for Lost {
    fn from(error: CallError) -> Self {
        Self { error, spared: false }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoInstance(CallError);

/// A call's place in the queue for permits.
struct Waiting<'a> {
    revision: &'a Revision,
    number: u32,
}

impl<'a> Waiting<'a> {
    fn enter(revision: &'a Revision) -> Self {
        let number = revision.counters.queued.fetch_add(1, Relaxed) + 1;
        Self { revision, number }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.revision.counters.queued.fetch_sub(1, Relaxed);
    }
}
