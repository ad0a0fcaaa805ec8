//! Firing: what is due, in one transaction each, once over all hosts; and looking after the runs.

use super::calendars::{COLUMNS, Definition};
use super::plan::plan;
use super::spec::{RunState, RunTrigger};
use super::{ScheduleError, Schedules};
use crate::error::Error;
use std::time::SystemTime;
use uuid::Uuid;

/// A schedule whose time has come.
#[derive(Debug, Clone)]
pub struct Due(Definition);

impl Due {
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    pub fn service(&self) -> &str {
        &self.0.service
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The first nominal instant that was not fired.
    pub fn next_fire_at(&self) -> Option<SystemTime> {
        self.0.next_fire_at
    }

    /// When that one is fired: later by its jitter.
    pub fn due_at(&self) -> Option<SystemTime> {
        self.0.due_at
    }
}

/// What is due, and when the next one will be.
#[derive(Debug, Clone)]
pub struct Next {
    pub due: Vec<Due>,
    /// Of those that are not due yet; there may be due ones beyond `rows_max`.
    pub then: Option<SystemTime>,
}

/// What one fire did.
#[derive(Debug, Clone)]
pub struct Fired {
    /// In order of their instants; empty when another host was faster, or the schedule was changed,
    /// paused or removed meanwhile.
    pub runs: Vec<FiredRun>,
}

/// One instant of a fire.
#[derive(Debug, Clone)]
pub struct FiredRun {
    pub id: Uuid,
    pub scheduled_at: SystemTime,
    /// When it should have been fired: `scheduled_at` and its jitter.
    pub due_at: SystemTime,
    pub trigger: RunTrigger,
    /// Due, held, skipped, missed or duplicate.
    pub state: RunState,
    pub reason: Option<String>,
    /// Instants that it stands for: more than one only for those missed long ago.
    pub fires: u64,
}

/// What one look at the runs found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Runs that have ended since.
    pub ended: u64,
    /// Where to go on; none: everything was looked at.
    pub cursor: Option<Uuid>,
}

impl Schedules {
    /// The schedules whose time has come, the longest due first, at most `rows_max`.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn due(&self, now: SystemTime, rows_max: u32) -> Result<Next, Error> {
        let session = self.session().await?;
        let live = "s.removed_at is null and s.paused_at is null and not s.recompute";
        let sql = format!(
            "select {COLUMNS} from platform.schedule s where {live} and s.due_at <= $1 \
             order by s.due_at limit $2"
        );
        let rows = session.query(&sql, &[&now, &i64::from(rows_max)]).await?;
        let due =
            rows.iter().map(|row| Definition::read(row).map(Due)).collect::<Result<_, _>>()?;
        let sql =
            format!("select min(s.due_at) from platform.schedule s where {live} and s.due_at > $1");
        let rows = session.query(&sql, &[&now]).await?;
        Ok(Next { due, then: rows[0].try_get(0)? })
    }

    /// Fires a schedule for all its instants up to now: by its catch-up policy those that are late,
    /// and by its overlap policy against the runs that are not over. One transaction; of any number
    /// of hosts at once, one does it.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Calendar`] when the expression means nothing any more, and whatever the
    /// database says. Nothing has happened then.
    pub async fn fire(&self, due: &Due, now: SystemTime) -> Result<Fired, ScheduleError> {
        let Due(definition) = due;
        let Some(first) = definition.next_fire_at else { return Ok(Fired { runs: Vec::new() }) };
        let calendar = self.calendars.of(definition)?;
        let (planned, next) = plan(&calendar, &definition.policy, first, now);
        let ids: Vec<Uuid> = planned.iter().map(|_| Uuid::now_v7()).collect();
        let instants: Vec<_> = planned.iter().map(|p| p.scheduled_at).collect();
        let triggers: Vec<_> = planned.iter().map(|p| p.trigger.as_str()).collect();
        let missed: Vec<_> = planned.iter().map(|p| p.missed).collect();
        let fires: Vec<_> = planned.iter().map(|p| p.fires).collect();
        let jitter = definition.policy.jitter;
        let next_due = next.map(|next| jitter.due(next));
        let session = self.session().await?;
        let sql = "select run_id, state, reason from \
                   platform.schedule_fire($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let params: &[crate::Param<'_>] = &[
            &definition.id,
            &definition.version,
            &definition.next_fire_at,
            &next,
            &next_due,
            &now,
            &ids,
            &instants,
            &triggers,
            &missed,
            &fires,
        ];
        let rows = session.query(sql, params).await?;
        let mut runs = Vec::with_capacity(rows.len());
        for (row, planned) in rows.iter().zip(&planned) {
            runs.push(FiredRun {
                id: row.try_get(0)?,
                scheduled_at: planned.scheduled_at,
                due_at: jitter.due(planned.scheduled_at),
                trigger: planned.trigger,
                state: RunState::of(row.try_get(1)?).unwrap_or(RunState::Unknown),
                reason: row.try_get(2)?,
                fires: u64::try_from(planned.fires).unwrap_or(1),
            });
        }
        Ok(Fired { runs })
    }

    /// Has the next instant of a schedule computed anew, which tells why it cannot be fired.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn recompute(&self, due: &Due) -> Result<(), Error> {
        let session = self.session().await?;
        let sql = "update platform.schedule s set recompute = true, updated_at = now() \
                   where s.id = $1 and s.version = $2";
        session.execute(sql, &[&due.0.id, &due.0.version]).await?;
        Ok(())
    }

    /// Looks at so many runs under way: writes down which have ended, ends those beyond the bounds
    /// of their schedule, pauses schedules that ask for it after a failure, and lets go what was
    /// held. Safe to run from many hosts at once.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn sweep(&self, cursor: Option<Uuid>, rows_max: u32) -> Result<Swept, Error> {
        let session = self.session().await?;
        let rows_max = i32::try_from(rows_max).unwrap_or(i32::MAX);
        let sql = "select ended, last_run from platform.schedule_sweep($1, $2)";
        let rows = session.query(sql, &[&cursor, &rows_max]).await?;
        let ended: i32 = rows[0].try_get(0)?;
        if ended > 0 {
            // What was held behind those runs is a message now.
            self.database.work().poke();
        }
        Ok(Swept { ended: u64::try_from(ended).unwrap_or(0), cursor: rows[0].try_get(1)? })
    }

    /// Forgets runs of more than 30 days ago, at most so many; returns how many.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn purge(&self, rows_max: u32) -> Result<u64, Error> {
        let session = self.session().await?;
        let rows_max = i32::try_from(rows_max).unwrap_or(i32::MAX);
        let rows = session.query("select platform.schedule_purge($1)", &[&rows_max]).await?;
        Ok(u64::try_from(rows[0].try_get::<_, i64>(0)?).unwrap_or(0))
    }
}
