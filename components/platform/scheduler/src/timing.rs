//! When a schedule is due and what becomes of runs that meet or are missed. Pure: what an
//! expression means is asked of the host's calendar, in `calendar.rs`.

use nexus_sdk::prelude::*;
use serde_json::Value;

nexus_sdk::refusals! {
    /// The detail says what is wrong and where.
    Expression = 422, "this says no instants";
    Zone = 422, "a zone is an IANA name such as Europe/Berlin";
    TimingEnd = 422, "a schedule ends after it starts";
    Jitter = 422, "jitter takes 0 to 86400 seconds";
    CatchupWindow = 422, "a catch-up window takes 10 to 2678400 seconds (31 days)"
}

const JITTER_SECONDS_MAX: i32 = 86_400;
const WINDOW_SECONDS: std::ops::RangeInclusive<i64> = 10..=2_678_400;
/// Longer names of zones do not exist.
const ZONE_BYTES_MAX: usize = 64;
/// Fires made up for at once; the platform's own bound is higher.
const CATCHUP_MAX: i32 = 100;

/// The instants, in one of four languages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Five, six (seconds) or seven (years) fields, or `@daily` and its like.
    Cron(String),
    /// Elapsed time since the schedule was made: `15m`, `PT15M`, `1h30m`.
    Every(String),
    /// Once.
    At(Time),
    /// RFC 5545: lines of `DTSTART`, `RRULE`, `EXDATE`, `RDATE`.
    Rrule(String),
}

/// What a wall clock's forward jump does to a fixed time inside of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// Due at the first instant after the gap.
    #[default]
    RunAfter,
    /// Not due that day.
    Skip,
}

/// What a fire does while an earlier run is not over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    #[default]
    Skip,
    BufferOne,
    BufferAll,
    CancelOther,
    Allow,
}

/// Which fires are made up for when nobody was there at their time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Catchup {
    None,
    #[default]
    Latest,
    All,
}

/// When, and by which rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    pub when: When,
    /// IANA name; of no meaning to `every` and `at`.
    #[serde(default = "utc")]
    pub zone: String,
    #[serde(default)]
    pub gap: Gap,
    #[serde(default)]
    pub overlap: Overlap,
    #[serde(default)]
    pub catchup: Catchup,
    /// How late a fire may be and still be made up for; the platform's own if absent.
    #[serde(default)]
    pub catchup_window_seconds: Option<i64>,
    /// Each fire is late by a fixed, random-looking part of this.
    #[serde(default)]
    pub jitter_seconds: i32,
    #[serde(default)]
    pub starts_at: Option<Time>,
    #[serde(default)]
    pub ends_at: Option<Time>,
    /// Whether a run that ends dead pauses the schedule.
    #[serde(default)]
    pub pause_on_failure: bool,
}

fn utc() -> String {
    "UTC".into()
}

impl When {
    /// As the platform's calendar reads it.
    pub fn expression(&self) -> String {
        match self {
            When::Cron(text) | When::Rrule(text) => text.clone(),
            When::Every(text) => format!("every {text}"),
            When::At(instant) => format!("at {}", instant.to_rfc3339()),
        }
    }

    /// Where it stands in the body.
    pub fn field(&self) -> &'static str {
        match self {
            When::Cron(_) => "timing/when/cron",
            When::Every(_) => "timing/when/every",
            When::At(_) => "timing/when/at",
            When::Rrule(_) => "timing/when/rrule",
        }
    }

    /// A language must not be smuggled into another one: `{"cron": "every 5m"}` is a mistake.
    fn is_of_its_language(&self) -> bool {
        let starts = |text: &str, word: &str| {
            text.trim_start().get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        let words = ["every", "@every", "at ", "dtstart", "rrule", "rdate", "exdate"];
        match self {
            When::Cron(text) => !words.iter().any(|word| starts(text, word)),
            When::Rrule(text) => words[3..].iter().any(|word| starts(text, word)),
            When::Every(_) | When::At(_) => true,
        }
    }
}

impl Timing {
    /// What can be seen without a calendar.
    pub fn check(&self) -> Result<(), Refusal> {
        if !self.when.is_of_its_language() {
            let detail = "the expression belongs under another word: cron, every, at or rrule";
            return Err(Expression.because(detail).at(self.when.field()));
        }
        if !(1..=ZONE_BYTES_MAX).contains(&self.zone.len()) {
            return Err(Zone.at("timing/zone"));
        }
        if !(0..=JITTER_SECONDS_MAX).contains(&self.jitter_seconds) {
            return Err(Jitter.at("timing/jitter_seconds"));
        }
        if self.catchup_window_seconds.is_some_and(|seconds| !WINDOW_SECONDS.contains(&seconds)) {
            return Err(CatchupWindow.at("timing/catchup_window_seconds"));
        }
        match (self.starts_at, self.ends_at) {
            (Some(start), Some(end)) if end <= start => Err(TimingEnd.at("timing/ends_at")),
            _ => Ok(()),
        }
    }

    /// Where `every` counts from, in the whole milliseconds of which the host's calendar is asked.
    pub fn anchor(&self, made_at: Time) -> Time {
        let anchor = self.starts_at.unwrap_or(made_at);
        nexus_sdk::chrono::DateTime::from_timestamp_millis(anchor.timestamp_millis())
            .unwrap_or(anchor)
    }

    /// `every 1h` is due an hour after it was made, and not at once: the anchor itself is left out.
    fn first_instant(&self, made_at: Time) -> Option<Time> {
        let just_after = self.anchor(made_at) + nexus_sdk::chrono::TimeDelta::milliseconds(1);
        matches!(self.when, When::Every(_)).then_some(just_after)
    }

    /// The definition as `platform.schedule_put` takes it; `every` counts from `anchor`. Attempts
    /// and time are not the platform's to bound here: the service ends a run itself, so that it
    /// dies with its history and can be sent again.
    pub fn definition(&self, anchor: Time) -> Value {
        json!({
            "expression": self.when.expression(),
            "zone": self.zone,
            "gap": self.gap,
            "overlap": self.overlap,
            "catchup": self.catchup,
            "catchup_window_ms": self.catchup_window_seconds.map(|seconds| seconds * 1000),
            "catchup_max": CATCHUP_MAX,
            "jitter_ms": i64::from(self.jitter_seconds) * 1000,
            "starts_at": self.starts_at.or_else(|| self.first_instant(anchor)),
            "ends_at": self.ends_at,
            "anchor_at": self.anchor(anchor),
            "pause_on_failure": self.pause_on_failure,
        })
    }
}

impl ToParam for Overlap {
    fn to_param(&self) -> Param {
        word(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(json: Value) -> Timing {
        serde_json::from_value(json).unwrap()
    }

    fn refused(json: Value) -> &'static str {
        timing(json).check().unwrap_err().name
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let timing = timing(json!({ "when": { "cron": "15 3 * * *" } }));
        assert_eq!(timing.check(), Ok(()));
        assert_eq!(timing.zone, "UTC");
        assert_eq!((timing.gap, timing.overlap), (Gap::RunAfter, Overlap::Skip));
        let made_at = "2026-03-01T10:00:00Z".parse().unwrap();
        let definition = timing.definition(made_at);
        assert_eq!(definition["expression"], "15 3 * * *");
        assert_eq!(definition["catchup"], "latest");
        assert_eq!(definition["anchor_at"], "2026-03-01T10:00:00Z");
        assert_eq!(definition["starts_at"], Value::Null);
    }

    #[test]
    fn a_period_does_not_begin_with_a_run_unless_it_says_when_it_starts() {
        let made_at: Time = "2026-03-01T10:00:00.0005Z".parse().unwrap();
        let mut every = timing(json!({ "when": { "every": "1h" } }));
        let definition = every.definition(made_at);
        assert_eq!(definition["anchor_at"], "2026-03-01T10:00:00Z");
        assert_eq!(definition["starts_at"], "2026-03-01T10:00:00.001Z");
        every.starts_at = Some(made_at);
        assert_eq!(every.definition(made_at)["starts_at"], json!(made_at));
    }

    #[test]
    fn each_language_becomes_the_expression_of_the_platform() {
        for (when, expression) in [
            (json!({ "cron": "@daily" }), "@daily"),
            (json!({ "every": "PT15M" }), "every PT15M"),
            (json!({ "at": "2027-01-01T01:00:00+01:00" }), "at 2027-01-01T00:00:00+00:00"),
            (json!({ "rrule": "RRULE:FREQ=DAILY" }), "RRULE:FREQ=DAILY"),
        ] {
            let timing = timing(json!({ "when": when }));
            assert_eq!(timing.when.expression(), expression);
            assert_eq!(timing.check(), Ok(()));
        }
    }

    #[test]
    fn one_language_under_the_name_of_another_is_refused() {
        for when in [
            json!({ "cron": "every 5m" }),
            json!({ "cron": " At 2027-01-01T00:00:00Z" }),
            json!({ "cron": "RRULE:FREQ=DAILY" }),
            json!({ "rrule": "15 3 * * *" }),
        ] {
            assert_eq!(refused(json!({ "when": when })), "Expression", "{when}");
        }
    }

    #[test]
    fn bounds_are_named() {
        let with = |field: &str, value: Value| {
            let mut timing = json!({ "when": { "cron": "@daily" } });
            timing[field] = value;
            timing
        };
        assert_eq!(refused(with("zone", json!(""))), "Zone");
        assert_eq!(refused(with("jitter_seconds", json!(86_401))), "Jitter");
        assert_eq!(refused(with("catchup_window_seconds", json!(9))), "CatchupWindow");
        let mut ends = with("starts_at", json!("2026-03-01T10:00:00Z"));
        ends["ends_at"] = json!("2026-03-01T10:00:00Z");
        assert_eq!(refused(ends), "TimingEnd");
        let unknown = with("timezone", json!("UTC"));
        assert!(serde_json::from_value::<Timing>(unknown).is_err());
    }
}
