//! What a worker is, and how it fails. Knows no protocol.

use crate::context::Context;
use crate::wire::Claimed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

/// What the host keeps of a reason.
const REASON_CHARS_MAX: usize = 1_000;

/// One kind of job and how it is done. Runs on a thread of its own and may block it.
pub trait Worker: Send + Sync + 'static {
    /// The word under which jobs are submitted: lower-case letters, digits and `_`.
    const KIND: &'static str;
    type Args: DeserializeOwned;
    type Output: Serialize;

    /// Does the work of one attempt. At least once: an earlier attempt may have got anywhere.
    ///
    /// # Errors
    ///
    /// A [`Failure`], which says what is to become of the job.
    fn work(&self, job: &Job<Self::Args>, cx: &Context) -> Result<Self::Output, Failure>;
}

/// What is known of a job beside its lease.
#[derive(Debug, Clone)]
pub struct Job<A> {
    pub id: Uuid,
    /// 1 at the first attempt.
    pub attempt: u32,
    pub attempts_max: u32,
    pub tenant: Option<Uuid>,
    pub args: A,
}

/// Why an attempt gave no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Another attempt may succeed.
    #[error("{reason}")]
    Retry { after: Option<Duration>, reason: String },
    /// Not here or not now; no attempt is charged.
    #[error("{reason}")]
    Release { after: Option<Duration>, reason: String },
    /// No attempt can succeed.
    #[error("{0}")]
    Reject(String),
    /// The worker was told to stop; the loop knows why.
    #[error("stopped")]
    Stopped,
}

impl Failure {
    pub fn retry(reason: impl ToString) -> Self {
        Self::Retry { after: None, reason: reason.to_string() }
    }

    pub fn reject(reason: impl ToString) -> Self {
        Self::Reject(reason.to_string())
    }

    /// A rejection that a program can tell from others: `code: words`.
    pub fn because(code: &str, words: impl fmt::Display) -> Self {
        Self::Reject(format!("{code}: {words}"))
    }
}

/// A [`Worker`] whose types are JSON.
pub(crate) trait AnyWorker: Send + Sync {
    fn work(&self, claimed: &Claimed, cx: &Context) -> Result<Value, Failure>;
}

impl<W: Worker> AnyWorker for W {
    fn work(&self, claimed: &Claimed, cx: &Context) -> Result<Value, Failure> {
        let args = serde_json::from_value::<W::Args>(claimed.args.clone());
        let args = args.map_err(|error| Failure::Reject(format!("the arguments: {error}")))?;
        let job = Job {
            id: claimed.id,
            attempt: claimed.attempt,
            attempts_max: claimed.attempts_max,
            tenant: claimed.tenant,
            args,
        };
        let output = Worker::work(self, &job, cx)?;
        serde_json::to_value(&output)
            .map_err(|error| Failure::Reject(format!("the output is no JSON: {error}")))
    }
}

/// A reason as the host keeps it.
pub(crate) fn short(reason: &str) -> String {
    reason.chars().filter(|c| *c == '\n' || !c.is_control()).take(REASON_CHARS_MAX).collect()
}
