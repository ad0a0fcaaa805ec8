//! What the functions of `0006_jobs.sql` answer, as values.

use crate::error::Error;
use crate::queue::{Lease, QueueId};
use serde_json::Value;
use std::time::{Duration, SystemTime};
use tokio_postgres::Row;
use uuid::Uuid;

/// One kind and requirement.
#[derive(Debug, Clone, PartialEq)]
pub struct JobQueue {
    pub id: i32,
    pub kind: String,
    pub requires: Value,
}

/// A job in a worker's hands.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedJob {
    pub id: Uuid,
    pub lease: Lease,
    pub kind: String,
    pub service: String,
    pub tenant: Option<Uuid>,
    pub args: Value,
    /// 1 at the first attempt.
    pub attempt: u32,
    pub attempts_max: u32,
    pub wall: Duration,
    /// How long the lease lasts from now.
    pub lasts: Duration,
    /// `{bucket, key}`.
    pub checkpoint: Option<Value>,
    pub trace: Option<String>,
}

/// An attempt while it lasts.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    pub kind: String,
    pub service: String,
    /// 1 at the first.
    pub number: u32,
    /// Who works.
    pub worker: String,
    /// When the job was claimed for it.
    pub began: SystemTime,
    /// `traceparent` of the work that submitted the job.
    pub trace: Option<String>,
}

/// The answer to a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// How long the lease lasts from now.
    pub lasts: Duration,
    pub stop: Option<StopReason>,
}

/// Why a worker is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    Cancelled,
    /// The time for the attempt is over.
    Deadline,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    Ack { output: Value },
    Retry { after: Option<Duration>, reason: String },
    Release { after: Option<Duration> },
    Reject { reason: String },
}

/// How far a job has come.
#[derive(Debug, Clone, PartialEq)]
pub struct JobProgress {
    pub state: JobState,
    pub attempt: u32,
    /// 0 to 1.
    pub fraction: f32,
    pub stage: Option<String>,
}

/// The last three are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// A job as its service sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    pub id: Uuid,
    pub progress: JobProgress,
    pub kind: String,
    pub tenant: Option<Uuid>,
    /// JSON, as the database writes it.
    pub args: String,
    /// JSON.
    pub output: Option<String>,
    pub error: Option<String>,
    pub cancel_requested: bool,
    pub created_at: SystemTime,
    pub started_at: Option<SystemTime>,
    pub finished_at: Option<SystemTime>,
}

impl JobState {
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl Ending {
    /// Outcome, output, milliseconds to wait, reason.
    pub(crate) fn columns(&self) -> (&'static str, Option<String>, Option<i64>, Option<&str>) {
        let ms = |after: &Option<Duration>| {
            after.map(|after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX))
        };
        match self {
            Self::Ack { output } => ("ack", Some(output.to_string()), None, None),
            Self::Retry { after, reason } => ("retry", None, ms(after), Some(reason)),
            Self::Release { after } => ("release", None, ms(after), None),
            Self::Reject { reason } => ("reject", None, None, Some(reason)),
        }
    }
}

pub(crate) fn queue(row: &Row) -> Result<JobQueue, Error> {
    let requires = json(row.try_get(2)?);
    Ok(JobQueue { id: row.try_get(0)?, kind: row.try_get(1)?, requires })
}

pub(crate) fn claimed(row: &Row) -> Result<ClaimedJob, Error> {
    let lease = Lease {
        queue: QueueId(row.try_get(0)?),
        position: row.try_get(1)?,
        number: row.try_get(2)?,
    };
    Ok(ClaimedJob {
        lease,
        id: row.try_get(3)?,
        kind: row.try_get(4)?,
        service: row.try_get(5)?,
        tenant: row.try_get(6)?,
        args: json(row.try_get(7)?),
        attempt: count(row, 8)?,
        attempts_max: count(row, 9)?,
        wall: milliseconds(row, 10)?,
        lasts: milliseconds(row, 11)?,
        checkpoint: row.try_get::<_, Option<&str>>(12)?.map(json),
        trace: row.try_get(13)?,
    })
}

/// Kind, service, attempt, worker, trace, beginning.
pub(crate) fn attempt(row: &Row) -> Result<Attempt, Error> {
    Ok(Attempt {
        kind: row.try_get(0)?,
        service: row.try_get(1)?,
        number: count(row, 2)?,
        worker: row.try_get::<_, Option<String>>(3)?.unwrap_or_default(),
        trace: row.try_get(4)?,
        began: row.try_get(5)?,
    })
}

pub(crate) fn beat(row: &Row) -> Result<Beat, Error> {
    let stop = match row.try_get(1)? {
        Some("cancelled") => Some(StopReason::Cancelled),
        Some(_) => Some(StopReason::Deadline),
        None => None,
    };
    Ok(Beat { lasts: milliseconds(row, 0)?, stop })
}

/// From column 1 on: state, attempt, fraction, stage.
pub(crate) fn progress(row: &Row) -> Result<JobProgress, Error> {
    Ok(JobProgress {
        state: state(row.try_get(1)?),
        attempt: count(row, 2)?,
        fraction: row.try_get(3)?,
        stage: row.try_get(4)?,
    })
}

pub(crate) fn record(row: &Row) -> Result<JobRecord, Error> {
    Ok(JobRecord {
        id: row.try_get(0)?,
        progress: progress(row)?,
        kind: row.try_get(5)?,
        tenant: row.try_get(6)?,
        args: row.try_get(7)?,
        output: row.try_get(8)?,
        error: row.try_get(9)?,
        cancel_requested: row.try_get(10)?,
        created_at: row.try_get(11)?,
        started_at: row.try_get(12)?,
        finished_at: row.try_get(13)?,
    })
}

pub(crate) fn state(word: &str) -> JobState {
    match word {
        "queued" => JobState::Queued,
        "running" => JobState::Running,
        "succeeded" => JobState::Succeeded,
        "cancelled" => JobState::Cancelled,
        // The table's check knows no other.
        _ => JobState::Failed,
    }
}

/// What PostgreSQL writes as jsonb is JSON, but for numbers that serde_json cannot hold.
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn count(row: &Row, column: usize) -> Result<u32, Error> {
    Ok(u32::try_from(row.try_get::<_, i32>(column)?).unwrap_or_default())
}

fn milliseconds(row: &Row, column: usize) -> Result<Duration, Error> {
    let ms = u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or_default();
    Ok(Duration::from_millis(ms))
}
