//! Times on a wall clock, without zone. What cron and RRULE have in common: a set of such times
//! that can be searched.

use jiff::civil::{Date, DateTime, Time};

/// A set of times on the clock.
pub(crate) trait Pattern {
    /// The first of them that is not before `from` and before `until`.
    fn first(&self, from: DateTime, until: DateTime) -> Option<DateTime>;
}

/// A time of the day from hour, minute and second, all known to be in range.
pub(crate) fn time(hour: u32, minute: u32, second: u32) -> Time {
    let part = |value: u32| i8::try_from(value).unwrap_or(0);
    Time::new(part(hour), part(minute), part(second), 0).unwrap_or(Time::midnight())
}

/// A date, if there is one.
pub(crate) fn date(year: i16, month: u32, day: u32) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Days of a month; 0 where there is no such month.
pub(crate) fn days_in(year: i16, month: u32) -> u32 {
    date(year, month, 1).map_or(0, |first| u32::from(first.days_in_month().unsigned_abs()))
}

/// Sunday is 0.
pub(crate) fn weekday(date: Date) -> u32 {
    u32::from(date.weekday().to_sunday_zero_offset().unsigned_abs())
}
