//! What operators see of jobs and do to them: those of every service. Everything that lists is
//! bounded.

use super::Jobs;
use super::rows::{self, JobState};
use crate::error::Error;
use crate::session::Param;
use serde_json::Value;
use std::time::{Duration, SystemTime};
use tokio_postgres::Row;
use uuid::Uuid;

/// Which jobs. All that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    pub state: Option<JobState>,
    pub kind: Option<String>,
    pub service: Option<String>,
}

/// A job as an operator sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    pub id: Uuid,
    pub kind: String,
    /// What a worker must offer.
    pub requires: Value,
    /// Whose job it is.
    pub service: String,
    pub tenant: Option<Uuid>,
    pub state: JobState,
    pub priority: i16,
    pub attempt: u32,
    pub attempts_max: u32,
    /// Time for one attempt.
    pub wall: Duration,
    /// 0 to 1.
    pub fraction: f32,
    pub stage: Option<String>,
    /// Who worked on it last.
    pub worker: Option<String>,
    /// When the running attempt is to be over.
    pub deadline: Option<SystemTime>,
    pub cancel_requested_at: Option<SystemTime>,
    pub error: Option<String>,
    pub created_at: SystemTime,
    pub started_at: Option<SystemTime>,
    pub finished_at: Option<SystemTime>,
    /// Where the next attempt goes on: `{bucket, key}`.
    pub checkpoint: Option<Value>,
    /// Null in a list.
    pub args: Value,
    /// Null in a list, and before it has succeeded.
    pub output: Value,
}

impl JobState {
    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// What a word means, if anything.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

const SHOWN: &str = "select j.id, q.kind, q.requires, j.service, j.tenant_id, \
    platform.job_state(j) as state, j.priority, j.attempt, j.attempts_max, j.wall_ms, j.fraction, \
    j.stage, j.worker, j.deadline, j.cancel_requested_at, j.error, j.created_at, j.started_at, \
    j.finished_at, j.checkpoint";

const FROM: &str = "from platform.job j join platform.job_queue q using (queue_id)";

impl Jobs {
    /// Jobs of every service, the newest id first, at most `rows_max` after `after`; without
    /// arguments and outputs.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn list(
        &self,
        filter: &JobFilter,
        after: Option<Uuid>,
        rows_max: u32,
    ) -> Result<Vec<JobRow>, Error> {
        let sql = format!(
            "{SHOWN}, null::jsonb as args, null::jsonb as output {FROM} \
             where ($1::text is null or platform.job_state(j) = $1) \
             and ($2::boolean is null or (j.finished_at is not null) = $2) \
             and ($3::text is null or q.kind = $3) and ($4::text is null or j.service = $4) \
             and ($5::uuid is null or j.id < $5) order by j.id desc limit $6"
        );
        let (state, rows_max) = (filter.state.map(JobState::as_str), i64::from(rows_max));
        // Says the same as the state, in a way that an index knows.
        let is_over = filter.state.map(JobState::is_final);
        let params: [Param<'_>; 6] =
            [&state, &is_over, &filter.kind, &filter.service, &after, &rows_max];
        let rows = self.database.host().await?.query(&sql, &params).await?;
        rows.iter().map(job).collect()
    }

    /// One job of any service.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn find(&self, id: Uuid) -> Result<Option<JobRow>, Error> {
        let sql = format!("{SHOWN}, j.args, j.output {FROM} where j.id = $1");
        self.database.host().await?.query(&sql, &[&id]).await?.first().map(job).transpose()
    }

    /// Cancels a job of any service: at once when nobody works on it, otherwise the worker is asked
    /// to stop. Returns the state after that, None when there is no such job.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn cancel_any(&self, id: Uuid) -> Result<Option<JobState>, Error> {
        let sql = "with locked as materialized ( \
                     select j from platform.job j where j.id = $1 for update \
                   ) select platform.job_cancel_locked(l.j) from locked l";
        let rows = self.database.host().await?.query(sql, &[&id]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(rows::state(row.try_get(0)?)))
    }
}

fn job(row: &Row) -> Result<JobRow, Error> {
    let count = |name: &str| row.try_get::<_, i32>(name).map(i32::cast_unsigned);
    let json = |name: &str| row.try_get::<_, Option<Value>>(name).map(Option::unwrap_or_default);
    let wall_ms = u64::try_from(row.try_get::<_, i64>("wall_ms")?).unwrap_or_default();
    Ok(JobRow {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        requires: row.try_get("requires")?,
        service: row.try_get("service")?,
        tenant: row.try_get("tenant_id")?,
        state: rows::state(row.try_get("state")?),
        priority: row.try_get("priority")?,
        attempt: count("attempt")?,
        attempts_max: count("attempts_max")?,
        wall: Duration::from_millis(wall_ms),
        fraction: row.try_get("fraction")?,
        stage: row.try_get("stage")?,
        worker: row.try_get("worker")?,
        deadline: row.try_get("deadline")?,
        cancel_requested_at: row.try_get("cancel_requested_at")?,
        error: row.try_get("error")?,
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        checkpoint: row.try_get("checkpoint")?,
        args: json("args")?,
        output: json("output")?,
    })
}
