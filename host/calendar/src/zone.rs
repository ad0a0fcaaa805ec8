//! A time zone, and the two ways from the clock on the wall to instants: fixed times and real
//! occurrences. Knows changes of the clock. Refuses to know which times are wanted.
//!
//! Zones come from the database bundled with `jiff`, so that every host and every test agrees.

use crate::Gap;
use crate::civil::Pattern;
use crate::error::{CalendarError, no_zone};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use std::sync::LazyLock;

/// 2200-01-01T00:00:00Z in microseconds: later than any schedule's last run.
pub(crate) const LAST_MICROS: i64 = 7_258_118_400_000_000;

/// How far one search looks. 29 February falls on a given day of the week every 40 years at most.
const AHEAD: SignedDuration = SignedDuration::from_hours(100 * 366 * 24);

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

#[derive(Debug, Clone)]
pub(crate) struct Zone {
    zone: TimeZone,
    name: String,
}

impl Zone {
    pub(crate) fn named(name: &str) -> Result<Self, CalendarError> {
        if name.is_empty() || name.eq_ignore_ascii_case("UTC") {
            return Ok(Self { zone: TimeZone::UTC, name: "UTC".into() });
        }
        let zone = ZONES.get(name).map_err(|_| no_zone(name))?;
        let name = zone.iana_name().unwrap_or(name).to_owned();
        Ok(Self { zone, name })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The clock on the wall at an instant.
    pub(crate) fn civil(&self, instant: Timestamp) -> DateTime {
        self.zone.to_datetime(instant)
    }

    /// The first instant that shows this on the clock, or would have shown it.
    pub(crate) fn instant(&self, civil: DateTime) -> Option<Timestamp> {
        self.zone.to_timestamp(civil).ok()
    }

    /// The first fixed time after `after`: in a gap by `gap`, in a fold at the first pass.
    ///
    /// Times on the wall and the instants they stand for come in the same order, so the first that
    /// lies after `after` is the answer.
    pub(crate) fn next_fixed(
        &self,
        pattern: &impl Pattern,
        gap: Gap,
        after: Timestamp,
    ) -> Option<Timestamp> {
        let until = self.civil(horizon(after));
        let mut from = next_second(self.civil(floor(after)))?;
        loop {
            let wanted = pattern.first(from, until)?;
            let found = match self.zone.to_ambiguous_timestamp(wanted).offset() {
                AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wanted).ok(),
                AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wanted).ok(),
                AmbiguousOffset::Gap { before, after } => match gap {
                    Gap::Skip => None,
                    Gap::RunAfter => self.change(wanted, before, after),
                },
            };
            if let Some(found) = found.filter(|found| *found > after) {
                return (found.as_microsecond() < LAST_MICROS).then_some(found);
            }
            from = next_second(wanted)?;
        }
    }

    /// The instant of the change that leaves out `lost`: the first valid one after the gap.
    fn change(&self, lost: DateTime, before: Offset, after: Offset) -> Option<Timestamp> {
        let early = after.to_timestamp(lost).ok()?;
        let late = before.to_timestamp(lost).ok()?;
        let changes = self.zone.following(early).take_while(|change| change.timestamp() <= late);
        let change = changes.filter(|change| change.offset() == after).last()?;
        Some(change.timestamp())
    }

    /// The first instant after `after` whose clock on the wall fits, one stretch of unchanged
    /// offset after the other.
    pub(crate) fn next_real(&self, pattern: &impl Pattern, after: Timestamp) -> Option<Timestamp> {
        let horizon = horizon(after);
        let mut start = floor(after).checked_add(SignedDuration::from_secs(1)).ok()?;
        while start < horizon {
            let offset = self.zone.to_offset(start);
            let changes = self.zone.following(start);
            let change =
                changes.map(|c| c.timestamp()).find(|at| self.zone.to_offset(*at) != offset);
            let end = change.map_or(horizon, |at| at.min(horizon));
            let until = offset.to_datetime(end);
            if let Some(wanted) = pattern.first(offset.to_datetime(start), until) {
                return offset.to_timestamp(wanted).ok();
            }
            start = end;
        }
        None
    }
}

fn horizon(after: Timestamp) -> Timestamp {
    let last = Timestamp::from_microsecond(LAST_MICROS).unwrap_or(Timestamp::MAX);
    after.checked_add(AHEAD).map_or(last, |at| at.min(last))
}

fn floor(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_microsecond().div_euclid(1_000_000)).unwrap_or(instant)
}

pub(crate) fn next_second(civil: DateTime) -> Option<DateTime> {
    civil.checked_add(SignedDuration::from_secs(1)).ok()
}
