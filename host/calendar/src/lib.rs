//! Calendars: when something is due. Parses an expression once, then answers questions about it.
//! Pure: no clock, no I/O, no search without a bound. Refuses to know what is due.
//!
//! # Expressions
//!
//! | form | means |
//! |---|---|
//! | `15 3 * * *` | cron: minute, hour, day of month, month, day of week |
//! | `0 15 3 * * *` | the same with seconds in front |
//! | `0 15 3 * * * 2027-2030` | and with years behind |
//! | `@hourly @daily @weekly @monthly @yearly` | `@midnight`, `@annually` are the same words |
//! | `every 15m`, `every PT15M`, `every 1h30m` | elapsed time from an anchor, never wall time |
//! | `at 2027-01-01T00:00:00Z` | once |
//! | `DTSTART;TZID=…`, `RRULE:…`, `EXDATE…`, `RDATE…` | RFC 5545, a line each; see `rrule.rs` |
//!
//! Cron fields take `*`, values, names (`JAN`, `MON`), ranges, lists and steps (`*/5`, `10-50/10`,
//! `10/5` = from 10 on). Day of month also takes `L` (last), `L-3`, `15W` (the weekday nearest to
//! the 15th within its month), `LW` and `?`; day of week takes `5L` (last Friday), `5#2` (second
//! Friday), `5#L` and `?`. Sunday is 0 and 7. Where both day fields restrict, a day that fits
//! either is a day, as in Vixie cron; a `+` before the day of week asks for both.
//!
//! # Clocks that change
//!
//! A *fixed-time* expression (no `*` and no open step in seconds, minutes and hours; every RRULE)
//! whose time falls into a gap is due at the first valid instant after the gap, several such times
//! once; [`Gap::Skip`] leaves them out instead. In a repeated hour it is due once, at the first
//! pass. An *interval* expression (`*/10 * * * *`, `0 * * * *`) follows the clock: what is in a gap
//! never happens, what is repeated happens at each pass. `every` counts elapsed time and does not
//! notice. This is the rule of Vixie cron; RFC 5545 would move 02:30 in an hour's gap to 03:30, we
//! move it to 03:00 for RRULE, too, so that one rule holds.
//!
//! # Why an evaluator of our own
//!
//! `croner` and `cronexpr` say neither where an expression is wrong nor take a policy for gaps, and
//! neither knows the other forms. Both are asked in the tests instead.

mod civil;
mod cron;
mod days;
mod elapsed;
mod error;
mod field;
mod period;
mod rrule;
mod words;
mod zone;

pub use error::CalendarError;

use cron::Cron;
use elapsed::Every;
use jiff::Timestamp;
use rrule::Recurrence;
use std::time::{Duration, SystemTime};
use zone::Zone;

/// Longer expressions are generated ones or an attack.
pub const EXPRESSION_BYTES_MAX: usize = 4096;

/// Answers of one [`Calendar::between`]; what wants more asks again from the last one.
pub const ANSWERS_MAX: usize = 10_000;

/// What becomes of a fixed time that a forward change of the clock leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Gap {
    /// Due at the first valid instant after the gap.
    #[default]
    RunAfter,
    /// Not due that day.
    Skip,
}

impl Gap {
    /// The word in manifests and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::RunAfter => "run_after",
            Self::Skip => "skip",
        }
    }

    /// The gap policy of a word.
    pub fn of(word: &str) -> Option<Self> {
        [Self::RunAfter, Self::Skip].into_iter().find(|gap| gap.word() == word)
    }
}

/// What an expression alone does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    pub gap: Gap,
    /// Nothing is due before; an instant exactly there may be.
    pub starts_at: Option<SystemTime>,
    /// Nothing is due at or after.
    pub ends_at: Option<SystemTime>,
    /// Where `every` counts from; `starts_at` if absent, 1970 if that is absent too.
    pub anchor: Option<SystemTime>,
}

/// A parsed expression in its zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    rule: Rule,
    zone: Zone,
    gap: Gap,
    starts: Option<Timestamp>,
    ends: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum Rule {
    Cron(Box<Cron>),
    Every(Every),
    At(Timestamp),
    Recurrence(Box<Recurrence>),
}

impl Calendar {
    /// Reads an expression. `zone` is an IANA name (`Europe/Berlin`, `UTC`), or empty for UTC; it
    /// does not matter to `every`, `at` and a recurrence that names its own.
    ///
    /// # Errors
    ///
    /// [`CalendarError`] says what is wrong, where, and what would be right. An expression that
    /// can never be due (`0 0 30 2 *`) is wrong, too.
    pub fn parse(expression: &str, zone: &str, options: &Options) -> Result<Self, CalendarError> {
        if expression.len() > EXPRESSION_BYTES_MAX {
            return Err(CalendarError::TooLong { bytes_max: EXPRESSION_BYTES_MAX });
        }
        let mut zone = Zone::named(zone)?;
        let (starts, ends) = (options.starts_at.map(rounded), options.ends_at.map(rounded));
        if let (Some(starts), Some(ends)) = (starts, ends)
            && ends <= starts
        {
            return Err(CalendarError::Bounds);
        }
        let anchor = options.anchor.map(rounded).or(starts).unwrap_or(Timestamp::UNIX_EPOCH);
        let text = expression.trim();
        let rule = if let Some(rest) = word_of(text, "@every").or(word_of(text, "every")) {
            Rule::Every(Every::parse(rest, offset_in(expression, rest), anchor)?)
        } else if let Some(rest) = word_of(text, "at") {
            Rule::At(elapsed::instant(rest, offset_in(expression, rest))?)
        } else if rrule::looks_like(text) {
            let (recurrence, own) = Recurrence::parse(expression, &zone)?;
            zone = own;
            Rule::Recurrence(Box::new(recurrence))
        } else {
            Rule::Cron(Box::new(Cron::parse(expression)?))
        };
        Ok(Self { rule, zone, gap: options.gap, starts, ends })
    }

    /// The first instant after `instant` at which something is due; `None` when there is none
    /// within the next 100 years, or before 2200.
    pub fn next_after(&self, instant: SystemTime) -> Option<SystemTime> {
        self.next(rounded(instant)).map(system)
    }

    /// What is due from `from` on and before `to`, at most `max` and [`ANSWERS_MAX`] of it.
    pub fn between(&self, from: SystemTime, to: SystemTime, max: usize) -> Vec<SystemTime> {
        let to = rounded(to);
        let mut at = just_before(rounded(from));
        let mut found = Vec::new();
        while found.len() < max.min(ANSWERS_MAX)
            && let Some(next) = self.next(at)
            && next < to
        {
            found.push(system(next));
            at = next;
        }
        found
    }

    /// The expression in words, for people: `at 03:15, every day (Europe/Berlin)`.
    pub fn describe(&self) -> String {
        let words = match &self.rule {
            Rule::Cron(cron) => format!("{} ({})", words::cron(cron), self.zone.name()),
            Rule::Every(every) => words::every(every),
            Rule::At(instant) => format!("once, at {instant}"),
            Rule::Recurrence(rule) => format!("{} ({})", words::rule(rule), self.zone.name()),
        };
        match (self.starts, self.ends) {
            (None, None) => words,
            (Some(starts), None) => format!("{words}, from {starts}"),
            (None, Some(ends)) => format!("{words}, until {ends}"),
            (Some(starts), Some(ends)) => format!("{words}, from {starts} until {ends}"),
        }
    }

    /// The zone's name as the database of zones writes it.
    pub fn zone(&self) -> &str {
        self.zone.name()
    }

    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = self.starts.map_or(after, |starts| after.max(just_before(starts)));
        let after = after.max(just_before(Timestamp::UNIX_EPOCH));
        let found = match &self.rule {
            Rule::Every(every) => every.next(after),
            Rule::At(instant) => (*instant > after).then_some(*instant),
            Rule::Cron(cron) if cron.interval => self.zone.next_real(&**cron, after),
            Rule::Cron(cron) => self.zone.next_fixed(&**cron, self.gap, after),
            Rule::Recurrence(rule) => self.zone.next_fixed(&**rule, self.gap, after),
        };
        found.filter(|found| self.ends.is_none_or(|ends| *found < ends))
    }
}

/// An instant as messages and payloads write it: RFC 3339 in UTC, to the microsecond.
pub fn rfc3339(instant: SystemTime) -> String {
    rounded(instant).to_string()
}

/// The text after a leading word.
fn word_of<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    let rest = &text[word.len()..];
    let parted = rest.is_empty() || rest.starts_with(char::is_whitespace);
    (head.eq_ignore_ascii_case(word) && parted).then(|| rest.trim_start())
}

/// Where a part of `whole` begins, in bytes.
fn offset_in(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}

/// The database keeps microseconds; instants outside of 1970-2200 are not told apart.
fn rounded(instant: SystemTime) -> Timestamp {
    let since = instant.duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.map_or(-1, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    Timestamp::from_microsecond(micros.min(zone::LAST_MICROS)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What is due is never before 1970.
fn system(instant: Timestamp) -> SystemTime {
    let micros = u64::try_from(instant.as_microsecond()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

fn just_before(instant: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(instant.as_microsecond() - 1).unwrap_or(instant)
}
