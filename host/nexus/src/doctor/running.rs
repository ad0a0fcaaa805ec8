//! A host that runs: what it says of itself, its components, the names it answers to, its metrics.

use super::{Check, Finding, Ground};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const CHECKS: &[Check] = &[
    Check::plain("host", "answers", |ground| match &ground.answers {
        Some(answers) => version(answers.get("host"), crate::VERSION),
        None => Finding::skip("no host answers at NEXUS_ADMIN_LISTEN"),
    }),
    Check::plain("host", "ready", |ground| of(ground, "host", ready)),
    Check::plain("host", "components", |ground| of(ground, "components", components)),
    Check::plain("host", "traps", |ground| of(ground, "components", traps)),
    Check::plain("host", "saturation", |ground| of(ground, "components", saturation)),
    Check::plain("host", "open files", |ground| of(ground, "host", files)),
    Check::plain("host", "instances", |ground| of(ground, "host", instances)),
    Check::plain("host", "health of all names", |ground| of(ground, "health-matrix", matrix)),
    Check::plain("host", "metrics", |ground| of(ground, "metrics", metrics)),
];

/// Judges an answer; what a host does not answer is skipped, with what it said instead.
pub(super) fn of(
    ground: &Ground,
    path: &'static str,
    judge: impl FnOnce(&Value) -> Finding,
) -> Finding {
    let Some(answers) = &ground.answers else { return Finding::skip("no host answers") };
    match answers.get(path) {
        Some(answer) if answer["unanswered"].is_string() => {
            Finding::skip(answer["unanswered"].as_str().unwrap_or_default())
        }
        Some(answer) => judge(answer),
        None => Finding::skip("it was not asked"),
    }
}

pub(super) fn list<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer[name].as_array().into_iter().flatten()
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Seconds since an instant; None where there is none.
pub(super) fn age(value: &Value, now: Timestamp) -> Option<i64> {
    let at: Timestamp = value.as_str()?.parse().ok()?;
    Some(now.as_second() - at.as_second())
}

/// The first few of a list, in one line.
pub(super) fn named(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    let more = names.len().saturating_sub(shown.len());
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

fn version(host: Option<&Value>, ours: &str) -> Finding {
    let theirs = host.map_or("", |host| text(host, "version"));
    match theirs == ours {
        true => Finding::ok(format!("version {theirs}")),
        false => Finding::warn(
            format!("it is version {theirs}, this program {ours}"),
            "restart it with the program that is installed",
        ),
    }
}

fn ready(host: &Value) -> Finding {
    let waiting: Vec<String> = list(host, "conditions")
        .filter(|condition| condition["met"] != true)
        .map(|condition| format!("{}: {}", text(condition, "name"), text(condition, "detail")))
        .collect();
    match host["ready"] == true {
        true => Finding::ok(format!(
            "up for {} s",
            host["uptime_seconds"].as_f64().unwrap_or(0.0).round()
        )),
        false => Finding::fail(named(&waiting), "mend what it waits for"),
    }
}

fn components(answer: &Value) -> Finding {
    let inactive: Vec<String> = list(answer, "components")
        .filter(|component| text(component, "state") != "active")
        .map(|component| format!("{}: {}", text(component, "id"), text(component, "reason")))
        .collect();
    match inactive.is_empty() {
        true => Finding::ok(format!("{} active", list(answer, "components").count())),
        false => Finding::fail(named(&inactive), "`nexus status` says what each lacks"),
    }
}

fn traps(answer: &Value) -> Finding {
    let trapped: Vec<String> = list(answer, "components")
        .filter_map(|component| {
            let failures = &component["failures"];
            let count = |name: &str| failures[name].as_u64().unwrap_or_default();
            let bad = count("traps") + count("cpu_kills");
            (bad > 0).then(|| format!("{}: {bad}", text(component, "id")))
        })
        .collect();
    match trapped.is_empty() {
        true => Finding::ok("none since the start"),
        false => Finding::warn(named(&trapped), "see `nexus logs --level error`"),
    }
}

fn saturation(answer: &Value) -> Finding {
    let refused: Vec<String> = list(answer, "components")
        .filter(|component| component["failures"]["refused"].as_u64().unwrap_or_default() > 0)
        .map(|component| text(component, "id").to_owned())
        .collect();
    match refused.is_empty() {
        true => Finding::ok("nobody was turned away"),
        false => Finding::warn(
            format!("calls of {} were turned away", named(&refused)),
            "raise inflight_max or queue_max, or add a host",
        ),
    }
}

fn files(host: &Value) -> Finding {
    let number = |name: &str| host["process"][name].as_u64();
    let (Some(open), Some(most)) = (number("open_fds"), number("open_fds_max")) else {
        return Finding::skip("it does not say");
    };
    let found = format!("{open} of {most}");
    match open * 10 > most * 8 {
        true => Finding::warn(found, "raise LimitNOFILE"),
        false => Finding::ok(found),
    }
}

fn instances(host: &Value) -> Finding {
    let number = |name: &str| host["engine"][name].as_u64();
    let (Some(used), Some(most)) =
        (number("component_instances"), number("component_instances_max"))
    else {
        return Finding::skip("it does not say");
    };
    let found = format!("{used} of {most}");
    match used * 10 > most * 9 {
        true => Finding::warn(found, "raise NEXUS_INSTANCES_MAX"),
        false => Finding::ok(found),
    }
}

/// A name of which something is not built says what is missing; one that is ill says nothing of it.
fn matrix(answer: &Value) -> Finding {
    let (mut ill, mut well, mut unbuilt) = (Vec::new(), 0, 0);
    for entry in list(answer, "names") {
        match (entry["healthy"] == true, entry["missing"].is_null()) {
            (true, _) => well += 1,
            (false, false) => unbuilt += 1,
            (false, true) => ill.push(text(entry, "name").to_owned()),
        }
    }
    match ill.is_empty() {
        true if well + unbuilt == 0 => Finding::skip("it lists nothing"),
        true => Finding::ok(format!("{well} are well, {unbuilt} are not built")),
        false => Finding::fail(
            format!("ill: {}", named(&ill)),
            "see /services/<name>/health and `nexus logs`",
        ),
    }
}

/// `{"page": "…"}`.
fn metrics(answer: &Value) -> Finding {
    let page = text(answer, "page");
    let families = page.lines().filter(|line| line.starts_with("# TYPE nexus_")).count();
    match families {
        0 => Finding::fail("/metrics has none of ours", "may whoever scrapes it show the token?"),
        many => Finding::ok(format!("{many} families")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Skipped, Warn};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_host_that_is_ill_is_told_apart_from_one_that_is_well() {
        let host = json!({ "version": "1.0.0", "ready": true, "conditions": [],
            "process": { "open_fds": 10, "open_fds_max": 100 },
            "engine": { "component_instances": 10, "component_instances_max": 100 } });
        let ill = json!({ "version": "0.9.0", "ready": false,
            "conditions": [{ "name": "postgresql", "met": false, "detail": "away" }],
            "process": { "open_fds": 90, "open_fds_max": 100 },
            "engine": { "component_instances": 99, "component_instances_max": 100 } });
        let at = |judge: fn(&Value) -> Finding| (judge(&host).outcome, judge(&ill).outcome);
        assert_eq!(at(|host| version(Some(host), "1.0.0")), (Ok, Warn));
        assert_eq!(at(ready), (Ok, Fail));
        assert_eq!((at(files), at(instances)), ((Ok, Warn), (Ok, Warn)));
        assert_eq!(ready(&ill).found, "postgresql: away");
    }

    #[test]
    fn components_that_fail_are_named() {
        let none = json!({ "traps": 0, "cpu_kills": 0, "refused": 0 });
        let some = json!({ "traps": 3, "cpu_kills": 0, "refused": 7 });
        let well = json!({ "components": [{ "id": "a", "state": "active", "failures": none }] });
        let ill = json!({ "components": [
            { "id": "a", "state": "inactive", "reason": "no key", "failures": some },
        ] });
        let at = |judge: fn(&Value) -> Finding| (judge(&well).outcome, judge(&ill).outcome);
        assert_eq!(
            (at(components), at(traps), at(saturation)),
            ((Ok, Fail), (Ok, Warn), (Ok, Warn))
        );
        assert_eq!(components(&ill).found, "a: no key");
    }

    #[test]
    fn metrics_and_names_are_judged() {
        let at = |judge: fn(&Value) -> Finding, value: Value| judge(&value).outcome;
        assert_eq!(at(metrics, json!({ "page": "# TYPE nexus_calls_total counter\n" })), Ok);
        assert_eq!(at(metrics, json!({ "page": "" })), Fail);
        let entry = |healthy, missing: Value| {
            let entry = json!({ "name": "a", "healthy": healthy, "missing": missing });
            json!({ "names": [entry] })
        };
        assert_eq!(at(matrix, entry(true, Value::Null)), Ok);
        assert_eq!(at(matrix, entry(false, json!(["puabo-os"]))), Ok);
        assert_eq!(at(matrix, entry(false, Value::Null)), Fail);
        assert_eq!(at(matrix, json!({})), Skipped);
    }
}
