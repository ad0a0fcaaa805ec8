//! Calendars in words, for people. Refuses to be exact where that would read worse: the expression
//! itself stands beside it.

use crate::cron::Cron;
use crate::days::Days;
use crate::elapsed::Every;
use crate::field::{HOUR, MINUTE, SECOND, Set};
use crate::rrule::{Frequency, Recurrence};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Times of the day that are listed one by one.
const TIMES_LISTED_MAX: usize = 4;

/// `every 1 h 30 min, counted from 2027-01-01T00:00:00Z`.
pub(crate) fn every(every: &Every) -> String {
    let units =
        [(604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let mut rest = every.seconds;
    let mut parts = Vec::new();
    for (seconds, word) in units {
        let count = rest / seconds;
        rest %= seconds;
        if count > 0 {
            parts.push(plural(count, word));
        }
    }
    let period = match parts.as_slice() {
        [one] => one.strip_prefix("1 ").unwrap_or(one).to_owned(),
        many => many.join(" "),
    };
    format!("every {period}, counted from {}", every.anchor)
}

/// `at 03:15, on Monday and Friday, in June`.
pub(crate) fn cron(cron: &Cron) -> String {
    let mut words = clock(cron);
    words.push_str(", ");
    words.push_str(&days(&cron.days));
    let months: Vec<_> = cron.months.values().map(|month| MONTHS[month as usize - 1]).collect();
    if months.len() < 12 {
        words.push_str(&format!(", in {}", listed(&months)));
    }
    if let Some(years) = &cron.years {
        words.push_str(&format!(", in {}", numbers(years)));
    }
    words
}

fn clock(cron: &Cron) -> String {
    let count = |set: &Set| set.values().count();
    let times = count(&cron.hours) * count(&cron.minutes) * count(&cron.seconds);
    let only_zero = cron.seconds == Set::only(SECOND, 0);
    if times <= TIMES_LISTED_MAX {
        let mut listed_times = Vec::new();
        for hour in cron.hours.values() {
            for minute in cron.minutes.values() {
                listed_times.extend(cron.seconds.values().map(|second| match only_zero {
                    true => format!("{hour:02}:{minute:02}"),
                    false => format!("{hour:02}:{minute:02}:{second:02}"),
                }));
            }
        }
        return format!("at {}", listed(&listed_times));
    }
    let mut parts = Vec::new();
    if !only_zero {
        parts.push(part(&cron.seconds, "second", SECOND.most + 1));
    }
    if only_zero || !cron.minutes.is_full(MINUTE) {
        parts.push(part(&cron.minutes, "minute", MINUTE.most + 1));
    }
    if !cron.hours.is_full(HOUR) {
        parts.push(part(&cron.hours, "hour", HOUR.most + 1));
    }
    parts.join(" of ")
}

/// `every minute`, `every 5 minutes`, `minute 10`, `minutes 10 to 20`.
fn part(set: &Set, word: &str, all: u32) -> String {
    let values: Vec<u32> = set.values().collect();
    let step = values.get(1).map_or(0, |second| second - values[0]);
    let even = step > 0 && values.windows(2).all(|pair| pair[1] - pair[0] == step);
    match values.as_slice() {
        [one] => format!("{word} {one}"),
        [first, ..] if even && *first < step && values.len() as u32 * step >= all => {
            let from = if *first == 0 { String::new() } else { format!(" from {first} on") };
            match step {
                1 => format!("every {word}"),
                _ => format!("every {}{from}", plural(i64::from(step), word)),
            }
        }
        _ => format!("{word}s {}", numbers(set)),
    }
}

fn days(days: &Days) -> String {
    let (of_month, of_week) = (month_days(days), week_days(days));
    match (days.by_month, days.by_week) {
        (false, false) => "every day".into(),
        (true, false) => format!("on {of_month} of the month"),
        (false, true) => format!("on {of_week}"),
        (true, true) if days.both => format!("on {of_month} of the month if it is {of_week}"),
        (true, true) => format!("on {of_month} of the month and on {of_week}"),
    }
}

fn month_days(days: &Days) -> String {
    let mut words = Vec::new();
    if !days.of_month.is_empty() {
        words.push(format!("day {}", numbers(&days.of_month)));
    }
    let bits = |bits: u32| (0..32).filter(move |at| bits & (1 << at) != 0);
    words.extend(bits(days.nearest).map(|day| format!("the weekday nearest to day {day}")));
    words.extend(bits(days.from_last).map(|before| match before {
        0 => "the last day".to_owned(),
        _ => format!("{} before the last day", plural(i64::from(before), "day")),
    }));
    if days.last_weekday {
        words.push("the last weekday".into());
    }
    listed(&words)
}

fn week_days(days: &Days) -> String {
    let plain = (0..7).filter(|day| days.of_week.has(*day as u32)).map(|d| WEEKDAYS[d].to_owned());
    let mut words: Vec<String> = plain.collect();
    for (weekday, bits) in days.nth.iter().enumerate() {
        let nth = (0..6).filter(|n| bits & (1 << n) != 0);
        words.extend(nth.map(|n| {
            let order = ["last", "first", "second", "third", "fourth", "fifth"][n];
            format!("the {order} {} of the month", WEEKDAYS[weekday])
        }));
    }
    listed(&words)
}

/// `every 2 weeks from 2027-01-31T09:00:00 on, on Monday, at 09:00, 10 times`.
pub(crate) fn rule(rule: &Recurrence) -> String {
    let unit = match rule.frequency {
        Frequency::Yearly => "year",
        Frequency::Monthly => "month",
        Frequency::Weekly => "week",
        Frequency::Daily => "day",
    };
    let mut words = match rule.interval {
        1 => format!("every {unit}"),
        many => format!("every {}", plural(many, unit)),
    };
    words.push_str(&format!(" from {} on", rule.start.date()));
    if !rule.weekdays.is_empty() {
        let days = rule.weekdays.iter().map(|day| match day.nth {
            0 => WEEKDAYS[day.weekday as usize].to_owned(),
            nth => format!("{} number {nth}", WEEKDAYS[day.weekday as usize]),
        });
        words.push_str(&format!(", on {}", listed(&days.collect::<Vec<_>>())));
    }
    if !rule.month_days.is_empty() {
        let days: Vec<_> = rule.month_days.iter().map(i32::to_string).collect();
        words.push_str(&format!(", on day {} of the month", listed(&days)));
    }
    if rule.times.len() <= TIMES_LISTED_MAX {
        let times: Vec<_> = rule.times.iter().map(|time| format!("{time}")).collect();
        words.push_str(&format!(", at {}", listed(&times)));
    }
    match (rule.count, rule.until) {
        (Some(count), _) => words.push_str(&format!(", {}", plural(i64::from(count), "time"))),
        (None, Some(until)) => words.push_str(&format!(", until {until}")),
        (None, None) => {}
    }
    words
}

fn plural(count: i64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// `1, 2 and 5 to 9`.
fn numbers(set: &Set) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for value in set.values() {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == value => *last = value,
            _ => runs.push((value, value)),
        }
    }
    let run = |(first, last): (u32, u32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first} to {last}"),
    };
    listed(&runs.into_iter().map(run).collect::<Vec<_>>())
}

fn listed<S: AsRef<str>>(words: &[S]) -> String {
    match words {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}
