//! Every distinct change of a clock from 2000 to 2037, against the oracle.

use crate::oracle::{Oracle, minutes, zone};
use crate::{at, expressions};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use nexus_calendar::{Calendar, Gap, Options};
use std::collections::HashSet;
use std::time::SystemTime;

struct Change {
    zone: String,
    second: i64,
    /// How far the clock is turned, in minutes.
    by: i64,
}

fn seconds_of(text: &str) -> i64 {
    text.parse::<Timestamp>().expect("an instant").as_second()
}

/// The changes of a zone's offset between 2000 and 2037.
fn changes(name: &str, zone: &TimeZone) -> Vec<(Change, Kind)> {
    let (from, to) = (seconds_of("2000-01-01T00:00:00Z"), seconds_of("2038-01-01T00:00:00Z"));
    let mut found = Vec::new();
    for change in zone.following(Timestamp::from_second(from).expect("in range")) {
        let second = change.timestamp().as_second();
        if second >= to {
            break;
        }
        let before = Timestamp::from_second(second - 1).expect("in range");
        let (old, new) = (zone.to_offset(before).seconds(), change.offset().seconds());
        if old == new {
            continue;
        }
        let local = zone.to_datetime(before);
        let kind = (old, new, local.time().to_string(), local.month(), (local.day() - 1) / 7);
        let by = i64::from(new - old) / 60;
        found.push((Change { zone: name.to_owned(), second, by }, kind));
    }
    found
}

type Kind = (i32, i32, String, i8, i8);

/// One of each kind (offsets, time of day, month and week), or all of them in all zones.
fn distinct() -> Vec<Change> {
    let long = std::env::var("NEXUS_LONG").is_ok_and(|value| value == "1");
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for name in TimeZoneDatabase::bundled().available() {
        let name = name.as_str();
        for (change, kind) in changes(name, &zone(name)) {
            if long || seen.insert(kind) {
                all.push(change);
            }
        }
    }
    all
}

fn check(change: &Change, all: &[(String, Oracle)], minutes_before: i64, minutes_after: i64) {
    let zone = zone(&change.zone);
    let from = (change.second - minutes_before * 60).div_euclid(60) * 60;
    let stretch = minutes(&zone, from, minutes_before + minutes_after);
    let to = from + (minutes_before + minutes_after) * 60;
    for (expression, oracle) in all {
        let calendar = Calendar::parse(expression, &change.zone, &Options::default())
            .unwrap_or_else(|e| panic!("{expression}: {e}"));
        let found = calendar.between(at(from), at(to), 10_000);
        let expected: Vec<SystemTime> = oracle.due(&stretch).into_iter().map(at).collect();
        assert_eq!(
            found.iter().map(|at| crate::shown(*at)).collect::<Vec<_>>(),
            expected.iter().map(|at| crate::shown(*at)).collect::<Vec<_>>(),
            "{expression} in {} around {}",
            change.zone,
            crate::shown(at(change.second)),
        );
    }
}

fn oracles() -> Vec<(String, Oracle)> {
    let all = expressions::all().into_iter();
    all.map(|expression| (expression.clone(), Oracle::new(&expression))).collect()
}

#[test]
fn around_every_distinct_change_of_a_clock_the_answers_are_the_oracles() {
    let all = oracles();
    let changes = distinct();
    assert!(changes.len() > 400, "only {} kinds of changes", changes.len());
    std::thread::scope(|scope| {
        for half in 0..2 {
            let (all, changes) = (&all, &changes);
            scope.spawn(move || {
                for change in changes.iter().skip(half).step_by(2) {
                    // As long before as the clock is turned, and longer: what is repeated or left
                    // out lies within.
                    let turned = change.by.abs();
                    check(change, all, 100 + turned.min(180), 100 + turned);
                }
            });
        }
    });
    eprintln!("{} expressions at {} changes", all.len(), changes.len());
}

#[test]
fn the_clocks_that_broke_others_are_right_for_days_on_both_sides() {
    let all = oracles();
    let named = [
        // Midnight does not exist that Friday in April.
        ("Africa/Cairo", 2023),
        // Half an hour.
        ("Australia/Lord_Howe", 2027),
        // A whole day is left out.
        ("Pacific/Apia", 2011),
        // Summer time is interrupted for Ramadan.
        ("Africa/Casablanca", 2024),
        ("America/New_York", 2027),
        ("Europe/Berlin", 2027),
    ];
    for (name, year) in named {
        let of_year = |c: &Change| crate::shown(at(c.second)).starts_with(&year.to_string());
        let all_changes = changes(name, &zone(name)).into_iter().map(|(change, _)| change);
        let changes: Vec<_> = all_changes.filter(of_year).collect();
        assert!(changes.len() >= 2, "{name} changes {} times in {year}", changes.len());
        for change in changes {
            check(&change, &all, 2 * 1_440, 3 * 1_440);
        }
    }
}

#[test]
fn a_gap_is_left_out_where_the_schedule_says_so() {
    let options = Options { gap: Gap::Skip, ..Options::default() };
    let calendar = Calendar::parse("30 2 * * *", "America/New_York", &options).unwrap();
    let found = crate::answers(&calendar, "2027-03-12T12:00:00Z", 3);
    let expected = ["2027-03-13T07:30:00Z", "2027-03-15T06:30:00Z", "2027-03-16T06:30:00Z"];
    assert_eq!(found, expected);
}
