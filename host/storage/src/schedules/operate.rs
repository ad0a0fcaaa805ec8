//! What operators do to schedules, and what they see of them. Everything that lists is bounded.

use super::calendars::{COLUMNS, Definition};
use super::spec::{Overlap, RunState, RunTrigger};
use super::{BACKFILL_RUNS_MAX, ScheduleError, Schedules};
use crate::error::Error;
use crate::session::Session;
use serde_json::Value;
use std::time::SystemTime;
use tokio_postgres::Row;
use uuid::Uuid;

/// Rows of one answer.
const ROWS_MAX: u32 = 1_000;

/// A schedule as it stands.
#[derive(Debug, Clone)]
pub struct ScheduleRow {
    pub id: Uuid,
    pub service: String,
    pub name: String,
    pub tenant: Option<Uuid>,
    /// An entry of a manifest, rather than put by the service.
    pub of_manifest: bool,
    pub expression: String,
    pub zone: String,
    pub gap: String,
    pub overlap: String,
    pub catchup: String,
    pub jitter_ms: i32,
    pub starts_at: Option<SystemTime>,
    pub ends_at: Option<SystemTime>,
    pub pause_on_failure: bool,
    pub paused_at: Option<SystemTime>,
    pub paused_by: Option<String>,
    pub paused_reason: Option<String>,
    pub wall_ms: Option<i64>,
    pub attempts_max: Option<i32>,
    /// The queue's name.
    pub queue: String,
    pub topic: String,
    pub payload: Option<Value>,
    /// None: paused, over, refused, or not computed yet.
    pub next_fire_at: Option<SystemTime>,
    /// Why the expression means nothing.
    pub refused: Option<String>,
    pub last_scheduled_at: Option<SystemTime>,
    pub last_fired_at: Option<SystemTime>,
    /// Runs in the queue, and runs that wait for them.
    pub runs_due: i64,
    pub runs_held: i64,
}

/// A run as it stands.
#[derive(Debug, Clone)]
pub struct RunRow {
    pub id: Uuid,
    pub schedule: Uuid,
    pub scheduled_at: SystemTime,
    pub fired_at: SystemTime,
    pub trigger: RunTrigger,
    pub state: RunState,
    pub reason: Option<String>,
    pub requested_by: Option<String>,
    pub fires: i64,
    pub attempt: i32,
    /// When the attempt began that is running.
    pub started_at: Option<SystemTime>,
    pub finished_at: Option<SystemTime>,
}

/// A stretch of time to fire for again: from `from` on and before `to`, which is cut at now.
#[derive(Debug, Clone)]
pub struct Backfill {
    pub schedule: Uuid,
    pub from: SystemTime,
    pub to: SystemTime,
    /// [`Overlap::BufferAll`] runs them one after the other.
    pub overlap: Overlap,
    pub by: String,
}

const SHOWN: &str = "select s.*, q.name as queue, \
    case when s.paused_at is null and not s.recompute then s.next_fire_at end as shown_next, \
    (select count(*) from platform.schedule_run r \
     where r.schedule_id = s.id and r.state = 'due') as runs_due, \
    (select count(*) from platform.schedule_run r \
     where r.schedule_id = s.id and r.state = 'held') as runs_held \
    from platform.schedule s join platform.queue q on q.id = s.queue_id where s.removed_at is null";

impl Schedules {
    /// Schedules by service, name and id, after those of the last one of the page before.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn list(
        &self,
        service: Option<&str>,
        after: Option<(&str, &str, Uuid)>,
        rows_max: u32,
    ) -> Result<Vec<ScheduleRow>, Error> {
        let session = self.session().await?;
        let sql = format!(
            "{SHOWN} and ($1::text is null or s.service = $1) \
             and ($2::text is null or (s.service, s.name, s.id) > ($2, $3, $4)) \
             order by s.service, s.name, s.id limit $5"
        );
        let rows_max = i64::from(rows_max.min(ROWS_MAX));
        let (after_service, after_name, after_id) =
            (after.map(|a| a.0), after.map(|a| a.1), after.map(|a| a.2));
        let params: &[crate::Param<'_>] =
            &[&service, &after_service, &after_name, &after_id, &rows_max];
        session.query(&sql, params).await?.iter().map(schedule).collect()
    }

    /// One schedule.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Unknown`].
    pub async fn show(&self, id: Uuid) -> Result<ScheduleRow, ScheduleError> {
        let session = self.session().await?;
        let rows = session.query(&format!("{SHOWN} and s.id = $1"), &[&id]).await?;
        Ok(schedule(rows.first().ok_or(ScheduleError::Unknown(id))?)?)
    }

    /// The one of a service by its name, without tenant: an entry of its manifest.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn named(&self, service: &str, name: &str) -> Result<Option<ScheduleRow>, Error> {
        let session = self.session().await?;
        let sql = format!("{SHOWN} and s.service = $1 and s.name = $2 and s.tenant_id is null");
        session.query(&sql, &[&service, &name]).await?.first().map(schedule).transpose()
    }

    /// The runs of a schedule, the latest instant first, after the instant and id of the last one
    /// of the page before.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn runs(
        &self,
        id: Uuid,
        after: Option<(SystemTime, Uuid)>,
        rows_max: u32,
    ) -> Result<Vec<RunRow>, Error> {
        let session = self.session().await?;
        let sql = "select * from platform.schedule_history h where h.schedule_id = $1 \
                   and ($2::timestamptz is null or (h.scheduled_at, h.id) < ($2, $3)) \
                   order by h.scheduled_at desc, h.id desc limit $4";
        let (at, run) = after.unzip();
        let rows_max = i64::from(rows_max.min(ROWS_MAX));
        session.query(sql, &[&id, &at, &run, &rows_max]).await?.iter().map(run_row).collect()
    }

    /// No fires until it is resumed; what is in the queue goes on.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Unknown`].
    pub async fn pause(&self, id: Uuid, by: &str, reason: &str) -> Result<(), ScheduleError> {
        self.set_paused(id, true, Some(by), Some(reason)).await
    }

    /// Fires again from now on; what fell into the pause is not made up for.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Unknown`].
    pub async fn resume(&self, id: Uuid) -> Result<(), ScheduleError> {
        self.set_paused(id, false, None, None).await
    }

    async fn set_paused(
        &self,
        id: Uuid,
        paused: bool,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Result<(), ScheduleError> {
        let session = self.session().await?;
        let sql = "select platform.schedule_set_paused(null, $1, $2, $3, $4)";
        let rows = session.query(sql, &[&id, &paused, &by, &reason]).await?;
        if rows[0].try_get(0)? { Ok(()) } else { Err(ScheduleError::Unknown(id)) }
    }

    /// Fires once, now, paused or not; beside what runs already if `overlap` is
    /// [`Overlap::Allow`]. Returns the run's id.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Unknown`].
    pub async fn run_now(
        &self,
        id: Uuid,
        now: SystemTime,
        overlap: Overlap,
        by: &str,
    ) -> Result<Uuid, ScheduleError> {
        let session = self.session().await?;
        let sql = "select platform.schedule_run_by_hand(null, $1, $2, $3, $4, $5)";
        let (run, overlap) = (Uuid::now_v7(), overlap.as_str());
        let rows = session.query(sql, &[&id, &run, &now, &overlap, &by]).await?;
        rows[0].try_get::<_, Option<Uuid>>(0)?.ok_or(ScheduleError::Unknown(id))
    }

    /// The next instants of a schedule after `after`, at most `count` and a thousand.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Unknown`], [`ScheduleError::Calendar`].
    pub async fn preview(
        &self,
        id: Uuid,
        after: SystemTime,
        count: usize,
    ) -> Result<Vec<SystemTime>, ScheduleError> {
        let session = self.session().await?;
        let definition = definition(&session, id).await?;
        let calendar = self.calendars.of(&definition)?;
        let mut at = after;
        let next = std::iter::from_fn(|| {
            at = calendar.next_after(at)?;
            Some(at)
        });
        Ok(next.take(count.min(BACKFILL_RUNS_MAX)).collect())
    }

    /// The instants that a backfill would fire.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::TooMany`] beyond [`BACKFILL_RUNS_MAX`], [`ScheduleError::Backwards`],
    /// [`ScheduleError::Unknown`].
    pub async fn backfill_preview(
        &self,
        wanted: &Backfill,
        now: SystemTime,
    ) -> Result<Vec<SystemTime>, ScheduleError> {
        let session = self.session().await?;
        let definition = definition(&session, wanted.schedule).await?;
        self.instants(&definition, wanted.from, wanted.to, now)
    }

    fn instants(
        &self,
        definition: &Definition,
        from: SystemTime,
        to: SystemTime,
        now: SystemTime,
    ) -> Result<Vec<SystemTime>, ScheduleError> {
        if to <= from {
            return Err(ScheduleError::Backwards);
        }
        let calendar = self.calendars.of(definition)?;
        let found = calendar.between(from, to.min(now), BACKFILL_RUNS_MAX + 1);
        match found.len() > BACKFILL_RUNS_MAX {
            true => Err(ScheduleError::TooMany { most: BACKFILL_RUNS_MAX }),
            false => Ok(found),
        }
    }

    /// Fires for each instant of a stretch, paused or not, whether or not it was fired before.
    /// Returns how many runs were made.
    ///
    /// # Errors
    ///
    /// As [`Schedules::backfill_preview`].
    pub async fn backfill(
        &self,
        wanted: &Backfill,
        now: SystemTime,
    ) -> Result<usize, ScheduleError> {
        self.backfill_preview(wanted, now).await?;
        let session = self.session().await?;
        let sql = "insert into platform.schedule_backfill \
                   (id, schedule_id, range_from, range_to, overlap, requested_by) \
                   values ($1, $2, $3, $4, $5, $6)";
        let (id, overlap) = (Uuid::now_v7(), wanted.overlap.as_str());
        let params: &[crate::Param<'_>] =
            &[&id, &wanted.schedule, &wanted.from, &wanted.to, &overlap, &wanted.by];
        session.execute(sql, params).await?;
        drop(session);
        // Another host may be at it already: then it is done there.
        Ok(self.work_off(id, wanted, now).await?.unwrap_or(0))
    }

    /// Works off what services and operators have ordered, at most so many orders; returns the
    /// runs that were made. An order that cannot be carried out says why.
    ///
    /// # Errors
    ///
    /// Whatever the database says.
    pub async fn backfills(&self, now: SystemTime, rows_max: u32) -> Result<usize, ScheduleError> {
        let session = self.session().await?;
        let sql = "select id, schedule_id, range_from, range_to, overlap, requested_by \
                   from platform.schedule_backfill where done_at is null \
                   order by requested_at limit $1";
        let rows = session.query(sql, &[&i64::from(rows_max)]).await?;
        drop(session);
        let mut made = 0;
        for row in rows {
            let wanted = Backfill {
                schedule: row.try_get(1)?,
                from: row.try_get(2)?,
                to: row.try_get(3)?,
                overlap: Overlap::of(row.try_get(4)?).unwrap_or(Overlap::BufferAll),
                by: row.try_get::<_, Option<String>>(5)?.unwrap_or_default(),
            };
            made += self.work_off(row.try_get(0)?, &wanted, now).await?.unwrap_or(0);
        }
        Ok(made)
    }

    /// None when somebody else has done it.
    async fn work_off(
        &self,
        order: Uuid,
        wanted: &Backfill,
        now: SystemTime,
    ) -> Result<Option<usize>, ScheduleError> {
        let (instants, refused) = match self.backfill_preview(wanted, now).await {
            Ok(instants) => (instants, None),
            Err(ScheduleError::Storage(error)) => return Err(error.into()),
            Err(refusal) => (Vec::new(), Some(refusal.to_string())),
        };
        let ids: Vec<Uuid> = instants.iter().map(|_| Uuid::now_v7()).collect();
        let session = self.session().await?;
        let sql = "select platform.schedule_backfill_run($1, $2, $3, $4, $5)";
        let rows = session.query(sql, &[&order, &now, &instants, &ids, &refused]).await?;
        let made: Option<i32> = rows[0].try_get(0)?;
        Ok(made.map(|made| usize::try_from(made).unwrap_or(0)))
    }
}

async fn definition(session: &Session, id: Uuid) -> Result<Definition, ScheduleError> {
    let sql = format!(
        "select {COLUMNS} from platform.schedule s where s.id = $1 and s.removed_at is null"
    );
    let rows = session.query(&sql, &[&id]).await?;
    Ok(Definition::read(rows.first().ok_or(ScheduleError::Unknown(id))?)?)
}

fn schedule(row: &Row) -> Result<ScheduleRow, Error> {
    Ok(ScheduleRow {
        id: row.try_get("id")?,
        service: row.try_get("service")?,
        name: row.try_get("name")?,
        tenant: row.try_get("tenant_id")?,
        of_manifest: row.try_get::<_, &str>("source")? == "manifest",
        expression: row.try_get("expression")?,
        zone: row.try_get("zone")?,
        gap: row.try_get("gap")?,
        overlap: row.try_get("overlap")?,
        catchup: row.try_get("catchup")?,
        jitter_ms: row.try_get("jitter_ms")?,
        starts_at: row.try_get("starts_at")?,
        ends_at: row.try_get("ends_at")?,
        pause_on_failure: row.try_get("pause_on_failure")?,
        paused_at: row.try_get("paused_at")?,
        paused_by: row.try_get("paused_by")?,
        paused_reason: row.try_get("paused_reason")?,
        wall_ms: row.try_get("wall_ms")?,
        attempts_max: row.try_get("attempts_max")?,
        queue: row.try_get("queue")?,
        topic: row.try_get("topic")?,
        payload: row.try_get("payload")?,
        next_fire_at: row.try_get("shown_next")?,
        refused: row.try_get("refused")?,
        last_scheduled_at: row.try_get("last_scheduled_at")?,
        last_fired_at: row.try_get("last_fired_at")?,
        runs_due: row.try_get("runs_due")?,
        runs_held: row.try_get("runs_held")?,
    })
}

fn run_row(row: &Row) -> Result<RunRow, Error> {
    Ok(RunRow {
        id: row.try_get("id")?,
        schedule: row.try_get("schedule_id")?,
        scheduled_at: row.try_get("scheduled_at")?,
        fired_at: row.try_get("fired_at")?,
        trigger: RunTrigger::of(row.try_get("trigger")?).unwrap_or(RunTrigger::Schedule),
        state: RunState::of(row.try_get("state")?).unwrap_or(RunState::Unknown),
        reason: row.try_get("reason")?,
        requested_by: row.try_get("requested_by")?,
        fires: row.try_get("fires")?,
        attempt: row.try_get("attempt")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
    })
}
