//! Calendars of schedules: parsed once per change of a definition, and the first instant of those
//! that have none yet.

use super::Schedules;
use super::plan::{Jitter, Policy};
use super::spec::Catchup;
use crate::error::Error;
use nexus_calendar::{Calendar, CalendarError, Gap, Options};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio_postgres::Row;
use uuid::Uuid;

/// Parsed calendars that are kept; some kilobytes each at most.
const KEPT_MAX: usize = 4_096;

/// The columns that [`Definition::read`] wants, of a row `s`.
pub(super) const COLUMNS: &str = "s.id, s.version, s.service, s.name, s.expression, s.zone, \
    s.gap, s.starts_at, s.ends_at, s.anchor_at, s.catchup, s.catchup_window_ms, s.catchup_max, \
    s.jitter_ms, s.next_fire_at, s.due_at";

/// What computing needs of a schedule.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) id: Uuid,
    pub(super) version: i64,
    pub(super) service: String,
    pub(super) name: String,
    pub(super) next_fire_at: Option<SystemTime>,
    pub(super) due_at: Option<SystemTime>,
    pub(super) policy: Policy,
    expression: String,
    zone: String,
    options: Options,
}

impl Definition {
    pub(super) fn read(row: &Row) -> Result<Self, Error> {
        let (id, catchup): (Uuid, &str) = (row.try_get("id")?, row.try_get("catchup")?);
        let window: Option<i64> = row.try_get("catchup_window_ms")?;
        let (most, jitter): (i32, i32) = (row.try_get("catchup_max")?, row.try_get("jitter_ms")?);
        let jitter = Duration::from_millis(u64::from(jitter.unsigned_abs()));
        Ok(Self {
            id,
            version: row.try_get("version")?,
            service: row.try_get("service")?,
            name: row.try_get("name")?,
            next_fire_at: row.try_get("next_fire_at")?,
            due_at: row.try_get("due_at")?,
            policy: Policy {
                catchup: Catchup::of(catchup).unwrap_or(Catchup::Latest),
                window: window.map(|ms| Duration::from_millis(ms.unsigned_abs())),
                most: usize::try_from(most).unwrap_or(1),
                jitter: Jitter { schedule: id, most: jitter },
            },
            expression: row.try_get("expression")?,
            zone: row.try_get("zone")?,
            options: Options {
                gap: Gap::of(row.try_get("gap")?).unwrap_or_default(),
                starts_at: row.try_get("starts_at")?,
                ends_at: row.try_get("ends_at")?,
                anchor: row.try_get("anchor_at")?,
            },
        })
    }
}

/// Calendars by schedule and version.
#[derive(Default)]
pub(super) struct Calendars(Mutex<HashMap<Uuid, (i64, Arc<Calendar>)>>);

impl Calendars {
    pub(super) fn of(&self, definition: &Definition) -> Result<Arc<Calendar>, CalendarError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, calendar)) = kept.get(&definition.id)
            && *version == definition.version
        {
            return Ok(calendar.clone());
        }
        let calendar =
            Calendar::parse(&definition.expression, &definition.zone, &definition.options)?;
        let calendar = Arc::new(calendar);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(definition.id, (definition.version, calendar.clone()));
        Ok(calendar)
    }
}

/// A schedule whose first instant was computed, or cannot be.
#[derive(Debug, Clone)]
pub struct Pending {
    pub id: Uuid,
    pub service: String,
    pub name: String,
    pub next_fire_at: Option<SystemTime>,
    /// Why its expression means nothing.
    pub refused: Option<String>,
}

impl Schedules {
    /// Computes the next instant of schedules that are new, were changed or resumed; at most so
    /// many. What lies between their change and now is due: `at` in a moment is not lost.
    ///
    /// How long ago the change was is known but for the time that the question takes. An instant
    /// within that doubt counts as before the change, unless there is none after it.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn compute(&self, now: SystemTime, rows_max: u32) -> Result<Vec<Pending>, Error> {
        let began = Instant::now();
        let session = self.session().await?;
        let sql = format!(
            "select {COLUMNS}, s.last_scheduled_at, s.updated_at, \
             (extract(epoch from clock_timestamp() - s.updated_at) * 1000)::bigint as age_ms \
             from platform.schedule s \
             where s.removed_at is null and s.paused_at is null and s.recompute \
             order by s.id limit $1"
        );
        let mut computed = Vec::new();
        let asked = began.elapsed();
        let rows = session.query(&sql, &[&i64::from(rows_max)]).await?;
        let answered = began.elapsed();
        for row in rows {
            let definition = Definition::read(&row)?;
            let updated_at: SystemTime = row.try_get("updated_at")?;
            let age_ms: i64 = row.try_get("age_ms")?;
            let last: Option<SystemTime> = row.try_get("last_scheduled_at")?;
            // By its age, since the clocks of components and database may be days apart in tests.
            let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
            let since = |passed: Duration| {
                let from = (now + passed).checked_sub(age).unwrap_or(now);
                last.map_or(from, |last| last.max(from))
            };
            let calendar = self.calendars.of(&definition);
            let (next, refused) = match calendar {
                Ok(calendar) => (first(&calendar, since(asked), since(answered)), None),
                Err(error) => (None, Some(error.to_string())),
            };
            let due = next.map(|next| definition.policy.jitter.due(next));
            let sql = "update platform.schedule s set next_fire_at = $4, due_at = $5, \
                       refused = $6, recompute = false \
                       where s.id = $1 and s.version = $2 and s.updated_at = $3 and s.recompute";
            let (id, version) = (definition.id, definition.version);
            let params: &[crate::Param<'_>] = &[&id, &version, &updated_at, &next, &due, &refused];
            if session.execute(sql, params).await? > 0 {
                let Definition { service, name, .. } = definition;
                computed.push(Pending { id, service, name, next_fire_at: next, refused });
            }
        }
        Ok(computed)
    }
}

/// The first instant of a calendar that begins at some moment from `earliest` to `latest`: nothing
/// runs before it was asked for, and what happens once is not lost.
fn first(calendar: &Calendar, earliest: SystemTime, latest: SystemTime) -> Option<SystemTime> {
    calendar.next_after(latest).or_else(|| calendar.next_after(earliest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_never_begins_before_its_definition_and_an_instant_is_not_lost() {
        let at = |ms: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_000 + ms);
        let first_of = |expression: &str, earliest, latest| {
            let calendar = Calendar::parse(expression, "UTC", &Options::default()).unwrap();
            first(&calendar, at(earliest), at(latest))
        };
        // The full second lies in the doubt.
        assert_eq!(first_of("every 1s", 999, 1_001), Some(at(2_000)));
        assert_eq!(first_of("every 1s", 1_001, 1_003), Some(at(2_000)));
        let once = "at 2027-01-15T08:00:01Z";
        assert_eq!(first_of(once, 999, 1_001), Some(at(1_000)));
        assert_eq!(first_of(once, 1_001, 1_003), None);
    }
}
