//! What an expression means, minute by minute, written from the rule and not from the evaluator: no
//! search, no sets of bits, only "does this minute fit".

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A five-field expression as plain text fields.
pub struct Oracle {
    fields: Vec<String>,
    minutes: Vec<bool>,
    hours: Vec<bool>,
    pub fixed: bool,
}

/// A minute of a stretch of time as a zone shows it.
pub struct Minute {
    pub second: i64,
    pub shown: DateTime,
    /// The clock has shown it before.
    pub again: bool,
    /// Minutes that the clock leaves out right before this one.
    pub lost: Vec<DateTime>,
}

impl Oracle {
    pub fn new(expression: &str) -> Self {
        let fields: Vec<String> = expression.split(' ').map(str::to_uppercase).collect();
        let listed = |text: &str, most: i64| (0..=most).map(|v| plain(text, v, 0, most)).collect();
        let open = |text: &str| text.contains('*') || text.contains('/') && !text.contains('-');
        Self {
            minutes: listed(&fields[0], 59),
            hours: listed(&fields[1], 23),
            fixed: !open(&fields[0]) && !open(&fields[1]),
            fields,
        }
    }

    /// Whether a minute on the clock fits.
    pub fn fits(&self, shown: DateTime) -> bool {
        self.minutes[shown.minute() as usize]
            && self.hours[shown.hour() as usize]
            && self.fits_day(shown)
    }

    fn fits_day(&self, shown: DateTime) -> bool {
        let (day_field, week_field) = (&*self.fields[2], &*self.fields[4]);
        let month = number_names(&self.fields[3], &MONTHS);
        if !plain(&month, i64::from(shown.month()), 1, 12) {
            return false;
        }
        let both = week_field.starts_with('+');
        let week_field = week_field.trim_start_matches('+');
        let free = |field: &str| field == "*" || field == "?";
        let by_month = || day_field.split(',').any(|item| month_day(item, shown));
        let by_week = || week_field.split(',').any(|item| week_day(item, shown));
        match (free(day_field), free(week_field)) {
            (true, true) => true,
            (false, true) => by_month(),
            (true, false) => by_week(),
            (false, false) if both => by_month() && by_week(),
            (false, false) => by_month() || by_week(),
        }
    }

    /// What is due in a stretch of time.
    pub fn due(&self, minutes: &[Minute]) -> Vec<i64> {
        let mut due = Vec::new();
        for minute in minutes {
            let lost = self.fixed && minute.lost.iter().any(|lost| self.fits(*lost));
            let shown = self.fits(minute.shown) && !(self.fixed && minute.again);
            if lost || shown {
                due.push(minute.second);
            }
        }
        due
    }
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

fn number_names(text: &str, names: &[&str]) -> String {
    let first = if names.len() == 12 { 1 } else { 0 };
    let mut text = text.to_owned();
    for (at, name) in names.iter().enumerate() {
        text = text.replace(name, &(at + first).to_string());
    }
    text
}

fn plain(text: &str, value: i64, least: i64, most: i64) -> bool {
    text.split(',').any(|item| {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let step: i64 = step.parse().expect("a step");
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => (least, most),
            (_, Some((from, to))) => (from.parse().expect("from"), to.parse().expect("to")),
            (one, None) if item.contains('/') => (one.parse().expect("one"), most),
            (one, None) => (one.parse().expect("one"), one.parse().expect("one")),
        };
        value >= from && value <= to && (value - from) % step == 0
    })
}

fn length(shown: DateTime) -> i64 {
    i64::from(shown.date().days_in_month())
}

/// 0 is Sunday; of a day of the same month.
fn weekday_of(shown: DateTime, day: i64) -> i64 {
    let first = shown.date().first_of_month();
    (i64::from(first.weekday().to_sunday_zero_offset()) + day - 1).rem_euclid(7)
}

fn is_weekend(shown: DateTime, day: i64) -> bool {
    [0, 6].contains(&weekday_of(shown, day))
}

fn month_day(item: &str, shown: DateTime) -> bool {
    let (day, last) = (i64::from(shown.day()), length(shown));
    if item == "L" {
        return day == last;
    }
    if item == "LW" {
        let workday = (1..=last).rev().find(|day| !is_weekend(shown, *day));
        return workday == Some(day);
    }
    if let Some(before) = item.strip_prefix("L-") {
        return day == last - before.parse::<i64>().expect("days before the last");
    }
    if let Some(near) = item.strip_suffix('W') {
        let near: i64 = near.parse().expect("a day");
        if near > last {
            return false;
        }
        // The closest one; Saturday looks back first, Sunday forward first, never out of the month.
        let tries = [0, -1, 1, -2, 2].map(|offset| near + offset);
        let workday = tries.into_iter().find(|d| (1..=last).contains(d) && !is_weekend(shown, *d));
        return workday == Some(day);
    }
    plain(item, day, 1, 31)
}

fn week_day(item: &str, shown: DateTime) -> bool {
    let item = number_names(item, &WEEKDAYS);
    let (day, last) = (i64::from(shown.day()), length(shown));
    let weekday = weekday_of(shown, day);
    let same = |text: &str| text.parse::<i64>().expect("a weekday") % 7 == weekday;
    if let Some((of, nth)) = item.split_once('#') {
        return match nth {
            "L" => same(of) && day + 7 > last,
            nth => same(of) && (day - 1) / 7 + 1 == nth.parse::<i64>().expect("nth"),
        };
    }
    if let Some(of) = item.strip_suffix('L') {
        return same(of) && day + 7 > last;
    }
    let item = item.replace("5-0", "5-7");
    plain(&item, weekday, 0, 6) || (weekday == 0 && item != "*" && plain(&item, 7, 0, 7))
}

pub fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Every minute from `from` (a whole minute) on.
pub fn minutes(zone: &TimeZone, from: i64, count: i64) -> Vec<Minute> {
    let shown = |second: i64| zone.to_datetime(Timestamp::from_second(second).expect("in range"));
    // Far enough back to know what the clock showed before: no change turns it by more than a day.
    let mut latest = shown(from - 2 * 86_400);
    let mut all = Vec::new();
    for minute in -2 * 1_440 + 1..count {
        let second = from + minute * 60;
        let now = shown(second);
        let mut lost = Vec::new();
        let mut next = latest.checked_add(jiff::Span::new().minutes(1)).expect("in range");
        while next < now {
            lost.push(next);
            next = next.checked_add(jiff::Span::new().minutes(1)).expect("in range");
        }
        let again = now <= latest;
        latest = latest.max(now);
        if minute >= 0 {
            all.push(Minute { second, shown: now, again, lost });
        }
    }
    all
}
