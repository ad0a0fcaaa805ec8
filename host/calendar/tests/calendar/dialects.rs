//! Two other implementations, asked the same: `croner` with its rule for changes of the clock,
//! which is ours, and `cronexpr` where no clock changes. Left out are the expressions where a
//! dialect differs on purpose: `*/2` in a day field beside the other one, `W` at the edge of a
//! month, `n/step`, and `+`.

use crate::{answers, expressions};
use nexus_calendar::{Calendar, Options};

fn ours(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let calendar = Calendar::parse(expression, zone, &Options::default());
    answers(&calendar.unwrap_or_else(|e| panic!("{expression}: {e}")), after, count)
}

#[test]
fn cronexpr_gives_the_same_times_where_no_clock_changes() {
    let mut compared = 0;
    // It forgets the last day of a December, and gives up after four years without an answer.
    let until = "2027-12-01T00:00:00Z";
    for expression in expressions::all() {
        let Ok(theirs) = cronexpr::parse_crontab(&format!("{expression} UTC")) else { continue };
        if differs(&expression) {
            continue;
        }
        let theirs = theirs.iter_after("2027-01-15T10:20:30Z").expect("an instant");
        let theirs = theirs.map_while(|next| next.ok().map(|at| at.timestamp().to_string()));
        let theirs: Vec<String> = theirs.take(40).take_while(|at| &**at < until).collect();
        let mut ours = ours(&expression, "UTC", "2027-01-15T10:20:30Z", 40);
        ours.retain(|at| &**at < until);
        assert_eq!(ours, theirs, "{expression}");
        compared += 1;
    }
    assert!(compared >= 150, "only {compared} expressions were understood");
}

#[test]
fn croner_gives_the_same_times_where_no_clock_changes() {
    let mut compared = 0;
    for expression in expressions::all() {
        let Ok(theirs) = expression.parse::<croner::Cron>() else { continue };
        if differs(&expression) {
            continue;
        }
        let start = zoned("2027-01-15T10:20:30+00:00[UTC]");
        let theirs: Vec<String> =
            theirs.iter_after(start).take(40).map(|at| at.timestamp().to_string()).collect();
        assert_eq!(ours(&expression, "UTC", "2027-01-15T10:20:30Z", 40), theirs, "{expression}");
        compared += 1;
    }
    assert!(compared >= 150, "only {compared} expressions were understood");
}

/// Dialects part here on purpose.
fn differs(expression: &str) -> bool {
    let fields: Vec<&str> = expression.split(' ').collect();
    let step_from = fields.iter().any(|f| f.contains('/') && !f.contains('*') && !f.contains('-'));
    fields[4].starts_with('+') || fields[2].contains("31W") || step_from
}

fn zoned(text: &str) -> jiff_02::Zoned {
    text.parse().expect("a zoned instant")
}

#[test]
fn croner_follows_the_same_rule_when_a_clock_changes() {
    let nights = [
        ("Europe/Berlin", "2027-03-27T12:00:00+01:00"),
        ("Europe/Berlin", "2027-10-30T12:00:00+02:00"),
        ("America/New_York", "2027-03-13T12:00:00-05:00"),
        ("America/New_York", "2027-11-06T12:00:00-04:00"),
    ];
    for (zone, start) in nights {
        for expression in ["30 2 * * *", "30 1 * * *", "*/15 * * * *", "0 */2 * * *", "0 3 * * *"] {
            let theirs: croner::Cron = expression.parse().expect("a pattern");
            let from = zoned(&format!("{start}[{zone}]"));
            let after = from.timestamp().to_string();
            let theirs = theirs.iter_after(from).take(30).map(|at| at.timestamp().to_string());
            let theirs: Vec<String> = theirs.collect();
            assert_eq!(ours(expression, zone, &after, 30), theirs, "{expression} in {zone}");
        }
    }
}
