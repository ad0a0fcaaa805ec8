//! Jobs of native workers, on the lease queue: claimed, kept alive, checkpointed, ended; submitted
//! and looked at by the services whose jobs they are. The functions behind this are in
//! `migrations/platform/0006_jobs.sql`.
//!
//! Knows leases and requirements. Refuses to know HTTP, objects, and what any job means.

mod operate;
mod requirement;
mod rows;

pub use operate::{JobFilter, JobRow};
pub use requirement::meets;
pub use rows::{
    Attempt, Beat, ClaimedJob, Ending, JobProgress, JobQueue, JobRecord, JobState, StopReason,
};

use crate::database::Database;
use crate::error::Error;
use crate::queue::Lease;
use crate::session::Session;
use crate::work::Listening;
use rows::{claimed, progress, queue, record};
use serde_json::Value;
use uuid::Uuid;

/// Jobs of one database. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    database: Database,
}

/// A job to be submitted outside of any transaction of its service.
#[derive(Debug, Clone)]
pub struct Submission<'a> {
    pub kind: &'a str,
    pub id: Uuid,
    pub tenant: Option<Uuid>,
    pub args: &'a Value,
    /// W3C `traceparent`.
    pub trace: Option<&'a str>,
    /// As `platform.job_submit` takes them.
    pub options: &'a Value,
}

impl Jobs {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Hears when there may be something to claim: a hint, beside looking now and then.
    pub fn listen(&self) -> Listening {
        self.database.work().listen()
    }

    /// Queues of these kinds with something to claim now, paused ones left out.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`], as all of these.
    pub async fn queues(&self, kinds: &[String]) -> Result<Vec<JobQueue>, Error> {
        let sql = "select j.queue_id, j.kind, j.requires::text \
                   from platform.job_queue j join platform.queue q on q.id = j.queue_id \
                   where j.kind = any ($1) and q.paused_at is null \
                   and exists (select from platform.queue_ready r where r.queue_id = q.id)";
        let rows = self.database.host().await?.query(sql, &[&kinds]).await?;
        rows.iter().map(queue).collect()
    }

    /// Every kind that was ever submitted.
    pub async fn kinds(&self) -> Result<Vec<String>, Error> {
        let sql = "select distinct kind from platform.job_queue order by kind";
        let rows = self.database.host().await?.query(sql, &[]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Claims at most `most` jobs of these queues. Each claim counts as an attempt.
    pub async fn claim(
        &self,
        queues: &[i32],
        most: u32,
        worker: &str,
    ) -> Result<Vec<ClaimedJob>, Error> {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let sql = "select queue_id, position, number, id, kind, service, tenant_id, args::text, \
                   attempt, attempts_max, wall_ms, lease_ms, checkpoint::text, trace \
                   from platform.job_claim($1, $2, $3)";
        let session = self.database.host().await?;
        let rows = session.query(sql, &[&queues, &most, &worker]).await?;
        rows.iter().map(claimed).collect()
    }

    /// The service whose job is held under a lease; None when it is not held.
    pub async fn holder(&self, id: Uuid, lease: Lease) -> Result<Option<String>, Error> {
        let Lease { queue, position, number } = lease;
        let sql = "select platform.job_held($1, $2, $3, $4)";
        let session = self.database.host().await?;
        let rows = session.query(sql, &[&id, &queue.0, &position, &number]).await?;
        Ok(rows[0].try_get(0)?)
    }

    /// Keeps a lease and notes progress; None when the lease is not held.
    pub async fn beat(
        &self,
        id: Uuid,
        lease: Lease,
        fraction: f32,
        stage: Option<&str>,
    ) -> Result<Option<Beat>, Error> {
        let Lease { queue, position, number } = lease;
        let sql = "select lease_ms, stop from platform.job_beat($1, $2, $3, $4, $5, $6)";
        let session = self.database.host().await?;
        let params: [crate::Param<'_>; 6] = [&id, &queue.0, &position, &number, &fraction, &stage];
        let rows = session.query(sql, &params).await?;
        rows.first().map(rows::beat).transpose()
    }

    /// Notes where the next attempt goes on; false when the lease is not held.
    pub async fn checkpoint(
        &self,
        id: Uuid,
        lease: Lease,
        checkpoint: &Value,
    ) -> Result<bool, Error> {
        let Lease { queue, position, number } = lease;
        let sql = "select platform.job_checkpoint($1, $2, $3, $4, $5::text::jsonb)";
        let session = self.database.host().await?;
        let checkpoint = checkpoint.to_string();
        let params: [crate::Param<'_>; 5] = [&id, &queue.0, &position, &number, &checkpoint];
        let rows = session.query(sql, &params).await?;
        Ok(rows[0].try_get(0)?)
    }

    /// The attempt that holds a job; None when the lease is not held.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn attempt(&self, id: Uuid, lease: Lease) -> Result<Option<Attempt>, Error> {
        let Lease { queue, position, number } = lease;
        let sql = "select q.kind, j.service, j.attempt, j.worker, j.trace, \
                   j.deadline - make_interval(secs => j.wall_ms / 1000.0) \
                   from platform.job j \
                   join platform.queue_lease l \
                     on l.queue_id = j.queue_id and l.position = j.position \
                   join platform.job_queue q on q.queue_id = j.queue_id \
                   where j.id = $1 and j.queue_id = $2 and j.position = $3 and l.number = $4";
        let session = self.database.host().await?;
        let rows = session.query(sql, &[&id, &queue.0, &position, &number]).await?;
        rows.first().map(rows::attempt).transpose()
    }

    /// Ends an attempt, and with it the job unless it is to be tried again; false when the lease
    /// is not held, and then nothing has changed.
    pub async fn finish(&self, id: Uuid, lease: Lease, ending: &Ending) -> Result<bool, Error> {
        let session = self.database.host().await?;
        ended(&session, id, lease, ending).await
    }

    /// As [`Jobs::finish`], and what follows from the job goes on with `trace`, the attempt's own
    /// `traceparent`, instead of that of whoever submitted it.
    pub async fn finish_within(
        &self,
        id: Uuid,
        lease: Lease,
        ending: &Ending,
        trace: &str,
    ) -> Result<bool, Error> {
        let session = self.database.host().await?;
        // What is left open is rolled back when the session goes.
        session.batch("begin").await?;
        let sql = "update platform.job set trace = $2 where id = $1 and finished_at is null";
        session.execute(sql, &[&id, &trace]).await?;
        let finished = ended(&session, id, lease, ending).await?;
        session.batch(if finished { "commit" } else { "rollback" }).await?;
        Ok(finished)
    }

    /// How far jobs have come; those that are not there are left out.
    pub async fn progress(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, JobProgress)>, Error> {
        let sql = "select j.id, platform.job_state(j), j.attempt, j.fraction, j.stage \
                   from platform.job j where j.id = any ($1)";
        let rows = self.database.host().await?.query(sql, &[&ids]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, progress(row)?))).collect()
    }

    /// Ends cancelled jobs whose worker was lost and forgets old ones, a bounded number; returns
    /// how many. Any number of hosts may do so at once.
    pub async fn sweep(&self, rows_max: u32) -> Result<u64, Error> {
        let rows_max = i32::try_from(rows_max).unwrap_or(i32::MAX);
        let sql = "select platform.job_sweep($1)";
        let rows = self.database.host().await?.query(sql, &[&rows_max]).await?;
        Ok(rows[0].try_get::<_, i64>(0)?.cast_unsigned())
    }

    /// Submits a job as a service; returns its id, or that of the first with the same dedup key.
    pub async fn submit(&self, service: &str, job: &Submission<'_>) -> Result<Uuid, Error> {
        let sql = "select platform.job_submit($1, $2, $3, $4::text::jsonb, $5, $6::text::jsonb)";
        let (args, options) = (job.args.to_string(), job.options.to_string());
        let session = self.database.service(service).await?;
        let params: [crate::Param<'_>; 6] =
            [&job.kind, &job.id, &job.tenant, &args, &job.trace, &options];
        let rows = session.query(sql, &params).await?;
        Ok(rows[0].try_get(0)?)
    }

    /// One of a service's own jobs.
    pub async fn show(&self, service: &str, id: Uuid) -> Result<Option<JobRecord>, Error> {
        let sql = "select id, state, attempt, fraction, stage, kind, tenant_id, args::text, \
                   output::text, error, cancel_requested, created_at, started_at, finished_at \
                   from platform.job_show($1)";
        let session = self.database.service(service).await?;
        session.query(sql, &[&id]).await?.first().map(record).transpose()
    }

    /// Cancels one of a service's own jobs; returns the state after that, None when there is none.
    pub async fn cancel(&self, service: &str, id: Uuid) -> Result<Option<JobState>, Error> {
        let session = self.database.service(service).await?;
        let rows = session.query("select platform.job_cancel($1)", &[&id]).await?;
        let state: Option<&str> = rows[0].try_get(0)?;
        Ok(state.map(rows::state))
    }
}

async fn ended(session: &Session, id: Uuid, lease: Lease, ending: &Ending) -> Result<bool, Error> {
    let Lease { queue, position, number } = lease;
    let (outcome, output, after, reason) = ending.columns();
    let sql = "select platform.job_finish($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8)";
    let params: [crate::Param<'_>; 8] =
        [&id, &queue.0, &position, &number, &outcome, &output, &after, &reason];
    let rows = session.query(sql, &params).await?;
    Ok(rows[0].try_get(0)?)
}
