//! The span of each attempt at a job. A claim hands out the attempt's own `traceparent`, and the
//! worker sends it along with every call about the job, so that any host can tell the span once the
//! attempt has ended. A worker that sends none has no span, and its job ends all the same.

use super::JobParts;
use http::HeaderMap;
use nexus_observability::TraceParent;
use nexus_observability::work::{self, Place};
use nexus_storage::jobs::{Attempt, ClaimedJob, Ending};
use nexus_storage::queue::Lease;
use uuid::Uuid;

/// What a claim hands out.
pub(super) fn begun(job: &ClaimedJob) -> String {
    Place::of_message(job.trace.as_deref(), job.id.as_u128()).own.to_string()
}

/// What a worker has sent along, if somebody records it.
pub(super) fn own(headers: &HeaderMap) -> Option<TraceParent> {
    let sent = headers.get("traceparent").and_then(|value| value.to_str().ok());
    sent.and_then(TraceParent::parse).filter(TraceParent::is_sampled)
}

/// An attempt that is about to end.
pub(super) struct Ended {
    own: TraceParent,
    attempt: Attempt,
}

impl Ended {
    /// None when nobody records the attempt, when it is held no longer, or when it is no part of
    /// the job's trace: a worker's word puts nothing into the trace of others.
    pub(super) async fn of(
        parts: &JobParts,
        id: Uuid,
        lease: Lease,
        own: Option<TraceParent>,
    ) -> Option<Self> {
        let own = own?;
        // Without an answer the job ends without a span.
        let attempt = parts.jobs.attempt(id, lease).await.ok().flatten()?;
        let job = Place::of_message(attempt.trace.as_deref(), id.as_u128());
        (job.own.trace_id() == own.trace_id()).then_some(Self { own, attempt })
    }

    /// The `traceparent` with which what follows goes on, where the job ends with this attempt.
    pub(super) fn goes_on_with(&self, ending: &Ending) -> Option<String> {
        let ends = matches!(ending, Ending::Ack { .. } | Ending::Reject { .. });
        ends.then(|| self.own.to_string())
    }

    pub(super) fn tell(&self, id: Uuid, outcome: &str) {
        let attempt = &self.attempt;
        let parent = attempt.trace.as_deref().and_then(TraceParent::parse);
        let told = work::Attempt {
            service: &attempt.service,
            kind: &attempt.kind,
            job: &id.to_string(),
            worker: &attempt.worker,
            attempt: attempt.number,
            began: attempt.began,
            outcome,
        };
        told.tell(&Place { own: self.own, parent });
    }
}
