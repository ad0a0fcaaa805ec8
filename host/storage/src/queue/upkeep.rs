//! What keeps the tables small and the time running: deferred messages that fall due, slots that
//! are emptied, days that are made and dropped. Any number of hosts may do each of it at once.

use super::{Queue, may_try_again};
use crate::error::Error;
use std::time::Duration;

/// Events looked at in one step of a replay.
const REPLAY_EVENTS_MAX: i32 = 2000;

/// Size at which a ring moves on to its next slot: some ten thousand rows, which is what a claim
/// may have to read over while an old snapshot keeps the dead ones.
const SLOT_BYTES_MAX: i64 = 1 << 20;

/// Rows moved out of a slot at once.
const PARK_MAX: i32 = 5000;

/// How long is kept what nobody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days of events, for replay. A day on which a message still depends stays longer.
    pub event_days: u16,
    /// Days of messages that are done; a replay takes older ones for new.
    pub done_days: u16,
    /// Days of dead letters.
    pub dead_days: u16,
}

impl Default for Retention {
    fn default() -> Self {
        Self { event_days: 30, done_days: 3, dead_days: 30 }
    }
}

/// What one round of [`Queue::maintain`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Partitions made and dropped.
    pub days: u64,
    /// Rows past their time.
    pub purged: u64,
    /// Publishers were in the way of the partitions; the next round may fare better.
    pub days_postponed: bool,
}

impl Queue {
    /// Makes deferred messages ready whose time has come, and works on what is to be replayed.
    /// Returns how many messages became ready; as many as `rows_max` say that there may be more.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn promote(&self, rows_max: u32) -> Result<u64, Error> {
        let session = self.session().await?;
        let most = i32::try_from(rows_max).unwrap_or(i32::MAX);
        let rows = session.query("select platform.queue_promote($1)", &[&most]).await?;
        let mut moved = rows[0].try_get::<_, i64>(0)?.cast_unsigned();
        while moved < u64::from(rows_max) {
            let sql = "select platform.queue_replay_step($1)";
            let rows = session.query(sql, &[&REPLAY_EVENTS_MAX]).await?;
            let Some(made) = rows[0].try_get::<_, Option<i64>>(0)? else { break };
            moved += made.cast_unsigned();
        }
        if moved > 0 {
            self.frontiers.look_through();
            self.database().work().poke();
        }
        Ok(moved)
    }

    /// Moves the rings on and empties the slots that are through. Cheap enough for twice a second.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn rotate(&self) -> Result<(), Error> {
        self.rotate_at(SLOT_BYTES_MAX).await
    }

    /// As [`Queue::rotate`], for slots of another size; 0 moves on at every call.
    ///
    /// # Errors
    ///
    /// As [`Queue::rotate`].
    pub async fn rotate_at(&self, slot_bytes_max: i64) -> Result<(), Error> {
        let session = self.session().await?;
        for ring in ["queue_ready", "queue_lease"] {
            let sql = "select platform.queue_rotate($1, $2, $3)";
            session.execute(sql, &[&ring, &slot_bytes_max, &PARK_MAX]).await?;
        }
        Ok(())
    }

    /// Makes and drops partitions, forgets what is past its time, and shortens the way of
    /// [`Queue::promote`]. For once a minute.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn maintain(&self, retention: &Retention) -> Result<Upkeep, Error> {
        let session = self.session().await?;
        session.execute("select platform.queue_raise_low()", &[]).await?;
        let mut upkeep = Upkeep::default();
        let days = (i32::from(retention.event_days), i32::from(retention.done_days));
        match session.query("select platform.queue_days($1, $2)", &[&days.0, &days.1]).await {
            Ok(rows) => upkeep.days = rows[0].try_get::<_, i32>(0)?.cast_unsigned().into(),
            Err(e) if may_try_again(&e) => upkeep.days_postponed = true,
            Err(e) => return Err(e),
        }
        let rows_max = 10_000;
        let sql = "select platform.queue_purge_expired($1, $2)";
        let rows = session.query(sql, &[&i32::from(retention.dead_days), &rows_max]).await?;
        upkeep.purged = rows[0].try_get::<_, i64>(0)?.cast_unsigned();
        Ok(upkeep)
    }

    /// Time until the next deferred message falls due, at most `most`.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn next_due(&self, most: Duration) -> Result<Duration, Error> {
        let session = self.session().await?;
        let sql = "select greatest(extract(epoch from min(due_at) - clock_timestamp()), 0)::float8 \
                   from platform.queue_deferred where due_at >= \
                   (select to_timestamp(last_value / 1000.0) from platform.queue_deferred_low)";
        let rows = session.query(sql, &[]).await?;
        let seconds: Option<f64> = rows[0].try_get(0)?;
        Ok(seconds.map_or(most, |s| Duration::from_secs_f64(s.min(most.as_secs_f64()))))
    }
}
