//! The guest's side: `nexus:jobs/jobs` in terms of [`nexus_storage::jobs`].

use crate::{Jobs, JobsState, Shared, WATCHES_MAX};
use jobs::Error;
use nexus_runtime::{Has, View};
use nexus_storage::jobs::{JobProgress, JobRecord, JobState, Submission};
use serde_json::{Map, Value, json};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{OwnedSemaphorePermit, watch};
use uuid::Uuid;
use wasmtime::component::{Accessor, Destination, StreamProducer, StreamReader, StreamResult};
use wasmtime::{Result, StoreContextMut};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../../wit/nexus-jobs@0.1.0",
        world: "nexus:jobs/jobs-client",
        imports: { default: trappable },
    });
}

use bindings::nexus::jobs::jobs;
pub(crate) use jobs::add_to_linker;

type Answer<T> = std::result::Result<T, Error>;

impl jobs::Host for View<'_, Jobs> {}

/// Who asks, and where.
struct Asking {
    state: JobsState,
    service: String,
}

impl Asking {
    fn new<T: Send + 'static>(accessor: &Accessor<T, Has<Jobs>>) -> Self {
        accessor.with(|mut access| {
            let view = access.get();
            Self { state: view.state.clone(), service: view.component.id.to_string() }
        })
    }

    fn shared(&self) -> Answer<&Shared> {
        let away = || Error::Unavailable("this host has no database".into());
        self.state.shared.as_ref().ok_or_else(away)
    }

    async fn submit(
        &self,
        kind: &str,
        tenant: Option<String>,
        args: &str,
        options: jobs::Options,
    ) -> Answer<String> {
        let tenant = tenant.map(|tenant| identifier(&tenant)).transpose()?;
        let args = parsed(args, "args")?;
        let options = chosen(options)?;
        let (id, trace) = (Uuid::now_v7(), None);
        let job = Submission { kind, id, tenant, args: &args, trace, options: &options };
        let id = self.shared()?.store.submit(&self.service, &job).await.map_err(sorted)?;
        Ok(id.to_string())
    }

    async fn show(&self, id: &str) -> Answer<JobRecord> {
        let shown = self.shared()?.store.show(&self.service, identifier(id)?).await;
        shown.map_err(sorted)?.ok_or(Error::NotFound)
    }

    async fn cancel(&self, id: &str) -> Answer<jobs::State> {
        let cancelled = self.shared()?.store.cancel(&self.service, identifier(id)?).await;
        cancelled.map_err(sorted)?.map(Into::into).ok_or(Error::NotFound)
    }

    async fn watch(&self, id: &str) -> Answer<Watched> {
        let place = self.state.places.clone().try_acquire_owned();
        let place = place.map_err(|_| Error::TooMany(WATCHES_MAX))?;
        let job = self.show(id).await?;
        let told = self.shared()?.watches.open(job.id, job.progress);
        Ok(Watched { next: Box::pin(next(told)), _place: place })
    }
}

impl<T: Send + 'static> jobs::HostWithStore<T> for Has<Jobs> {
    async fn submit(
        accessor: &Accessor<T, Self>,
        kind: String,
        tenant: Option<String>,
        args: String,
        options: jobs::Options,
    ) -> Result<Answer<String>> {
        Ok(Asking::new(accessor).submit(&kind, tenant, &args, options).await)
    }

    async fn show(accessor: &Accessor<T, Self>, id: String) -> Result<Answer<jobs::Job>> {
        Ok(Asking::new(accessor).show(&id).await.map(Into::into))
    }

    async fn watch(
        accessor: &Accessor<T, Self>,
        id: String,
    ) -> Result<Answer<StreamReader<jobs::Progress>>> {
        match Asking::new(accessor).watch(&id).await {
            Ok(watched) => accessor.with(|access| Ok(Ok(StreamReader::new(access, watched)?))),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn cancel(accessor: &Accessor<T, Self>, id: String) -> Result<Answer<jobs::State>> {
        Ok(Asking::new(accessor).cancel(&id).await)
    }
}

type Told = watch::Receiver<JobProgress>;
type Next = Pin<Box<dyn Future<Output = Option<(JobProgress, Told)>> + Send>>;

/// A guest's stream of progress, pulled: what comes while nobody reads is told as one.
struct Watched {
    next: Next,
    _place: OwnedSemaphorePermit,
}

async fn next(mut told: Told) -> Option<(JobProgress, Told)> {
    told.changed().await.ok()?;
    let progress = told.borrow_and_update().clone();
    Some((progress, told))
}

impl<D> StreamProducer<D> for Watched {
    type Item = jobs::Progress;
    type Buffer = Option<jobs::Progress>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, jobs::Progress, Option<jobs::Progress>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        // A guest that only asks whether there is more learns it by reading.
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let next = match self.next.as_mut().poll(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            next => ready!(next),
        };
        let Some((progress, told)) = next else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        let is_last = progress.state.is_final();
        destination.set_buffer(Some(progress.into()));
        self.next = match is_last {
            true => Box::pin(std::future::ready(None)),
            false => Box::pin(self::next(told)),
        };
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

fn identifier(text: &str) -> Answer<Uuid> {
    text.parse().map_err(|_| Error::Invalid(format!("{text:.40} is no UUID")))
}

fn parsed(text: &str, name: &str) -> Answer<Value> {
    serde_json::from_str(text).map_err(|error| Error::Invalid(format!("{name}: {error}")))
}

/// Options under the names that `platform.job_submit` has for them.
fn chosen(options: jobs::Options) -> Answer<Value> {
    let mut chosen = Map::new();
    let requires = options.requires.map(|text| parsed(&text, "requires")).transpose()?;
    let all = [
        ("priority", options.priority.map(|it| json!(it))),
        ("delay_ms", options.delay_ms.map(|it| json!(it))),
        ("dedup_key", options.dedup_key.map(|it| json!(it))),
        ("group", options.group.map(|it| json!(it))),
        ("attempts_max", options.attempts_max.map(|it| json!(it))),
        ("wall_ms", options.wall_ms.map(|it| json!(it))),
        ("requires", requires),
        ("result_topic", options.result_topic.map(|it| json!(it))),
    ];
    for (name, value) in all {
        if let Some(value) = value {
            chosen.insert(name.into(), value);
        }
    }
    Ok(Value::Object(chosen))
}

/// What PostgreSQL says of a value is the guest's mistake; the rest is ours.
fn sorted(error: nexus_storage::Error) -> Error {
    let class = error.code().and_then(|code| code.code().get(..2).map(str::to_owned));
    match class.as_deref() {
        Some("22" | "23" | "54") => Error::Invalid(error.to_string()),
        _ if error.is_unavailable() => Error::Unavailable(error.to_string()),
        _ => Error::Other(error.to_string()),
    }
}

impl From<JobState> for jobs::State {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::Succeeded => Self::Succeeded,
            JobState::Failed => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<JobProgress> for jobs::Progress {
    fn from(progress: JobProgress) -> Self {
        Self {
            state: progress.state.into(),
            attempt: progress.attempt,
            fraction: progress.fraction,
            stage: progress.stage,
        }
    }
}

impl From<JobRecord> for jobs::Job {
    fn from(job: JobRecord) -> Self {
        Self {
            id: job.id.to_string(),
            kind: job.kind,
            tenant: job.tenant.map(|tenant| tenant.to_string()),
            args: job.args,
            state: job.progress.state.into(),
            attempt: job.progress.attempt,
            fraction: job.progress.fraction,
            stage: job.progress.stage,
            output: job.output,
            error: job.error,
            cancel_requested: job.cancel_requested,
            created_at: milliseconds(job.created_at),
            started_at: job.started_at.map(milliseconds),
            finished_at: job.finished_at.map(milliseconds),
        }
    }
}

fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
