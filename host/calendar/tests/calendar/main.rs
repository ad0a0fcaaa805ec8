//! What calendars promise: an oracle that knows nothing of the evaluator, two other parsers, and
//! properties that hold for any text.

mod dialects;
mod expressions;
mod forms;
mod oracle;
mod properties;
mod transitions;

use std::time::{Duration, SystemTime};

/// An instant from RFC 3339.
pub fn instant(text: &str) -> SystemTime {
    let parsed: jiff::Timestamp = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(parsed.as_microsecond()).unwrap())
}

/// An instant from seconds since 1970.
pub fn at(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).expect("after 1970"))
}

/// RFC 3339 of an instant.
pub fn shown(instant: SystemTime) -> String {
    let since = instant.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let micros = i64::try_from(since.as_micros()).expect("before the year 9999");
    jiff::Timestamp::from_microsecond(micros).expect("an instant").to_string()
}

/// The next `count` answers after an instant, as RFC 3339.
pub fn answers(calendar: &nexus_calendar::Calendar, after: &str, count: usize) -> Vec<String> {
    let mut at = instant(after);
    let mut found = Vec::new();
    while found.len() < count
        && let Some(next) = calendar.next_after(at)
    {
        found.push(shown(next));
        at = next;
    }
    found
}
