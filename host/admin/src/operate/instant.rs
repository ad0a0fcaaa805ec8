//! Instants on the wire: RFC 3339 in, RFC 3339 out.

use crate::problems;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use nexus_runtime::Problem;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// An instant that a caller has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant(pub(crate) SystemTime);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let refuse = || de::Error::custom("an instant is like 2027-01-31T03:15:00Z, since 1970");
        let at: Timestamp = text.parse().map_err(|_| refuse())?;
        if at < Timestamp::UNIX_EPOCH {
            return Err(refuse());
        }
        SystemTime::try_from(at).map(Self).map_err(|_| refuse())
    }
}

impl Instant {
    /// Always written as long, so that texts sort as instants do: as the journal has them.
    pub(crate) fn sortable(self) -> String {
        let at = micros(self.0).and_then(|us| Timestamp::from_microsecond(us).ok());
        at.unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
    }
}

/// In UTC, to the microsecond.
pub(crate) fn text(at: SystemTime) -> String {
    micros(at).and_then(|us| Timestamp::from_microsecond(us).ok()).unwrap_or_default().to_string()
}

pub(crate) fn maybe(at: Option<SystemTime>) -> Value {
    at.map(text).into()
}

/// As clocks of a zone show it: `2027-01-31T04:15:00+01:00`.
pub(crate) fn in_zone(at: SystemTime, zone: &TimeZone) -> String {
    let at = micros(at).and_then(|us| Timestamp::from_microsecond(us).ok()).unwrap_or_default();
    at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
}

/// A zone by its IANA name, from the database that calendars use.
pub(crate) fn zone(name: &str) -> Result<TimeZone, Problem> {
    ZONES.get(name).map_err(|_| {
        problems::QUERY.detail(format!("{name} is not a time zone; write Europe/Berlin or UTC"))
    })
}

/// Microseconds since 1970, for cursors: what the database keeps of an instant.
pub(crate) fn micros(at: SystemTime) -> Option<i64> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok()
}

pub(crate) fn from_micros(text: &str) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_comes_back_as_it_went() {
        let read = |text: &str| serde_json::from_value::<Instant>(text.into());
        let at = read("2027-01-31T03:15:00.000021Z").unwrap().0;
        assert_eq!(text(at), "2027-01-31T03:15:00.000021Z");
        assert_eq!(read("2027-01-31T04:15:00.000021+01:00").unwrap().0, at);
        assert_eq!(from_micros(&micros(at).unwrap().to_string()), Some(at));
        for wrong in ["2027-01-31", "tomorrow", "1969-12-31T23:59:59Z", "", "1767225600"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_instant_is_shown_by_the_clocks_of_a_zone() {
        let at = from_micros("1801365300000000").unwrap();
        assert_eq!(text(at), "2027-01-31T03:15:00Z");
        assert_eq!(in_zone(at, &zone("Europe/Berlin").unwrap()), "2027-01-31T04:15:00+01:00");
        assert!(zone("Mars/Olympus").is_err());
    }
}
