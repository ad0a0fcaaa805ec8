//! The bodies of the job protocol, as JSON; the crate's header says what they mean. Knows no HTTP.
//!
//! Whoever reads ignores fields that it does not know: a worker may be older than its host.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// What a worker has, by name: an amount (`"gpu": 1`), a word or a list of words
/// (`"codec": ["av1", "h264"]`), or a fact (`"nvdec": true`).
pub type Offers = Map<String, Value>;

/// `POST /worker/v1/claim`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// Who asks, for people: 1 to 100 visible ASCII characters.
    pub worker: String,
    /// 1 to 64 kinds.
    pub kinds: Vec<String>,
    #[serde(default)]
    pub offers: Offers,
    /// Jobs wanted at once, 1 to 16.
    pub most: u32,
    /// How long the host may wait for a job, at most 30 seconds.
    #[serde(default)]
    pub wait_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimReply {
    /// Empty when none came in time.
    pub jobs: Vec<Claimed>,
}

/// A job, and the lease under which the worker has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    pub id: Uuid,
    pub kind: String,
    /// Opaque; sent back with every call about this job.
    pub lease: String,
    /// The lease ends so long after the claim, and after every heartbeat.
    pub lease_ms: u64,
    /// What is left of the time for this attempt; a heartbeat cannot extend it.
    pub wall_ms: u64,
    /// 1 at the first attempt.
    pub attempt: u32,
    pub attempts_max: u32,
    /// The service whose job it is.
    pub service: String,
    pub tenant: Option<Uuid>,
    pub args: Value,
    /// What an earlier attempt has left, if it has.
    pub checkpoint: Option<Object>,
    /// W3C `traceparent` of this attempt, in the trace of the work that submitted the job; sent
    /// back, as a header, with every call about the job.
    pub traceparent: Option<String>,
}

/// An object in the store of the host. A job may name those in the buckets of its own service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Object {
    pub bucket: String,
    pub key: String,
}

/// How far a job has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// 0 to 1.
    pub fraction: f32,
    /// What is being done, in a few words: at most 100 characters.
    pub stage: Option<String>,
}

/// `POST /worker/v1/jobs/{id}/heartbeat`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatRequest {
    pub lease: String,
    #[serde(flatten)]
    pub progress: Progress,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// From now on.
    pub lease_ms: u64,
    /// Why the worker is to stop, if it is.
    pub stop: Option<Stop>,
}

/// Why the host asks a worker to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// Somebody has cancelled the job: `release` ends it.
    Cancelled,
    /// The time for this attempt is over: `retry`.
    Deadline,
}

/// `POST /worker/v1/jobs/{id}/checkpoint`; the answer is 204.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRequest {
    pub lease: String,
    pub checkpoint: Object,
}

/// `POST /worker/v1/jobs/{id}/urls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlsRequest {
    pub lease: String,
    /// Objects to be read.
    #[serde(default)]
    pub read: Vec<Object>,
    /// Objects to be written. At most 100 of both together.
    #[serde(default)]
    pub write: Vec<Target>,
}

/// An object to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    #[serde(flatten)]
    pub object: Object,
    /// Signed into the URL, if given.
    pub content_type: Option<String>,
    /// Bytes; signed into the URL, if given.
    pub size: Option<u64>,
}

/// In the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlsReply {
    pub read: Vec<Readable>,
    pub write: Vec<Writable>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readable {
    /// For GET, with ranges.
    pub url: String,
    /// Bytes.
    pub size: u64,
    /// 64 lower-case hexadecimal digits; absent where the store does not know it.
    pub sha256: Option<String>,
    pub content_type: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writable {
    pub method: String,
    pub url: String,
    /// To be sent exactly so.
    pub headers: Vec<(String, String)>,
}

/// `POST /worker/v1/jobs/{id}/finish`; the answer is 204.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinishRequest {
    pub lease: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The four ways in which a worker lets go of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Done; `output` is JSON of at most 64 KiB.
    Ack { output: Value },
    /// Not this time: an attempt is used up. Again after `after_ms`, or by the queue's backoff.
    Retry { after_ms: Option<u64>, reason: String },
    /// Not here or not now: no attempt is used up. Again after `after_ms`, or at once.
    Release { after_ms: Option<u64> },
    /// It can never succeed.
    Reject { reason: String },
}

/// An answer with a status of 400 or more (RFC 9457), as far as a worker reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    #[serde(default, rename = "type")]
    pub name: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_outcome_stands_beside_the_lease() {
        let finish = |outcome| {
            let request = FinishRequest { lease: "l".into(), outcome };
            serde_json::to_value(request).unwrap()
        };
        let done = finish(Outcome::Ack { output: json!({ "a": 1 }) });
        assert_eq!(done, json!({ "lease": "l", "outcome": "ack", "output": { "a": 1 } }));
        let again = finish(Outcome::Retry { after_ms: Some(5), reason: "busy".into() });
        let expected = json!({ "lease": "l", "outcome": "retry", "after_ms": 5, "reason": "busy" });
        assert_eq!(again, expected);
        let read: FinishRequest =
            serde_json::from_value(json!({ "lease": "l", "outcome": "release" })).unwrap();
        assert_eq!(read.outcome, Outcome::Release { after_ms: None });
    }

    #[test]
    fn what_a_newer_host_adds_is_overlooked() {
        let reply = json!({ "lease_ms": 60_000, "stop": "deadline", "mood": "fine" });
        let reply: HeartbeatReply = serde_json::from_value(reply).unwrap();
        assert_eq!(reply.stop, Some(Stop::Deadline));
    }
}
