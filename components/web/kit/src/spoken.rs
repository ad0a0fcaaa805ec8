//! Times and durations as people say them. Pure: now is told. Refuses to know zones: what is
//! older than a week is a day, which is about right anywhere.

use maud::{Markup, html};
use nexus_sdk::prelude::*;

/// "3 minutes ago", with the exact instant for machines.
pub fn ago(now: Time, then: Time) -> Markup {
    html! { time datetime=(then.to_rfc3339()) { (ago_words(now, then)) } }
}

/// "in 3 days", with the exact instant for machines.
pub fn until(now: Time, then: Time) -> Markup {
    html! { time datetime=(then.to_rfc3339()) { (until_words(now, then)) } }
}

/// "12 March 2026".
pub fn day(then: Time) -> Markup {
    html! { time datetime=(then.to_rfc3339()) { (then.format("%-d %B %Y")) } }
}

/// How long something lasts: the largest unit, rounded up, so that nobody comes back too early.
pub fn duration(seconds: i64) -> String {
    let seconds = seconds.max(1);
    let (amount, unit) = match seconds {
        ..=90 => (seconds, "second"),
        91..=5_400 => (up(seconds, 60), "minute"),
        5_401..=129_600 => (up(seconds, 3_600), "hour"),
        _ => (up(seconds, 86_400), "day"),
    };
    count(amount, unit)
}

/// "1 device", "3 devices".
pub fn count(amount: i64, thing: &str) -> String {
    let plural = if amount == 1 { "" } else { "s" };
    format!("{amount} {thing}{plural}")
}

fn up(seconds: i64, unit: i64) -> i64 {
    (seconds + unit - 1) / unit
}

fn ago_words(now: Time, then: Time) -> String {
    let seconds = (now - then).num_seconds();
    match seconds {
        ..=59 => "just now".into(),
        60..=3_599 => format!("{} ago", count(seconds / 60, "minute")),
        3_600..=86_399 => format!("{} ago", count(seconds / 3_600, "hour")),
        86_400..=604_799 => format!("{} ago", count(seconds / 86_400, "day")),
        _ => then.format("%-d %B %Y").to_string(),
    }
}

fn until_words(now: Time, then: Time) -> String {
    match (then - now).num_seconds() {
        ..=0 => "has passed".into(),
        seconds => format!("in {}", duration(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn the_past_is_told_in_the_largest_whole_unit() {
        let now = at("2026-03-12T12:00:00Z");
        for (then, words) in [
            ("2026-03-12T12:00:05Z", "just now"),
            ("2026-03-12T11:59:01Z", "just now"),
            ("2026-03-12T11:59:00Z", "1 minute ago"),
            ("2026-03-12T10:00:00Z", "2 hours ago"),
            ("2026-03-10T12:00:00Z", "2 days ago"),
            ("2026-01-02T12:00:00Z", "2 January 2026"),
        ] {
            assert_eq!(ago_words(now, at(then)), words);
        }
    }

    #[test]
    fn waiting_is_rounded_up_so_that_nobody_comes_too_early() {
        for (seconds, words) in [
            (0, "1 second"),
            (1, "1 second"),
            (60, "60 seconds"),
            (91, "2 minutes"),
            (120, "2 minutes"),
            (121, "3 minutes"),
            (5_401, "2 hours"),
            (200_000, "3 days"),
        ] {
            assert_eq!(duration(seconds), words);
        }
    }
}
