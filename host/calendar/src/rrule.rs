//! Recurrences of RFC 5545, read from their content lines.
//!
//! Understood: `DTSTART` (with `TZID`, in UTC, or in the calendar's zone), one `RRULE`, any number
//! of `EXDATE` and `RDATE`; in the rule `FREQ` (`YEARLY`, `MONTHLY`, `WEEKLY`, `DAILY`),
//! `INTERVAL`, `COUNT` or `UNTIL`, `BYMONTH`, `BYMONTHDAY`, `BYDAY`, `BYHOUR`, `BYMINUTE`,
//! `BYSECOND`, `BYSETPOS`, `WKST`. Refused, with a word on what to write instead: shorter
//! frequencies (`every` and cron say them better), `BYYEARDAY`, `BYWEEKNO`, `EXRULE`, dates without
//! a time. As in most implementations, `DTSTART` itself is due only if it fits the rule.

use crate::CalendarError;
use crate::civil::{Pattern, time};
use crate::error::{Reading, located};
use crate::field::{HOUR, Kind, MINUTE, MONTH, SECOND, Set};
use crate::zone::Zone;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

pub(crate) const EXAMPLE: &str = "DTSTART:20270131T090000Z\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1";

/// A rule with a count is walked from its start each time.
const COUNT_MAX: u32 = 10_000;

/// Exceptions and additions of one recurrence.
const DATES_MAX: usize = 400;

/// Times of one day.
const TIMES_MAX: usize = 1_440;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frequency {
    Yearly,
    Monthly,
    Weekly,
    Daily,
}

/// A day of the week, and which one of the month or year (0 for each, negative from the end).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByDay {
    pub(crate) nth: i32,
    /// Sunday is 0.
    pub(crate) weekday: u32,
}

/// A set of times on the clock.
#[derive(Debug, Clone)]
pub(crate) struct Recurrence {
    pub(crate) start: DateTime,
    pub(crate) frequency: Frequency,
    pub(crate) interval: i64,
    pub(crate) count: Option<u32>,
    /// The last time on the clock that may be due.
    pub(crate) until: Option<DateTime>,
    /// Empty: no restriction.
    pub(crate) months: Set,
    pub(crate) month_days: Vec<i32>,
    pub(crate) weekdays: Vec<ByDay>,
    pub(crate) times: Vec<jiff::civil::Time>,
    pub(crate) positions: Vec<i32>,
    /// Sunday is 0.
    pub(crate) week_start: u32,
    except: Vec<DateTime>,
    added: Vec<DateTime>,
}

pub(crate) fn looks_like(text: &str) -> bool {
    let starts = |word: &str| text.get(..word.len()).is_some_and(|h| h.eq_ignore_ascii_case(word));
    ["DTSTART", "RRULE", "EXDATE", "RDATE"].into_iter().any(starts)
}

impl Recurrence {
    /// Reads the lines; returns the zone that `DTSTART` names, or the given one.
    pub(crate) fn parse(text: &str, zone: &Zone) -> Result<(Self, Zone), CalendarError> {
        let reading = Reading { whole: text, example: EXAMPLE };
        let lines: Vec<Line<'_>> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| Line::read(line, &reading))
            .collect::<Result<_, _>>()?;
        let one = |name: &str| {
            let mut found = lines.iter().filter(|line| line.name.eq_ignore_ascii_case(name));
            match (found.next(), found.next()) {
                (Some(line), None) => Ok(line),
                (Some(_), Some(again)) => {
                    Err(reading.wrong(again.name, format!("{name} stands once")))
                }
                (None, _) => Err(reading.wrong(text, format!("a {name} line is missing"))),
            }
        };
        let start = one("DTSTART")?;
        let zone = match start.zone {
            Some(name) => Zone::named(name)?,
            None if start.value.ends_with(['Z', 'z']) => Zone::named("UTC")?,
            None => zone.clone(),
        };
        let start = clock(start.value, &zone, &reading)?;
        let mut rule = Rule::read(one("RRULE")?.value, &reading)?.recurrence(start, &zone)?;
        for line in &lines {
            let into = match line.name.to_ascii_uppercase().as_str() {
                "DTSTART" | "RRULE" => continue,
                "EXDATE" => &mut rule.except,
                "RDATE" => &mut rule.added,
                _ => {
                    let reason = "lines are DTSTART, RRULE, EXDATE and RDATE";
                    return Err(reading.wrong(line.name, reason));
                }
            };
            let own = line.zone.map(Zone::named).transpose()?;
            for value in line.value.split(',') {
                into.push(in_zone(value, own.as_ref(), &zone, &reading)?);
            }
            if into.len() > DATES_MAX {
                return Err(reading.wrong(line.name, format!("at most {DATES_MAX} dates")));
            }
        }
        rule.except.sort_unstable();
        rule.added.sort_unstable();
        let end = jiff::civil::date(2200, 1, 1).at(0, 0, 0, 0);
        if rule.first(start, end).is_none() {
            return Err(reading.wrong(text, "no time fits this recurrence"));
        }
        Ok((rule, zone))
    }
}

impl Pattern for Recurrence {
    fn first(&self, mut from: DateTime, until: DateTime) -> Option<DateTime> {
        loop {
            let by_rule = self.first_by_rule(from, until);
            let added = self.added.iter().copied().find(|at| *at >= from && *at < until);
            let found = match (by_rule, added) {
                (Some(rule), Some(added)) => rule.min(added),
                (rule, added) => rule.or(added)?,
            };
            if self.except.binary_search(&found).is_err() {
                return Some(found);
            }
            from = crate::zone::next_second(found)?;
        }
    }
}

/// `NAME;TZID=Zone:value`.
struct Line<'a> {
    name: &'a str,
    zone: Option<&'a str>,
    value: &'a str,
}

impl<'a> Line<'a> {
    fn read(line: &'a str, reading: &Reading<'_>) -> Result<Self, CalendarError> {
        let Some((head, value)) = line.split_once(':') else {
            return Err(reading.wrong(line, "a line is NAME:value"));
        };
        let mut parts = head.split(';');
        let name = parts.next().unwrap_or_default();
        let mut zone = None;
        for part in parts {
            match part.split_once('=') {
                Some((key, name)) if key.eq_ignore_ascii_case("TZID") => zone = Some(name),
                Some((key, kind))
                    if key.eq_ignore_ascii_case("VALUE")
                        && kind.eq_ignore_ascii_case("DATE-TIME") => {}
                _ => return Err(reading.wrong(part, "only TZID is understood here")),
            }
        }
        Ok(Self { name, zone, value })
    }
}

/// `20270131T090000`, with `Z` for UTC, as the clock of the recurrence's zone shows it.
fn in_zone(
    text: &str,
    own: Option<&Zone>,
    zone: &Zone,
    reading: &Reading<'_>,
) -> Result<DateTime, CalendarError> {
    let utc = text.ends_with(['Z', 'z']);
    match own.filter(|own| !utc && own.name() != zone.name()) {
        None => clock(text, zone, reading),
        Some(own) => {
            let there = clock(text, own, reading)?;
            let instant = own.instant(there);
            instant.map(|at| zone.civil(at)).ok_or_else(|| reading.wrong(text, "no such time"))
        }
    }
}

fn clock(text: &str, zone: &Zone, reading: &Reading<'_>) -> Result<DateTime, CalendarError> {
    let text = text.trim();
    let wrong = || reading.wrong(text, "a time is 20270131T090000, with Z behind it for UTC");
    let utc = text.strip_suffix(['Z', 'z']);
    let plain = utc.unwrap_or(text);
    let digits = |b: &str| b.bytes().all(|b| b.is_ascii_digit());
    let (day, at) = plain.split_once(['T', 't']).ok_or_else(wrong)?;
    if day.len() != 8 || at.len() != 6 || !digits(day) || !digits(at) {
        return Err(wrong());
    }
    let two = |part: &str| part.parse::<i8>().map_err(|_| wrong());
    let year: i16 = day[..4].parse().map_err(|_| wrong())?;
    let date = Date::new(year, two(&day[4..6])?, two(&day[6..])?).map_err(|_| wrong())?;
    let at = jiff::civil::Time::new(two(&at[..2])?, two(&at[2..4])?, two(&at[4..])?, 0);
    let civil = date.to_datetime(at.map_err(|_| wrong())?);
    if !(1970..2200).contains(&civil.year()) {
        return Err(reading.wrong(text, "a year lies between 1970 and 2199"));
    }
    match utc {
        None => Ok(civil),
        Some(_) => {
            let instant: Timestamp =
                jiff::tz::Offset::UTC.to_timestamp(civil).map_err(|_| wrong())?;
            Ok(zone.civil(instant))
        }
    }
}

/// The parts of an `RRULE`, before they are known to go together.
struct Rule<'a> {
    reading: Reading<'a>,
    text: &'a str,
    parts: Vec<(&'a str, &'a str)>,
}

const KNOWN: [&str; 12] = [
    "FREQ",
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "BYMONTH",
    "BYMONTHDAY",
    "BYDAY",
    "BYHOUR",
    "BYMINUTE",
    "BYSECOND",
    "BYSETPOS",
    "WKST",
];

impl<'a> Rule<'a> {
    fn read(text: &'a str, reading: &Reading<'a>) -> Result<Self, CalendarError> {
        let mut parts: Vec<(&str, &str)> = Vec::new();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let Some((key, value)) = part.split_once('=') else {
                return Err(reading.wrong(part, "a part of a rule is KEY=value"));
            };
            if !KNOWN.iter().any(|known| key.eq_ignore_ascii_case(known)) {
                let reason = format!("parts of a rule are {}", KNOWN.join(", "));
                return Err(reading.wrong(key, reason));
            }
            if parts.iter().any(|(known, _)| key.eq_ignore_ascii_case(known)) {
                return Err(reading.wrong(part, "a part of a rule stands once"));
            }
            parts.push((key, value));
        }
        Ok(Self { reading: *reading, text, parts })
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.parts.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, v)| *v)
    }

    fn recurrence(&self, start: DateTime, zone: &Zone) -> Result<Recurrence, CalendarError> {
        let frequency = self.frequency()?;
        let (count, until) = (self.number("COUNT", COUNT_MAX)?, self.get("UNTIL"));
        if let (Some(_), Some(until)) = (count, until) {
            return Err(self.reading.wrong(until, "a rule has COUNT or UNTIL, not both"));
        }
        let rule = Recurrence {
            start,
            frequency,
            interval: i64::from(self.number("INTERVAL", 1_000)?.unwrap_or(1)),
            count,
            until: until.map(|until| clock(until, zone, &self.reading)).transpose()?,
            months: self.months()?,
            month_days: self.signed("BYMONTHDAY", 31)?,
            weekdays: self.weekdays()?,
            times: self.times(start)?,
            positions: self.signed("BYSETPOS", 366)?,
            week_start: match self.get("WKST") {
                Some(day) => self.weekday(day)?,
                None => 1,
            },
            except: Vec::new(),
            added: Vec::new(),
        };
        let numbered = rule.weekdays.iter().any(|day| day.nth != 0);
        let with_days = !rule.month_days.is_empty();
        if numbered && (matches!(frequency, Frequency::Weekly | Frequency::Daily) || with_days) {
            let reason = "a numbered BYDAY goes with MONTHLY or YEARLY and without BYMONTHDAY";
            return Err(self.reading.wrong(self.text, reason));
        }
        if with_days && frequency == Frequency::Weekly {
            return Err(self.reading.wrong(self.text, "WEEKLY goes with BYDAY, not BYMONTHDAY"));
        }
        Ok(rule)
    }

    fn frequency(&self) -> Result<Frequency, CalendarError> {
        let Some(word) = self.get("FREQ") else {
            return Err(self.reading.wrong(self.text, "a rule needs FREQ"));
        };
        match word.to_ascii_uppercase().as_str() {
            "YEARLY" => Ok(Frequency::Yearly),
            "MONTHLY" => Ok(Frequency::Monthly),
            "WEEKLY" => Ok(Frequency::Weekly),
            "DAILY" => Ok(Frequency::Daily),
            "HOURLY" | "MINUTELY" | "SECONDLY" => {
                let reason = "use `every 1h` for elapsed time, or cron such as `*/5 * * * *`";
                Err(self.reading.wrong(word, reason))
            }
            _ => Err(self.reading.wrong(word, "FREQ is YEARLY, MONTHLY, WEEKLY or DAILY")),
        }
    }

    /// A positive number.
    fn number(&self, key: &str, most: u32) -> Result<Option<u32>, CalendarError> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let found = text.parse().ok().filter(|n| (1..=most).contains(n));
        let wrong = || self.reading.wrong(text, format!("{key} is 1 to {most}"));
        found.map(Some).ok_or_else(wrong)
    }

    /// Numbers from 1 or from -1 on.
    fn signed(&self, key: &str, most: i32) -> Result<Vec<i32>, CalendarError> {
        let Some(text) = self.get(key) else { return Ok(Vec::new()) };
        let number = |item: &str| {
            let found = item.parse::<i32>().ok();
            let found = found.filter(|n| *n != 0 && (-most..=most).contains(n));
            let reason = format!("{key} is 1 to {most}, or negative from the end");
            found.ok_or_else(|| self.reading.wrong(item, reason))
        };
        text.split(',').map(number).collect()
    }

    fn months(&self) -> Result<Set, CalendarError> {
        let plain = Kind { names: &[], ..MONTH };
        self.values("BYMONTH", plain, None)
    }

    fn values(&self, key: &str, kind: Kind, or: Option<i8>) -> Result<Set, CalendarError> {
        let mut set = Set::none(kind);
        match self.get(key) {
            Some(text) => {
                for item in text.split(',') {
                    set.add(crate::field::value(item, kind, &self.reading)?);
                }
            }
            None => or.into_iter().for_each(|value| set.add(u32::from(value.unsigned_abs()))),
        }
        Ok(set)
    }

    fn times(&self, start: DateTime) -> Result<Vec<jiff::civil::Time>, CalendarError> {
        let hours = self.values("BYHOUR", HOUR, Some(start.hour()))?;
        let minutes = self.values("BYMINUTE", MINUTE, Some(start.minute()))?;
        let seconds = self.values("BYSECOND", SECOND, Some(start.second()))?;
        let mut times = Vec::new();
        for hour in hours.values() {
            for minute in minutes.values() {
                times.extend(seconds.values().map(|second| time(hour, minute, second)));
            }
        }
        match times.len() <= TIMES_MAX {
            true => Ok(times),
            false => Err(self.reading.wrong(self.text, "more than 1440 times a day; use cron")),
        }
    }

    fn weekdays(&self) -> Result<Vec<ByDay>, CalendarError> {
        let Some(text) = self.get("BYDAY") else { return Ok(Vec::new()) };
        text.split(',').map(|item| self.by_day(item)).collect()
    }

    fn by_day(&self, item: &str) -> Result<ByDay, CalendarError> {
        let at = item.len().saturating_sub(2);
        let (Some(nth), Some(day)) = (item.get(..at), item.get(at..)) else {
            return Err(located(item, 0, "BYDAY is MO, 2TU or -1FR", EXAMPLE));
        };
        let nth = match nth {
            "" => 0,
            number => match number.parse::<i32>() {
                Ok(n) if n != 0 && n.abs() <= 53 => n,
                _ => return Err(self.reading.wrong(item, "BYDAY is MO, 2TU or -1FR")),
            },
        };
        Ok(ByDay { nth, weekday: self.weekday(day)? })
    }

    fn weekday(&self, word: &str) -> Result<u32, CalendarError> {
        let known = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];
        let found = known.iter().position(|day| word.eq_ignore_ascii_case(day));
        let wrong = || self.reading.wrong(word, "a day is SU, MO, TU, WE, TH, FR or SA");
        found.map(|day| day as u32).ok_or_else(wrong)
    }
}
