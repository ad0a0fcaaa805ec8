//! What a worker says about a job that it holds. Each call carries the lease, and changes nothing
//! when that is held no longer.

use super::objects::ObjectUrlError;
use super::spans::Ended;
use super::wire::{Checkpoint, Finish, Heartbeat, Object, Outcome, Target, Urls, milliseconds};
use super::{JobParts, Workers, failure, json, nothing};
use crate::problems;
use nexus_observability::TraceParent;
use nexus_runtime::{Problem, Response};
use nexus_storage::jobs::StopReason;
use nexus_storage::queue::Lease;
use serde_json::{Value, json as object};
use uuid::Uuid;

/// What a service may be handed in an event, beside everything else in it.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
const STAGE_CHARS_MAX: usize = 100;
const URLS_MAX: usize = 100;

pub(super) async fn heartbeat(
    parts: &JobParts,
    id: Uuid,
    told: Heartbeat,
) -> Result<Response, Problem> {
    if !(0.0..=1.0).contains(&told.fraction) {
        return Err(problems::WORKER_REQUEST.detail("fraction is 0 to 1"));
    }
    let stage: Option<String> = told.stage.map(|s| s.chars().take(STAGE_CHARS_MAX).collect());
    let beat = parts.jobs.beat(id, told.lease, told.fraction, stage.as_deref()).await;
    let beat = beat.map_err(|error| failure(&error))?.ok_or(problems::LEASE_LOST)?;
    let stop = beat.stop.map(|reason| match reason {
        StopReason::Cancelled => "cancelled",
        StopReason::Deadline => "deadline",
    });
    Ok(json(&object!({ "lease_ms": milliseconds(beat.lasts), "stop": stop })))
}

impl Workers {
    pub(super) async fn checkpoint(
        &self,
        parts: &JobParts,
        id: Uuid,
        told: Checkpoint,
    ) -> Result<Response, Problem> {
        let service = holder(parts, id, told.lease).await?;
        self.granted(&service, &told.checkpoint)?;
        let checkpoint = object!(told.checkpoint);
        let noted = parts.jobs.checkpoint(id, told.lease, &checkpoint).await;
        match noted.map_err(|error| failure(&error))? {
            true => Ok(nothing()),
            false => Err(problems::LEASE_LOST),
        }
    }

    /// URLs for objects in the buckets of the job's service: what a service may not open itself,
    /// it cannot have opened by a worker.
    pub(super) async fn urls(
        &self,
        parts: &JobParts,
        id: Uuid,
        asked: Urls,
    ) -> Result<Response, Problem> {
        if asked.read.len() + asked.write.len() > URLS_MAX {
            let detail = format!("at most {URLS_MAX} objects at once");
            return Err(problems::WORKER_REQUEST.detail(detail));
        }
        let service = holder(parts, id, asked.lease).await?;
        let written = asked.write.iter().map(|target| &target.object);
        asked.read.iter().chain(written).try_for_each(|object| self.granted(&service, object))?;
        let (mut read, mut write) = (Vec::new(), Vec::new());
        for object in &asked.read {
            read.push(readable(parts, object).await?);
        }
        for target in &asked.write {
            write.push(writable(parts, target).await?);
        }
        Ok(json(&object!({ "read": read, "write": write })))
    }

    fn granted(&self, service: &str, object: &Object) -> Result<(), Problem> {
        let manifest = self.facts.manifest();
        let components = manifest.map(|manifest| &manifest.components[..]).unwrap_or_default();
        let component = components.iter().find(|component| component.id.as_str() == service);
        if component.is_some_and(|component| component.buckets.contains(&object.bucket)) {
            return Ok(());
        }
        let detail = format!("{service} has no grant for the bucket {}", object.bucket);
        Err(problems::NO_BUCKET.detail(detail))
    }

    pub(super) async fn finish(
        &self,
        parts: &JobParts,
        id: Uuid,
        told: Finish,
        own: Option<TraceParent>,
    ) -> Result<Response, Problem> {
        let outcome = match &told.outcome {
            Outcome::Ack { output } if output.to_string().len() > OUTPUT_BYTES_MAX => {
                let detail = format!("an output takes at most {OUTPUT_BYTES_MAX} bytes");
                return Err(problems::BODY_SIZE.detail(detail));
            }
            Outcome::Ack { .. } => "ack",
            Outcome::Retry { .. } => "retry",
            Outcome::Release { .. } => "release",
            Outcome::Reject { .. } => "reject",
        };
        let ended = Ended::of(parts, id, told.lease, own).await;
        let ending = told.outcome.into();
        let trace = ended.as_ref().and_then(|ended| ended.goes_on_with(&ending));
        let finished = match trace {
            Some(trace) => parts.jobs.finish_within(id, told.lease, &ending, &trace).await,
            None => parts.jobs.finish(id, told.lease, &ending).await,
        };
        if !finished.map_err(|error| failure(&error))? {
            return Err(problems::LEASE_LOST);
        }
        self.facts.counts().finished(outcome);
        if let Some(ended) = ended {
            ended.tell(id, outcome);
        }
        Ok(nothing())
    }
}

async fn holder(parts: &JobParts, id: Uuid, lease: Lease) -> Result<String, Problem> {
    let holder = parts.jobs.holder(id, lease).await.map_err(|error| failure(&error))?;
    holder.ok_or(problems::LEASE_LOST)
}

async fn readable(parts: &JobParts, object: &Object) -> Result<Value, Problem> {
    let url = parts.urls.read(&object.bucket, &object.key).await;
    let url = url.map_err(|error| without_url(object, &error))?;
    Ok(object!({
        "url": url.url,
        "size": url.size,
        "sha256": url.sha256,
        "content_type": url.content_type,
    }))
}

async fn writable(parts: &JobParts, target: &Target) -> Result<Value, Problem> {
    let Target { object, content_type, size } = target;
    let url = parts.urls.write(&object.bucket, &object.key, content_type.as_deref(), *size).await;
    let url = url.map_err(|error| without_url(object, &error))?;
    Ok(object!({ "method": url.method, "url": url.url, "headers": url.headers }))
}

fn without_url(object: &Object, error: &ObjectUrlError) -> Problem {
    let detail = format!("{}/{}: {error}", object.bucket, object.key);
    match error {
        ObjectUrlError::NoSuchObject => problems::NO_OBJECT.detail(detail),
        ObjectUrlError::Invalid(_) => problems::WORKER_REQUEST.detail(detail),
        ObjectUrlError::Unavailable(_) => problems::NO_STORE.detail(detail).retry_after(1),
        ObjectUrlError::Failed(_) => {
            tracing::error!(%error, "a worker gets no URL");
            problems::WORKER_FAILURE
        }
    }
}
