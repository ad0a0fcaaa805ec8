//! The bodies of the job protocol as the host reads and writes them. The worker's side of the same
//! is `media-native/protocol/src/wire.rs`, which explains the fields; its tests run against this.

use nexus_storage::jobs::{ClaimedJob, Ending};
use nexus_storage::queue::Lease;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use std::time::Duration;

#[derive(Debug, Deserialize)]
pub(crate) struct Claim {
    pub(crate) worker: String,
    pub(crate) kinds: Vec<String>,
    #[serde(default)]
    pub(crate) offers: Map<String, Value>,
    pub(crate) most: u32,
    #[serde(default)]
    pub(crate) wait_ms: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Heartbeat {
    #[serde(deserialize_with = "lease")]
    pub(crate) lease: Lease,
    #[serde(default)]
    pub(crate) fraction: f32,
    #[serde(default)]
    pub(crate) stage: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Checkpoint {
    #[serde(deserialize_with = "lease")]
    pub(crate) lease: Lease,
    pub(crate) checkpoint: Object,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Urls {
    #[serde(deserialize_with = "lease")]
    pub(crate) lease: Lease,
    #[serde(default)]
    pub(crate) read: Vec<Object>,
    #[serde(default)]
    pub(crate) write: Vec<Target>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Object {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    #[serde(flatten)]
    pub(crate) object: Object,
    pub(crate) content_type: Option<String>,
    pub(crate) size: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Finish {
    #[serde(deserialize_with = "lease")]
    pub(crate) lease: Lease,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    Ack { output: Value },
    Retry { after_ms: Option<u64>, reason: String },
    Release { after_ms: Option<u64> },
    Reject { reason: String },
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        let after = |ms: Option<u64>| ms.map(Duration::from_millis);
        match outcome {
            Outcome::Ack { output } => Self::Ack { output },
            Outcome::Retry { after_ms, reason } => Self::Retry { after: after(after_ms), reason },
            Outcome::Release { after_ms } => Self::Release { after: after(after_ms) },
            Outcome::Reject { reason } => Self::Reject { reason },
        }
    }
}

/// One entry of a claim's answer.
pub(crate) fn claimed(job: &ClaimedJob) -> Value {
    json!({
        "id": job.id,
        "kind": job.kind,
        "lease": job.lease.to_string(),
        "lease_ms": milliseconds(job.lasts),
        "wall_ms": milliseconds(job.wall),
        "attempt": job.attempt,
        "attempts_max": job.attempts_max,
        "service": job.service,
        "tenant": job.tenant,
        "args": job.args,
        "checkpoint": job.checkpoint,
        "traceparent": super::spans::begun(job),
    })
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn lease<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Lease, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}
