//! `every <duration>` and `at <instant>`: time that no zone changes.

use crate::CalendarError;
use crate::error::located;
use jiff::Timestamp;

const EVERY_EXAMPLE: &str = "every 15m";
const AT_EXAMPLE: &str = "at 2027-01-31T18:00:00Z";

/// What is more seldom than this is a date, not an interval.
const PERIOD_SECONDS_MAX: i64 = 10 * 366 * 86_400;

/// A period counted from an anchor, in both directions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Every {
    pub(crate) seconds: i64,
    pub(crate) anchor: Timestamp,
}

impl Every {
    pub(crate) fn parse(text: &str, at: usize, anchor: Timestamp) -> Result<Self, CalendarError> {
        let wrong = |reason: &str| Err(located(text, at, reason, EVERY_EXAMPLE));
        match seconds(text) {
            None => wrong(
                "a duration is units of w, d, h, m and s as in `1h30m`, or ISO 8601 as in `PT15M`; \
                 months and years have no fixed length",
            ),
            Some(0) => wrong("the shortest interval is 1s"),
            Some(seconds) if seconds > PERIOD_SECONDS_MAX => wrong("the longest is ten years"),
            Some(seconds) => Ok(Self { seconds, anchor }),
        }
    }

    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let period = self.seconds * 1_000_000;
        let anchor = self.anchor.as_microsecond();
        let passed = (after.as_microsecond() - anchor).div_euclid(period);
        let next = anchor + (passed + 1) * period;
        let next = (next < crate::zone::LAST_MICROS).then_some(next)?;
        Timestamp::from_microsecond(next).ok()
    }
}

/// Seconds of `1h30m`, `90 s` or `PT1H30M`.
fn seconds(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    let iso = lower.strip_prefix('p');
    let (mut rest, mut of_day) = (iso.unwrap_or(&lower), iso.is_some());
    let (mut total, mut largest) = (0_i64, i64::MAX);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('t').filter(|_| of_day) {
            (rest, of_day) = (time, false);
            if rest.is_empty() {
                return None;
            }
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest.get(..digits)?.parse().ok()?;
        let unit = rest.get(digits..)?.trim_start();
        let (word, unit_seconds) = match unit.bytes().next()? {
            b'w' => ("w", 604_800),
            b'd' => ("d", 86_400),
            b'h' => ("h", 3_600),
            b'm' => ("m", 60),
            b's' => ("s", 1),
            _ => return None,
        };
        // ISO 8601 parts days from hours by a T: without it, `P1M` would be a month.
        if iso.is_some() && of_day != matches!(word, "w" | "d") || unit_seconds >= largest {
            return None;
        }
        largest = unit_seconds;
        total = total.checked_add(count.checked_mul(unit_seconds)?)?;
        rest = unit[1..].trim_start();
    }
    Some(total)
}

/// RFC 3339 with its offset: without one it would be another instant in each zone.
pub(crate) fn instant(text: &str, at: usize) -> Result<Timestamp, CalendarError> {
    let wrong = |reason: &str| located(text, at, reason, AT_EXAMPLE);
    let parsed: Timestamp =
        text.trim().parse().map_err(|_| wrong("not an RFC 3339 instant with `Z` or an offset"))?;
    let micros = parsed.as_microsecond();
    if !(0..crate::zone::LAST_MICROS).contains(&micros) {
        return Err(wrong("an instant lies between 1970 and 2200"));
    }
    Timestamp::from_microsecond(micros).map_err(|_| wrong("not an instant"))
}
