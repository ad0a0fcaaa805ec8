//! Time as services use it: one UTC instant per request, to the microsecond.
//!
//! Knows the `nexus-now` header with which the host turns a test's manual clock. Refuses to
//! know zones: local time is a matter of presentation.

use axum::http::HeaderMap;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::field;
use crate::problem::Failure;

/// An instant, always UTC, with the microseconds that PostgreSQL keeps.
pub type Time = DateTime<Utc>;
/// A calendar day without a zone.
pub type Date = NaiveDate;

/// `n` times 24 hours.
pub const fn days(n: i32) -> TimeDelta {
    TimeDelta::seconds(n as i64 * 86_400)
}

/// `n` hours.
pub const fn hours(n: i32) -> TimeDelta {
    TimeDelta::seconds(n as i64 * 3_600)
}

/// `n` minutes.
pub const fn minutes(n: i32) -> TimeDelta {
    TimeDelta::seconds(n as i64 * 60)
}

/// `n` seconds.
pub const fn seconds(n: i32) -> TimeDelta {
    TimeDelta::seconds(n as i64)
}

/// The instant of a request: the host's, when it sends one, otherwise the machine's clock.
///
/// # Errors
/// A `nexus-now` that is no RFC 3339 instant: a wrong clock would be worse than a failure.
pub(crate) fn of_request(headers: &HeaderMap) -> Result<Time, Failure> {
    let Some(value) = headers.get(&field::NOW) else {
        return Ok(now());
    };
    let text = value.to_str().map_err(|_| Failure::msg("read nexus-now: it is not text"))?;
    let instant = DateTime::parse_from_rfc3339(text)
        .map_err(|reason| Failure::msg(format!("read nexus-now {text:?}: {reason}")))?;
    Ok(to_microseconds(instant.with_timezone(&Utc)))
}

/// The machine's clock.
pub(crate) fn now() -> Time {
    to_microseconds(std::time::SystemTime::now().into())
}

/// Cuts what PostgreSQL would not store, so that what was answered equals what is read back.
pub(crate) fn to_microseconds(instant: Time) -> Time {
    DateTime::from_timestamp_micros(instant.timestamp_micros())
        .expect("a time chrono could hold, cut to microseconds, still fits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &'static str) -> Result<Time, Failure> {
        of_request(&HeaderMap::from_iter([("nexus-now".parse().unwrap(), text.parse().unwrap())]))
    }

    #[test]
    fn the_hosts_clock_wins_and_is_cut_to_microseconds() {
        let time = at("2026-03-01T12:00:00.123456789+01:00").unwrap();
        assert_eq!(time.to_rfc3339(), "2026-03-01T11:00:00.123456+00:00");
    }

    #[test]
    fn a_clock_that_cannot_be_read_is_a_failure_and_not_the_machines_time() {
        assert!(at("yesterday").is_err());
    }

    #[test]
    fn units_are_what_their_names_say() {
        assert_eq!(days(2), hours(48));
        assert_eq!(hours(1), minutes(60));
        assert_eq!(minutes(1), seconds(60));
    }
}
