//! Previews, bounded in number and time. Refuses to know guests.

use nexus_calendar::{Calendar, CalendarError, Options};
use std::time::{Duration, Instant, SystemTime};

/// Instants of one answer.
pub const COUNT_MAX: u32 = 1_000;

/// Time for one answer: a recurrence with a count is walked from its start for every instant.
pub const TIME_MAX: Duration = Duration::from_millis(250);

/// The first instants after `after`, at most `count` and [`COUNT_MAX`], and those found within
/// [`TIME_MAX`]; at least one, if there is one.
///
/// # Errors
///
/// When the expression means nothing.
pub fn preview(
    expression: &str,
    zone: &str,
    options: &Options,
    after: SystemTime,
    count: u32,
) -> Result<Vec<SystemTime>, CalendarError> {
    let calendar = Calendar::parse(expression, zone, options)?;
    let begun = Instant::now();
    let mut at = after;
    let mut found = Vec::new();
    while found.len() < count.min(COUNT_MAX) as usize
        && (found.is_empty() || begun.elapsed() < TIME_MAX)
        && let Some(next) = calendar.next_after(at)
    {
        found.push(next);
        at = next;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_preview_is_in_order_and_bounded() {
        let ask = |count| preview("* * * * *", "UTC", &Options::default(), at(0), count).unwrap();
        assert_eq!(ask(3), [at(60), at(120), at(180)]);
        assert!(ask(0).is_empty());
        assert!(ask(u32::MAX).len() <= COUNT_MAX as usize);
    }

    #[test]
    fn what_is_costly_is_cut_short_and_can_be_gone_on_with() {
        let costly = "DTSTART:19700101T000000Z\nRRULE:FREQ=DAILY;COUNT=10000";
        let options = Options::default();
        let late = at(9_000 * 86_400);
        let begun = Instant::now();
        let found = preview(costly, "UTC", &options, late, 1_000).unwrap();
        assert!(begun.elapsed() < TIME_MAX * 20);
        let more = preview(costly, "UTC", &options, *found.last().unwrap(), 1).unwrap();
        assert_eq!(more.len(), usize::from(found.last() < Some(&at(9_999 * 86_400))));
    }
}
