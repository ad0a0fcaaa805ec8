//! Cron expressions of 5, 6 and 7 fields, and the words for some of them.

use crate::CalendarError;
use crate::civil::{Pattern, date, time};
use crate::days::Days;
use crate::error::Reading;
use crate::field::{self, HOUR, MINUTE, MONTH, SECOND, Set, YEAR};
use jiff::civil::DateTime;

const EXAMPLE: &str = "15 3 * * *";

const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A set of times on the clock, field by field.
#[derive(Debug, Clone)]
pub(crate) struct Cron {
    pub(crate) seconds: Set,
    pub(crate) minutes: Set,
    pub(crate) hours: Set,
    pub(crate) days: Days,
    pub(crate) months: Set,
    /// Every year when absent.
    pub(crate) years: Option<Set>,
    /// Follows the clock through its changes, rather than naming fixed times.
    pub(crate) interval: bool,
}

impl Cron {
    pub(crate) fn parse(expression: &str) -> Result<Self, CalendarError> {
        let reading = Reading { whole: expression, example: EXAMPLE };
        let text = expression.trim();
        if text.starts_with('@') {
            let known = MACROS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
            let Some((_, meaning)) = known else {
                let reason = "known are @hourly, @daily, @weekly, @monthly and @yearly";
                return Err(reading.wrong(text, reason));
            };
            return Self::parse(meaning);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let (second, rest, year) = match fields[..] {
            [minute, hour, day, month, weekday] => ("0", [minute, hour, day, month, weekday], None),
            [second, minute, hour, day, month, weekday] => {
                (second, [minute, hour, day, month, weekday], None)
            }
            [second, minute, hour, day, month, weekday, year] => {
                (second, [minute, hour, day, month, weekday], Some(year))
            }
            _ => {
                let reason = format!(
                    "a cron expression has 5 fields (minute, hour, day of month, month, day of \
                     week), 6 with seconds in front, 7 with years behind; here are {}",
                    fields.len()
                );
                return Err(reading.wrong(text, reason));
            }
        };
        Self::of_fields(second, rest, year, &reading)
    }

    fn of_fields(
        second: &str,
        [minute, hour, day, month, weekday]: [&str; 5],
        year: Option<&str>,
        reading: &Reading<'_>,
    ) -> Result<Self, CalendarError> {
        let seconds = field::list(second, SECOND, reading)?;
        let minutes = field::list(minute, MINUTE, reading)?;
        let hours = field::list(hour, HOUR, reading)?;
        let days = Days::parse(day, weekday, reading)?;
        let months = field::list(month, MONTH, reading)?;
        let years = year.filter(|year| *year != "*");
        let years = years.map(|year| field::list(year, YEAR, reading)).transpose()?;
        let interval = seconds.open || minutes.open || hours.open;
        let cron = Self { seconds, minutes, hours, days, months, years, interval };
        // One whole cycle of the Gregorian calendar's weekdays within a century.
        let from = date(1970, 1, 1).map(|day| day.at(0, 0, 0, 0));
        let until = date(2200, 1, 1).map(|day| day.at(0, 0, 0, 0));
        match from.zip(until).and_then(|(from, until)| cron.first(from, until)) {
            Some(_) => Ok(cron),
            None => Err(reading.wrong(day, "no month of any year has such a day")),
        }
    }

    fn first_of_day(&self) -> Option<[u32; 3]> {
        Some([self.hours.at_least(0)?, self.minutes.at_least(0)?, self.seconds.at_least(0)?])
    }

    /// The first time of a day that is not before the given one.
    fn at_least(&self, [hour, minute, second]: [u32; 3]) -> Option<[u32; 3]> {
        let first_minute = self.minutes.at_least(0)?;
        let first_second = self.seconds.at_least(0)?;
        if self.hours.has(hour) {
            if self.minutes.has(minute)
                && let Some(second) = self.seconds.at_least(second)
            {
                return Some([hour, minute, second]);
            }
            if let Some(minute) = self.minutes.at_least(minute + 1) {
                return Some([hour, minute, first_second]);
            }
        }
        Some([self.hours.at_least(hour + 1)?, first_minute, first_second])
    }

    /// The first day not before the given one, in a month not after the last.
    fn day_at_least(
        &self,
        (mut year, mut month, mut day): (i16, u32, u32),
        last: (i16, u32),
    ) -> Option<(i16, u32, u32)> {
        while (year, month) <= last {
            let wanted = u32::from(year.unsigned_abs());
            let in_year = self.years.is_none_or(|years| years.has(wanted));
            if in_year && self.months.has(month) {
                let days = self.days.of(year, month) & (u32::MAX << day.min(31));
                if days != 0 && day <= 31 {
                    return Some((year, month, days.trailing_zeros()));
                }
            }
            (month, day) = (if in_year { month + 1 } else { 13 }, 1);
            if month > 12 {
                (year, month) = (year.checked_add(1)?, 1);
            }
        }
        None
    }
}

impl Pattern for Cron {
    fn first(&self, from: DateTime, until: DateTime) -> Option<DateTime> {
        let part = |value: i8| u32::from(value.unsigned_abs());
        let last = (until.year(), part(until.month()));
        let start = (from.year(), part(from.month()), part(from.day()));
        let clock = [part(from.hour()), part(from.minute()), part(from.second())];
        let mut day = self.day_at_least(start, last)?;
        let mut at = if day == start { self.at_least(clock) } else { self.first_of_day() };
        if at.is_none() {
            day = self.day_at_least((day.0, day.1, day.2 + 1), last)?;
            at = self.first_of_day();
        }
        let [hour, minute, second] = at?;
        let found = date(day.0, day.1, day.2)?.to_datetime(time(hour, minute, second));
        (found < until).then_some(found)
    }
}
