//! What holds for any text and any instant.

use crate::at;
use nexus_calendar::{Calendar, Options};
use proptest::prelude::*;

const ZONES: [&str; 6] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
];

fn field(most: u32) -> impl Strategy<Value = String> {
    let value = 0..=most;
    prop_oneof![
        Just("*".to_owned()),
        value.clone().prop_map(|v| v.to_string()),
        (1..=most).prop_map(|step| format!("*/{step}")),
        (value.clone(), value.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        proptest::collection::vec(value, 1..4).prop_map(|all| all
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(",")),
    ]
}

fn cron() -> impl Strategy<Value = String> {
    let day = prop_oneof![
        Just("*".to_owned()),
        Just("L".to_owned()),
        (1_u32..29).prop_map(|d| d.to_string())
    ];
    (field(59), field(59), field(23), day, field(6))
        .prop_map(|(s, m, h, d, w)| format!("{s} {m} {h} {d} * {w}"))
}

fn recurrence() -> impl Strategy<Value = String> {
    let frequency = prop_oneof![Just("YEARLY"), Just("MONTHLY"), Just("WEEKLY"), Just("DAILY")];
    (frequency, 1_u32..20, 1_u32..400, 0_u32..24, 0_u32..60).prop_map(|(f, i, c, h, m)| {
        format!("DTSTART:20200229T{h:02}{m:02}00\nRRULE:FREQ={f};INTERVAL={i};COUNT={c}")
    })
}

fn any_expression() -> impl Strategy<Value = String> {
    let every = (1_u32..100_000).prop_map(|seconds| format!("every {seconds}s"));
    prop_oneof![4 => cron(), 2 => recurrence(), 1 => every]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,80}", zone in ".{0,12}") {
        let _parsed = Calendar::parse(&text, &zone, &Options::default());
    }

    #[test]
    fn no_text_of_the_right_letters_makes_it_panic(
        text in "[0-9*/,\\-LW#?+ @A-Z:;=]{0,60}", second in 0_i64..7_000_000_000,
    ) {
        for text in [text.clone(), format!("every {text}"), format!("at {text}"),
            format!("DTSTART:20270101T000000\nRRULE:{text}"), format!("* * {text}")] {
            if let Ok(calendar) = Calendar::parse(&text, "Europe/Berlin", &Options::default()) {
                prop_assert!(!calendar.describe().is_empty());
                let _next = calendar.next_after(at(second));
            }
        }
    }

    #[test]
    fn the_next_is_later_and_nothing_lies_between(
        text in any_expression(), zone in 0..ZONES.len(), second in 946_684_800_i64..2_145_916_800,
    ) {
        let Ok(calendar) = Calendar::parse(&text, ZONES[zone], &Options::default()) else {
            return Ok(());
        };
        let Some(next) = calendar.next_after(at(second)) else { return Ok(()) };
        prop_assert!(next > at(second));
        let micro = std::time::Duration::from_micros(1);
        prop_assert_eq!(calendar.next_after(next - micro), Some(next));
        let half = at(second) + next.duration_since(at(second)).expect("later") / 2;
        if half < next {
            prop_assert_eq!(calendar.next_after(half), Some(next));
        }
        if let Some(second_next) = calendar.next_after(next) {
            prop_assert!(second_next > next);
            prop_assert_eq!(calendar.between(next, second_next, 10), vec![next]);
        }
    }

    #[test]
    fn asking_twice_gives_the_same(text in any_expression(), second in 0_i64..4_000_000_000) {
        let read = || Calendar::parse(&text, "Europe/Berlin", &Options::default());
        prop_assert_eq!(
            read().ok().and_then(|c| c.next_after(at(second))),
            read().ok().and_then(|c| c.next_after(at(second))),
        );
    }
}
