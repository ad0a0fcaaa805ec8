//! One instance at work: a store inside one long `run_concurrent`, taking calls from its pool,
//! watched from outside for time, CPU and memory. A store that trapped, timed out or was
//! cancelled is dropped, never used again.

use crate::asked::{Begun, Work};
use crate::call::{Call, CallError};
use crate::engine::TICK;
use crate::exports::Guest;
use crate::instance::Instance;
use crate::pool::Pool;
use crate::revision::Revision;
use futures::stream::{FuturesUnordered, Stream as _};
use futures::task::AtomicWaker;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use wasmtime::component::{Accessor, Func};
use wasmtime::{AsContextMut as _, Store, StoreContextMut, UpdateDeadline};

/// An instance without calls is kept this long: a cold start costs more than its memory.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// A call on its way to an instance.
pub(crate) struct Job {
    pub(crate) running: Arc<Running>,
    pub(crate) work: Work,
}

/// One accepted call, shared by its caller, its instance and its response body.
pub(crate) struct Running {
    pub(crate) call: Arc<Call>,
    pub(crate) wall_deadline: Instant,
    /// Held until the last of the sharers is done: that is what "in flight" means.
    _permit: OwnedSemaphorePermit,
    expired: AtomicBool,
    expiry: AtomicWaker,
    finished: AtomicBool,
    cpu_nanos: AtomicU64,
    worker: OnceLock<Arc<Watch>>,
}

impl Running {
    pub(crate) fn new(
        call: Arc<Call>,
        wall_deadline: Instant,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            call,
            wall_deadline,
            _permit: permit,
            expired: AtomicBool::new(false),
            expiry: AtomicWaker::new(),
            finished: AtomicBool::new(false),
            cpu_nanos: AtomicU64::new(0),
            worker: OnceLock::new(),
        }
    }

    /// The caller has given up: the instance stops taking calls and is dropped as soon as its
    /// other calls are done.
    pub(crate) fn expire(&self) {
        self.expired.store(true, Relaxed);
        self.expiry.wake();
        if let Some(watch) = self.worker.get() {
            watch.retire();
        }
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.expired.load(Relaxed)
    }

    /// The instance was lost, so a body that ends now did not end by itself.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.worker.get().is_some_and(|watch| watch.broken.load(Relaxed))
    }

    /// The response's body flows: its instance is waited for.
    pub(crate) fn stream_begins(&self) {
        if let Some(watch) = self.worker.get() {
            watch.waited_for.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn stream_ends(&self) {
        if let Some(watch) = self.worker.get() {
            watch.waited_for.fetch_sub(1, Relaxed);
            if watch.retired.load(Relaxed) {
                watch.retire();
            }
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Relaxed)
    }

    /// How the instance ended, once it has; None when no instance ever took the call.
    pub(crate) async fn ending(&self) -> Option<Ending> {
        let watch = self.worker.get()?;
        loop {
            let ended = watch.ended.notified();
            if let Some(ending) = watch.ending.get() {
                return Some(ending.clone());
            }
            ended.await;
        }
    }
}

/// Why an instance is no more, as seen by each of its calls.
#[derive(Clone)]
pub(crate) struct Ending {
    pub(crate) error: CallError,
    /// The call that caused it, where that is known.
    culprit: Option<*const Running>,
    /// How many calls the instance had.
    pub(crate) calls: usize,
}

// SAFETY: the pointer is compared, never followed.
unsafe impl Send for Ending {}
// SAFETY: as above.
unsafe impl Sync for Ending {}

impl Ending {
    /// True when another call is to blame, or may be.
    pub(crate) fn spares(&self, running: &Running) -> bool {
        match self.culprit {
            Some(culprit) => !std::ptr::eq(culprit, running),
            None => self.calls > 1,
        }
    }

    pub(crate) fn is_anothers(&self, running: &Running) -> bool {
        self.culprit.is_some_and(|culprit| !std::ptr::eq(culprit, running))
    }
}

/// What the inside of a worker, its outside and the epoch callback tell each other.
pub(crate) struct Watch {
    start: Instant,
    /// Nanoseconds since `start` at which the current poll (or the last look) began.
    look: AtomicU64,
    cpu_nanos: AtomicU64,
    /// True when all calls wait for something: only then may another CPU-bound one come in.
    quiet: AtomicBool,
    retired: AtomicBool,
    /// The instance is being lost: what ends from now on was cut short.
    broken: AtomicBool,
    live: AtomicU32,
    /// Calls accepted, answered or not, that have not expired.
    waited_for: AtomicU32,
    idle: AtomicBool,
    wall_deadline: Mutex<Instant>,
    waker: Mutex<Option<Waker>>,
    ending: OnceLock<Ending>,
    ended: Notify,
}

impl Watch {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            start: now,
            look: AtomicU64::new(0),
            cpu_nanos: AtomicU64::new(0),
            quiet: AtomicBool::new(true),
            retired: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            live: AtomicU32::new(0),
            waited_for: AtomicU32::new(0),
            idle: AtomicBool::new(false),
            wall_deadline: Mutex::new(now),
            waker: Mutex::new(None),
            ending: OnceLock::new(),
            ended: Notify::new(),
        }
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The instance takes no more calls, and is looked at again.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Relaxed);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn deadline(&self) -> Instant {
        *self.wall_deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Raised from the epoch callback; says which limit, and whose call.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
struct Killed {
    error: CallError,
    culprit: Option<usize>,
}

/// Creates an instance and serves the pool's calls until it is used up.
pub(crate) async fn run(pool: Arc<Pool>, first: Option<Job>) {
    let revision = pool.revision.clone();
    let watch = Arc::new(Watch::new());
    let mut store = revision.store();
    let bloated = store.data().meter.bloated.clone();
    guard(&mut store, &revision, &watch);
    revision.watched_by(&watch);
    let cpu = Metered { watch: &watch, revision: &revision };
    let made = cpu.polled(revision.exports.instantiate(&mut store)).await;
    let guest = match made {
        Ok(guest) => guest,
        Err(error) => {
            let error = classify_instantiation(&error, &store, &revision);
            pool.creation_failed(first, error);
            return;
        }
    };
    revision.counters.instances.fetch_add(1, Relaxed);
    revision.counters.instances_created.fetch_add(1, Relaxed);
    let result = serve(&pool, &watch, &mut store, &guest, first, &cpu, &bloated).await;
    revision.counters.instances.fetch_sub(1, Relaxed);
    if let Err(error) = result {
        let memory = store.data().meter.refused;
        let ending = classify(&error, memory, &watch, &revision);
        tracing::warn!(component = %revision.manifest.id, error = %ending.error, "instance lost");
        let _first = watch.ending.set(ending);
    }
    // The host's side of pending calls goes with the store; nobody can resume it.
    drop(store);
    let gone = Ending { error: CallError::InstanceLost, culprit: None, calls: 2 };
    let _already = watch.ending.set(gone);
    watch.ended.notify_waiters();
    pool.worker_gone();
}

/// Arms the epoch callback: CPU per call, deadlines for busy guests, fairness for the others.
fn guard(store: &mut Store<Instance>, revision: &Arc<Revision>, watch: &Arc<Watch>) {
    let (revision, watch) = (revision.clone(), watch.clone());
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut store| {
        let now = watch.nanos();
        let burst = now.saturating_sub(watch.look.swap(now, Relaxed));
        watch.cpu_nanos.fetch_add(burst, Relaxed);
        let used = charge(&mut store, burst, &watch);
        if revision.is_cut_off() {
            return Err(Killed { error: CallError::Withdrawn, culprit: None }.into());
        }
        let limit = revision.limits.cpu;
        if used.nanos > u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX) {
            let error = CallError::CpuExceeded { limit };
            return Err(Killed { error, culprit: used.culprit }.into());
        }
        if used.expired && watch.waited_for.load(Relaxed) == 0 {
            let limit = revision.limits.first_byte;
            let error = CallError::FirstByteTimeout { limit };
            return Err(Killed { error, culprit: used.culprit }.into());
        }
        // A guest that only just woke up has not held the shard; one that ran for a tick has.
        let held = u128::from(burst) >= TICK.as_nanos() / 2;
        Ok(if held { UpdateDeadline::Yield(1) } else { UpdateDeadline::Continue(1) })
    });
}

struct Charge {
    nanos: u64,
    expired: bool,
    culprit: Option<usize>,
}

/// Books a burst of CPU time on the call whose task is running; on the instance itself while no
/// task is (its start functions).
fn charge(store: &mut StoreContextMut<'_, Instance>, burst: u64, watch: &Watch) -> Charge {
    let root = store.async_call_stack().ok().and_then(Iterator::last);
    let running = root.and_then(|task| store.data().running(task).cloned());
    match running {
        Some(running) => Charge {
            nanos: running.cpu_nanos.fetch_add(burst, Relaxed) + burst,
            expired: running.is_expired(),
            culprit: Some(Arc::as_ptr(&running).addr()),
        },
        None if watch.live.load(Relaxed) == 0 => {
            Charge { nanos: watch.cpu_nanos.load(Relaxed), expired: false, culprit: None }
        }
        None => Charge { nanos: 0, expired: false, culprit: None },
    }
}

/// Measures what a future computes: the time its polls take.
struct Metered<'a> {
    watch: &'a Watch,
    revision: &'a Revision,
}

impl Metered<'_> {
    /// Nanoseconds at which a poll begins.
    fn begin(&self) -> u64 {
        let begin = self.watch.nanos();
        self.watch.look.store(begin, Relaxed);
        begin
    }

    /// Books what was computed since `begin`, and returns now: the clock is read once between two
    /// polls that follow each other.
    fn book(&self, begin: u64) -> u64 {
        let now = self.begin();
        self.revision.counters.cpu_nanos.fetch_add(now.saturating_sub(begin), Relaxed);
        now
    }

    async fn polled<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let begin = self.begin();
            let poll = future.as_mut().poll(cx);
            self.book(begin);
            poll
        })
        .await
    }
}

/// The outside of a worker: polls the store, and ends it when a limit says so.
async fn serve(
    pool: &Arc<Pool>,
    watch: &Arc<Watch>,
    store: &mut Store<Instance>,
    guest: &Guest<'_>,
    first: Option<Job>,
    cpu: &Metered<'_>,
    bloated: &AtomicBool,
) -> wasmtime::Result<()> {
    let inside = store.run_concurrent(async |accessor: &Accessor<Instance>| {
        take_calls(pool, watch, accessor, guest, first, bloated).await
    });
    let mut inside = pin!(inside);
    let first_look = IDLE_MAX.min(pool.revision.limits.wall);
    let mut alarm = pin!(tokio::time::sleep(first_look));
    let mut idle_since: Option<Instant> = None;
    let lost = |error: wasmtime::Error| {
        // Said before anything of the store is dropped: a body must not look whole.
        watch.broken.store(true, Relaxed);
        Poll::Ready(Err(error))
    };
    poll_fn(|cx| {
        let mut begin = cpu.begin();
        loop {
            let poll = inside.as_mut().poll(cx);
            begin = cpu.book(begin);
            if let Poll::Ready(result) = poll {
                return result.and_then(|ended| ended).map_or_else(&lost, |()| Poll::Ready(Ok(())));
            }
            // Who has nothing to do has taken what there was, and will be woken for more.
            if watch.quiet.swap(true, Relaxed) || watch.idle.load(Relaxed) {
                break;
            }
        }
        *watch.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        let retired = watch.retired.load(Relaxed);
        if retired && pool.revision.is_cut_off() {
            return lost(Killed { error: CallError::Withdrawn, culprit: None }.into());
        }
        if retired && watch.live.load(Relaxed) > 0 && watch.waited_for.load(Relaxed) == 0 {
            let limit = pool.revision.limits.first_byte;
            let error = CallError::FirstByteTimeout { limit };
            return lost(Killed { error, culprit: None }.into());
        }
        let idle = watch.idle.load(Relaxed);
        idle_since = if idle { idle_since.or_else(|| Some(Instant::now())) } else { None };
        while alarm.as_mut().poll(cx).is_ready() {
            let until = match idle_since {
                Some(since) => since + IDLE_MAX,
                None => watch.deadline().max(Instant::now() + TICK),
            };
            let overdue = idle_since.is_none() && watch.deadline() <= Instant::now();
            if idle_since.is_some_and(|since| since.elapsed() >= IDLE_MAX) {
                return Poll::Ready(Ok(()));
            }
            if overdue {
                let limit = pool.revision.limits.wall;
                let error = CallError::WallTimeout { limit };
                return lost(Killed { error, culprit: None }.into());
            }
            alarm.as_mut().reset(until.into());
        }
        Poll::Pending
    })
    .await
}

/// The inside of a worker: takes calls while it may, until none can come any more.
async fn take_calls(
    pool: &Arc<Pool>,
    watch: &Arc<Watch>,
    accessor: &Accessor<Instance>,
    guest: &Guest<'_>,
    first: Option<Job>,
    bloated: &AtomicBool,
) -> wasmtime::Result<()> {
    let limits = &pool.revision.limits;
    let shared = pool.revision.is_shared();
    let (reuse_max, concurrency_max) =
        if shared { (limits.reuse_max, limits.concurrency_max) } else { (1, 1) };
    let mut taken = 0;
    let mut live = FuturesUnordered::new();
    let mut seat = pool.seat();
    let mut front = None;
    if let Some(job) = first {
        taken += 1;
        live.push(begin(accessor, guest, job, watch));
    }
    poll_fn(|cx| {
        loop {
            match Pin::new(&mut live).poll_next(cx) {
                Poll::Ready(Some(Ok(()))) => continue,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) | Poll::Pending => {}
            }
            let worn = taken >= reuse_max || bloated.load(Relaxed);
            let open = !worn && !pool.is_closed() && !watch.retired.load(Relaxed);
            let room = live.len() < concurrency_max as usize
                && (live.is_empty() || watch.quiet.load(Relaxed));
            // Asked last: it costs the most, and only who has room needs to know.
            if open && room && is_ready(accessor, guest, &mut front, cx)? {
                if let Some(job) = pool.take(&mut seat, cx) {
                    taken += 1;
                    watch.idle.store(false, Relaxed);
                    live.push(begin(accessor, guest, job, watch));
                    continue;
                }
            } else {
                pool.leave(&mut seat);
            }
            if !live.is_empty() || accessor.poll_no_interesting_tasks(cx).is_pending() {
                watch.idle.store(false, Relaxed);
                return Poll::Pending;
            }
            accessor.with(|mut access| access.data_mut().forget_finished());
            if !open {
                pool.leave(&mut seat);
                return Poll::Ready(Ok(()));
            }
            watch.idle.store(true, Relaxed);
            return Poll::Pending;
        }
    })
    .await
}

/// Whether the instance takes another call; `front` is the function that is asked about.
fn is_ready(
    accessor: &Accessor<Instance>,
    guest: &Guest<'_>,
    front: &mut Option<Func>,
    cx: &mut Context<'_>,
) -> wasmtime::Result<bool> {
    let front = match *front {
        Some(front) => front,
        None => *front.insert(accessor.with(|store| guest.front(store))?),
    };
    Ok(accessor.poll_ready_for_concurrent_call(front, cx).is_ready())
}

/// Hands one call to the guest; resolves when the guest has answered or the caller gave up.
fn begin<'a>(
    accessor: &'a Accessor<Instance>,
    guest: &'a Guest<'_>,
    job: Job,
    watch: &Arc<Watch>,
) -> impl Future<Output = wasmtime::Result<()>> + 'a {
    let Job { running, work } = job;
    // Assume the newcomer computes; once everything waits, the outside says so.
    watch.quiet.store(false, Relaxed);
    watch.live.fetch_add(1, Relaxed);
    watch.waited_for.fetch_add(1, Relaxed);
    {
        let mut latest = watch.wall_deadline.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = (*latest).max(running.wall_deadline);
    }
    let _only_once = running.worker.set(watch.clone());
    let begun = accessor.with(|mut access| {
        let (begun, task) = Begun::new(access.as_context_mut(), guest, work, &running.call)?;
        access.data_mut().begin(task, running.clone());
        wasmtime::error::Ok(begun)
    });
    let watch = watch.clone();
    async move {
        let mut departure = Departure { watch: &watch, running: &running, regular: false };
        let gave_up = pin!(poll_fn(|cx| {
            // Registered first: who expires in between is seen.
            running.expiry.register(cx.waker());
            if running.is_expired() { Poll::Ready(()) } else { Poll::Pending }
        }));
        begun?.run(accessor, gave_up).await?;
        departure.regular = true;
        wasmtime::error::Ok(())
    }
}

/// Books a call out, whichever way it ends.
struct Departure<'a> {
    watch: &'a Watch,
    running: &'a Running,
    /// False when the instance was lost under the call: then it stays on the list of losses.
    regular: bool,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        self.running.finished.store(true, Relaxed);
        self.watch.waited_for.fetch_sub(1, Relaxed);
        // An expired call's guest code still runs: the instance is not rid of it.
        if self.regular && !self.running.is_expired() {
            self.watch.live.fetch_sub(1, Relaxed);
        }
    }
}

fn classify_instantiation(
    error: &wasmtime::Error,
    store: &Store<Instance>,
    revision: &Revision,
) -> CallError {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        CallError::NoCapacity
    } else if let Some(killed) = error.downcast_ref::<Killed>() {
        killed.error.clone()
    } else if store.data().meter.refused {
        CallError::MemoryExceeded { limit_mib: revision.limits.memory_mib }
    } else {
        CallError::Instantiation(format!("{error:#}").into())
    }
}

fn classify(error: &wasmtime::Error, memory: bool, watch: &Watch, revision: &Revision) -> Ending {
    let calls = watch.live.load(Relaxed) as usize;
    if let Some(killed) = error.downcast_ref::<Killed>() {
        let culprit = killed.culprit.map(std::ptr::without_provenance);
        return Ending { error: killed.error.clone(), culprit, calls };
    }
    let error = if memory {
        CallError::MemoryExceeded { limit_mib: revision.limits.memory_mib }
    } else {
        CallError::Trapped(format!("{error:#}").into())
    };
    Ending { error, culprit: None, calls }
}
