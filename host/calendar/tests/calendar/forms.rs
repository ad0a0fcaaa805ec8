//! The forms beside five fields, what is refused, and the words for people.

use crate::{answers, at, instant};
use nexus_calendar::{Calendar, CalendarError, Gap, Options};

fn read(expression: &str, zone: &str) -> Calendar {
    Calendar::parse(expression, zone, &Options::default())
        .unwrap_or_else(|e| panic!("{expression}: {e}"))
}

fn next(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    answers(&read(expression, zone), after, count)
}

fn refused(expression: &str) -> String {
    match Calendar::parse(expression, "UTC", &Options::default()) {
        Ok(calendar) => panic!("{expression} was read as {}", calendar.describe()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn seconds_stand_in_front_and_years_behind() {
    assert_eq!(
        next("*/30 59 23 31 12 *", "UTC", "2027-06-01T00:00:00Z", 3),
        ["2027-12-31T23:59:00Z", "2027-12-31T23:59:30Z", "2028-12-31T23:59:00Z"]
    );
    assert_eq!(
        next("0 0 12 1 1 ? 2028,2031-2032", "UTC", "2027-06-01T00:00:00Z", 9),
        ["2028-01-01T12:00:00Z", "2031-01-01T12:00:00Z", "2032-01-01T12:00:00Z"]
    );
}

#[test]
fn words_stand_for_expressions() {
    let pairs = [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@MIDNIGHT", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@every 90s", "every PT1M30S"),
    ];
    for (word, meaning) in pairs {
        let after = "2027-03-27T22:10:00Z";
        let (word, meaning) =
            (next(word, "Europe/Berlin", after, 5), next(meaning, "Europe/Berlin", after, 5));
        assert_eq!(word, meaning);
    }
}

#[test]
fn every_counts_elapsed_time_through_changes_of_the_clock() {
    let options = Options { anchor: Some(instant("2027-03-27T22:30:00Z")), ..Options::default() };
    let calendar = Calendar::parse("every 1h30m", "Europe/Berlin", &options).unwrap();
    let expected = ["2027-03-28T00:00:00Z", "2027-03-28T01:30:00Z", "2027-03-28T03:00:00Z"];
    assert_eq!(answers(&calendar, "2027-03-27T22:30:00Z", 3), expected);
    for (text, seconds) in
        [("1w", 604_800), ("P1D", 86_400), ("P1DT12H", 129_600), ("2 h 5 s", 7_205)]
    {
        let calendar = read(&format!("every {text}"), "UTC");
        assert_eq!(calendar.next_after(at(0)), Some(at(seconds)), "{text}");
    }
    for text in ["", "0s", "P1M", "1y", "15", "PT", "-5m", "5m1h", "1.5h", "99999999999999999999s"]
    {
        assert!(refused(&format!("every {text}")).contains("every 15m"), "{text}");
    }
}

#[test]
fn at_is_due_once() {
    let calendar = read("at 2027-03-01T12:00:00+02:00", "UTC");
    assert_eq!(answers(&calendar, "2027-01-01T00:00:00Z", 5), ["2027-03-01T10:00:00Z"]);
    assert_eq!(calendar.next_after(instant("2027-03-01T10:00:00Z")), None);
    for text in ["", "tomorrow", "2027-03-01", "2027-03-01T12:00:00", "1900-01-01T00:00:00Z"] {
        assert!(refused(&format!("at {text}")).contains("at 2027-01-31T18:00:00Z"), "{text}");
    }
}

#[test]
fn bounds_include_their_start_and_exclude_their_end() {
    let (starts, ends) = (instant("2027-01-02T00:00:00Z"), instant("2027-01-04T00:00:00Z"));
    let options = Options { starts_at: Some(starts), ends_at: Some(ends), ..Options::default() };
    let calendar = Calendar::parse("@daily", "UTC", &options).unwrap();
    let expected = ["2027-01-02T00:00:00Z", "2027-01-03T00:00:00Z"];
    assert_eq!(answers(&calendar, "1990-01-01T00:00:00Z", 9), expected);
    assert_eq!(calendar.between(at(0), at(7_000_000_000), 10).len(), 2);
    assert_eq!(calendar.between(starts, ends, 10).len(), 2);
    assert_eq!(calendar.between(starts, ends, 1).len(), 1);
    let wrong = Options { starts_at: Some(ends), ends_at: Some(starts), ..Options::default() };
    assert_eq!(Calendar::parse("@daily", "UTC", &wrong).unwrap_err(), CalendarError::Bounds);
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_an_example() {
    let cases = [
        ("61 * * * *", "`61` at character 1: a minute is 0 to 59"),
        ("0 24 * * *", "`24` at character 3: a hour is 0 to 23"),
        ("0 0 * JANUARY *", "`JANUARY` at character 7: a month is 1 to 12 or JAN to DEC"),
        ("0 0 * * MON-FUN", "`FUN` at character 13: a day of week is 0 to 7 or SUN to SAT"),
        ("0 0 9-1 * *", "`9-1` at character 5: the day of month range ends before it begins"),
        ("*/0 * * * *", "`0` at character 3: a step of the minute is 1 to 60"),
        ("1,,2 * * * *", "a minute is missing"),
        ("0 0 * * 1#6", "`6` at character 11"),
        ("0 0 * * L", "5L"),
        ("0 0 30 2 *", "`30` at character 5: no month of any year has such a day"),
        ("0 0 31 4,6,9,11 *", "no month of any year"),
        ("* * *", "here are 3"),
        ("", "here are 0"),
        ("@reboot", "known are @hourly"),
        ("0 0 0 1 1 * 1900", "a year is 1970 to 2199"),
    ];
    for (expression, part) in cases {
        let message = refused(expression);
        assert!(message.contains(part), "{expression}: {message}");
        assert!(message.contains("write for example"), "{expression}: {message}");
    }
    let zone = Calendar::parse("@daily", "Mars/Phobos", &Options::default()).unwrap_err();
    assert!(zone.to_string().contains("`Mars/Phobos` is not a time zone"), "{zone}");
    assert!(matches!(
        Calendar::parse(&"1,".repeat(4_000), "UTC", &Options::default()),
        Err(CalendarError::TooLong { .. })
    ));
}

#[test]
fn a_day_that_is_rare_is_found_and_one_that_is_over_is_not_searched_for_ever() {
    assert_eq!(
        next("0 0 29 2 +MON", "UTC", "2027-01-01T00:00:00Z", 2),
        ["2044-02-29T00:00:00Z", "2072-02-29T00:00:00Z"]
    );
    assert_eq!(next("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00:00Z"]);
    assert!(next("0 0 0 1 1 * 2020", "UTC", "2027-01-01T00:00:00Z", 1).is_empty());
    assert!(read("* * * * *", "UTC").next_after(at(7_258_118_400)).is_none());
}

#[test]
fn recurrences_follow_rfc_5545() {
    let start = "DTSTART;TZID=America/New_York:19970902T090000";
    // From section 3.8.5.3 of RFC 5545, most with the days it lists.
    let cases = [
        ("FREQ=DAILY;COUNT=3", "1997-09-02 09-03 09-04"),
        ("FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02 09-12 09-22 10-02 10-12"),
        (
            "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
            "1997-09-02 09-04 09-16 09-18 09-30 10-02 10-14 10-16",
        ),
        ("FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "1997-09-22 10-20 11-17 12-22 1998-01-19 02-16"),
        ("FREQ=MONTHLY;COUNT=4;BYDAY=1FR", "1997-09-05 10-03 11-07 12-05"),
        ("FREQ=MONTHLY;COUNT=6;BYMONTHDAY=-3", "1997-09-28 10-29 11-28 12-29 1998-01-29 02-26"),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04 10-07 11-06"),
        (
            "FREQ=MONTHLY;COUNT=5;BYDAY=FR;BYMONTHDAY=13",
            "1998-02-13 03-13 11-13 1999-08-13 2000-10-13",
        ),
        ("FREQ=YEARLY;COUNT=3;BYDAY=20MO", "1998-05-18 1999-05-17 2000-05-15"),
        (
            "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8;COUNT=3",
            "1997-11-04 2001-11-06 2005-11-08",
        ),
        ("FREQ=YEARLY;COUNT=4;BYMONTH=6,7", "1998-06-02 07-02 1999-06-02 07-02"),
        ("FREQ=WEEKLY;UNTIL=19970917T000000Z", "1997-09-02 09-09 09-16"),
    ];
    for (rule, days) in cases {
        let calendar = read(&format!("{start}\nRRULE:{rule}"), "UTC");
        let found = answers(&calendar, "1997-09-01T00:00:00Z", 50);
        let mut year = String::new();
        let expected = days.split(' ').map(|day| match day.split('-').count() {
            3 => {
                year = day[..4].to_owned();
                day.to_owned()
            }
            _ => format!("{year}-{day}"),
        });
        let found: Vec<_> = found.iter().map(|at| at[..10].to_owned()).collect();
        let expected: Vec<_> = expected.collect();
        let most = expected.len().min(found.len());
        assert_eq!(found[..most], expected[..], "{rule}");
        if rule.contains("COUNT") || rule.contains("UNTIL") {
            assert_eq!(found.len(), expected.len(), "{rule}");
        }
    }
}

#[test]
fn a_recurrence_keeps_its_time_on_the_clock_and_leaves_out_its_exceptions() {
    let rule = "DTSTART;TZID=Europe/Berlin:20270327T090000\r\nRRULE:FREQ=DAILY\r\n\
                EXDATE;TZID=Europe/Berlin:20270329T090000\r\nRDATE:20270329T100000Z\r\n";
    let expected = [
        "2027-03-27T08:00:00Z",
        "2027-03-28T07:00:00Z",
        "2027-03-29T10:00:00Z",
        "2027-03-30T07:00:00Z",
    ];
    assert_eq!(next(rule, "UTC", "2027-03-01T00:00:00Z", 4), expected);
    // Without a zone of its own it takes the calendar's, with Z it is UTC.
    let floating = "DTSTART:20270601T090000\nRRULE:FREQ=DAILY;COUNT=1";
    assert_eq!(next(floating, "Asia/Tokyo", "2027-01-01T00:00:00Z", 2), ["2027-06-01T00:00:00Z"]);
    let utc = "DTSTART:20270601T090000Z\nRRULE:FREQ=DAILY;COUNT=1";
    assert_eq!(next(utc, "Asia/Tokyo", "2027-01-01T00:00:00Z", 2), ["2027-06-01T09:00:00Z"]);
}

#[test]
fn what_a_recurrence_may_not_say_is_refused_with_a_reason() {
    let cases = [
        ("RRULE:FREQ=DAILY", "a DTSTART line is missing"),
        ("DTSTART:20270101T000000", "a RRULE line is missing"),
        ("DTSTART:20270101\nRRULE:FREQ=DAILY", "a time is 20270131T090000"),
        ("DTSTART:20270101T000000\nRRULE:FREQ=HOURLY", "every 1h"),
        ("DTSTART:20270101T000000\nRRULE:FREQ=DAILY;COUNT=2;UNTIL=20280101T000000Z", "not both"),
        ("DTSTART:20270101T000000\nRRULE:FREQ=DAILY;BYWEEKNO=2", "parts of a rule are"),
        ("DTSTART:20270101T000000\nRRULE:FREQ=WEEKLY;BYDAY=2MO", "numbered BYDAY"),
        ("DTSTART:20270101T000000\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "no time fits"),
        ("DTSTART;TZID=Mars/Phobos:20270101T000000\nRRULE:FREQ=DAILY", "is not a time zone"),
        ("DTSTART:20270101T000000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=DAILY", "lines are"),
    ];
    for (text, part) in cases {
        let message = refused(text);
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn calendars_are_described_in_words() {
    let cases = [
        ("15 3 * * *", "at 03:15, every day (UTC)"),
        ("*/30 * * * * *", "every 30 seconds, every day (UTC)"),
        ("*/5 * * * *", "every 5 minutes, every day (UTC)"),
        (
            "0 9-17 * * MON-FRI",
            "minute 0 of hours 9 to 17, on Monday, Tuesday, Wednesday, Thursday and Friday (UTC)",
        ),
        ("0 0 L * *", "at 00:00, on the last day of the month (UTC)"),
        (
            "0 12 * 6,12 5#2",
            "at 12:00, on the second Friday of the month, in June and December (UTC)",
        ),
        ("every 90m", "every 1 hour 30 minutes, counted from 1970-01-01T00:00:00Z"),
        ("every 15m", "every 15 minutes, counted from 1970-01-01T00:00:00Z"),
        ("every 1h", "every hour, counted from 1970-01-01T00:00:00Z"),
        ("at 2027-01-01T00:00:00Z", "once, at 2027-01-01T00:00:00Z"),
        (
            "DTSTART:20270104T090000Z\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;COUNT=10",
            "every 2 weeks from 2027-01-04 on, on Monday, at 09:00:00, 10 times (UTC)",
        ),
    ];
    for (expression, words) in cases {
        assert_eq!(read(expression, "UTC").describe(), words);
    }
}

#[test]
fn both_policies_for_gaps_have_a_word() {
    for gap in [Gap::RunAfter, Gap::Skip] {
        assert_eq!(Gap::of(gap.word()), Some(gap));
    }
    assert_eq!(Gap::of("later"), None);
}
