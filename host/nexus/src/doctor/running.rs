//! A host that runs: what it says of itself, its components, its peers, its journal, its metrics.

use super::{Check, Finding, Ground};
use jiff::Timestamp;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, SystemTime};

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
    Check::plain("host", "converged", |ground| {
        of(ground, "hosts", |hosts| converged(hosts, Timestamp::now()))
    }),
    Check::plain("host", "rollouts", |ground| {
        of(ground, "rollouts", |rollouts| rollouts_move(rollouts, Timestamp::now()))
    }),
    Check::plain("host", "freezes", |ground| {
        of(ground, "freezes", |freezes| frozen(freezes, Timestamp::now()))
    }),
    Check::plain("host", "audit chain", |ground| of(ground, "audit/verify", chain)),
    Check::plain("host", "configuration applied", |ground| {
        of(ground, "configuration/_", configuration)
    }),
    Check::plain("host", "backups", |ground| match &ground.backups {
        Some(folder) => backups(folder, SystemTime::now()),
        None => Finding::skip("say with --backups where they are"),
    }),
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
fn named(names: &[String]) -> String {
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

/// A heartbeat is written each second or so.
const SILENT_SECONDS_MAX: i64 = 30;
/// After so long a host is gone, not silent.
const GONE_SECONDS: i64 = 3_600;

fn converged(answer: &Value, now: Timestamp) -> Finding {
    let mut silent = Vec::new();
    let mut generations = std::collections::BTreeSet::new();
    let mut alive = 0;
    for host in list(answer, "hosts") {
        let heard =
            ["heartbeat_at", "heartbeat", "seen_at"].iter().find_map(|name| age(&host[*name], now));
        match heard.unwrap_or_default() {
            ..=SILENT_SECONDS_MAX => {
                alive += 1;
                let applied = ["applied", "applied_sequence", "generation"];
                let applied =
                    applied.iter().map(|name| &host[*name]).find(|value| !value.is_null());
                generations.extend(applied.map(Value::to_string));
            }
            ..=GONE_SECONDS => silent.push(text(host, "name").to_owned()),
            _ => {}
        }
    }
    match (silent.is_empty(), generations.len()) {
        (false, _) => {
            Finding::fail(format!("{} is silent", named(&silent)), "is it down, or cut off?")
        }
        (true, 2..) => Finding::warn(
            format!("{alive} hosts serve different generations"),
            "wait a moment; `nexus status` says which host lags and why",
        ),
        _ => Finding::ok(format!("{alive} hosts")),
    }
}

/// A step takes minutes; whoever waits for a day has forgotten it.
const ROLLOUT_SECONDS_MAX: i64 = 86_400;

fn rollouts_move(answer: &Value, now: Timestamp) -> Finding {
    let over = ["done", "rolled_back", "failed", "aborted"];
    let running: Vec<&Value> =
        list(answer, "rollouts").filter(|one| !over.contains(&text(one, "state"))).collect();
    let stuck: Vec<String> = running
        .iter()
        .filter(|one| age(&one["created_at"], now).is_some_and(|age| age > ROLLOUT_SECONDS_MAX))
        .map(|one| format!("{} ({})", text(one, "component"), text(one, "state")))
        .collect();
    match stuck.is_empty() {
        true => Finding::ok(format!("{} under way", running.len())),
        false => Finding::warn(
            format!("begun more than a day ago: {}", named(&stuck)),
            "`nexus promote` or `nexus rollout abort`",
        ),
    }
}

fn frozen(answer: &Value, now: Timestamp) -> Finding {
    let old: Vec<String> = list(answer, "freezes")
        .filter(|freeze| age(&freeze["created_at"], now).is_some_and(|age| age > 7 * 86_400))
        .map(|freeze| format!("{}: {}", text(freeze, "component"), text(freeze, "reason")))
        .collect();
    match old.is_empty() {
        true => Finding::ok(format!("{} in force", list(answer, "freezes").count())),
        false => Finding::warn(
            format!("for more than a week: {}", named(&old)),
            "`nexus unfreeze` when its reason is gone",
        ),
    }
}

fn chain(answer: &Value) -> Finding {
    let whole = ["valid", "whole", "ok"].iter().map(|name| &answer[*name]).find(|v| v.is_boolean());
    match whole {
        Some(Value::Bool(true)) => Finding::ok("whole"),
        Some(_) => Finding::fail(
            format!("it was touched: {answer}"),
            "keep an export, find out who, restore from a backup",
        ),
        None => Finding::skip("it does not say"),
    }
}

fn configuration(answer: &Value) -> Finding {
    let missing: Vec<String> = list(answer, "names")
        .filter(|name| text(name, "origin") == "missing" && name["required"] == true)
        .map(|name| text(name, "name").to_owned())
        .collect();
    match missing.is_empty() {
        true => Finding::ok(format!(
            "{} variables, version {}",
            list(answer, "names").count(),
            answer["version"]
        )),
        false => Finding::warn(
            format!("without a value for all: {}", named(&missing)),
            "`nexus config ls <component>` says whether those that read them have their own",
        ),
    }
}

/// Once a day, and a few hours for it.
const BACKUP_AGE_MAX: Duration = Duration::from_secs(30 * 3_600);

fn backups(folder: &Path, now: SystemTime) -> Finding {
    let todo = "`nexus backup` once a day: see the runbook";
    let newest = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let newest = newest.filter_map(|entry| entry.metadata().ok()?.modified().ok()).max();
    let Some(newest) = newest else {
        return Finding::fail(format!("there is none in {}", folder.display()), todo);
    };
    let age = now.duration_since(newest).unwrap_or_default();
    let found = format!("the newest is {} h old", age.as_secs() / 3_600);
    if age > BACKUP_AGE_MAX { Finding::fail(found, todo) } else { Finding::ok(found) }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Skipped, Warn};
    use super::*;
    use serde_json::json;

    fn now() -> Timestamp {
        "2027-01-31T03:15:00Z".parse().unwrap()
    }

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
        let ill = json!({ "components": [{ "id": "a", "state": "inactive", "reason": "no key", "failures": some }] });
        let at = |judge: fn(&Value) -> Finding| (judge(&well).outcome, judge(&ill).outcome);
        assert_eq!(
            (at(components), at(traps), at(saturation)),
            ((Ok, Fail), (Ok, Warn), (Ok, Warn))
        );
        assert_eq!(components(&ill).found, "a: no key");
    }

    #[test]
    fn hosts_that_are_silent_or_lag_are_told() {
        let host =
            |at: &str, applied: u64| json!({ "name": "h", "heartbeat_at": at, "applied": applied });
        let at = |hosts: Vec<Value>| converged(&json!({ "hosts": hosts }), now()).outcome;
        let fresh = "2027-01-31T03:14:59Z";
        assert_eq!(at(vec![host(fresh, 7), host(fresh, 7)]), Ok);
        assert_eq!(at(vec![host(fresh, 7), host(fresh, 8)]), Warn);
        assert_eq!(at(vec![host(fresh, 7), host("2027-01-31T03:10:00Z", 7)]), Fail);
        assert_eq!(at(vec![host(fresh, 7), host("2027-01-30T03:10:00Z", 3)]), Ok, "it is gone");
    }

    #[test]
    fn what_was_forgotten_is_told() {
        let one = |state: &str, at: &str| json!({ "rollouts": [{ "component": "a", "state": state, "created_at": at }] });
        let at = |state, at| rollouts_move(&one(state, at), now()).outcome;
        assert_eq!(at("stepping", "2027-01-31T03:00:00Z"), Ok);
        assert_eq!(
            (at("paused", "2027-01-29T03:00:00Z"), at("done", "2026-01-29T03:00:00Z")),
            (Warn, Ok)
        );
        let freeze = |at: &str| json!({ "freezes": [{ "reason": "fair", "created_at": at }] });
        assert_eq!(frozen(&freeze("2027-01-30T03:00:00Z"), now()).outcome, Ok);
        assert_eq!(frozen(&freeze("2027-01-03T03:00:00Z"), now()).outcome, Warn);
    }

    #[test]
    fn journal_metrics_names_and_variables_are_judged() {
        let at = |judge: fn(&Value) -> Finding, value: Value| judge(&value).outcome;
        assert_eq!(
            (at(chain, json!({ "valid": true })), at(chain, json!({ "valid": false }))),
            (Ok, Fail)
        );
        assert_eq!(at(metrics, json!({ "page": "# TYPE nexus_calls_total counter\n" })), Ok);
        assert_eq!(at(metrics, json!({ "page": "" })), Fail);
        let entry = |healthy, missing: Value| json!({ "names": [{ "name": "a", "healthy": healthy, "missing": missing }] });
        assert_eq!(at(matrix, entry(true, Value::Null)), Ok);
        assert_eq!(at(matrix, entry(false, json!(["puabo-os"]))), Ok);
        assert_eq!(at(matrix, entry(false, Value::Null)), Fail);
        assert_eq!(at(matrix, json!({})), Skipped);
        let named = |origin: &str| json!({ "version": 1, "names": [{ "name": "k", "origin": origin, "required": true }] });
        assert_eq!(
            (at(configuration, named("set")), at(configuration, named("missing"))),
            (Ok, Warn)
        );
    }

    #[test]
    fn a_backup_of_last_week_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(backups(folder.path(), SystemTime::now()).outcome, Fail);
        std::fs::write(folder.path().join("a.nexus-backup"), "").unwrap();
        assert_eq!(backups(folder.path(), SystemTime::now()).outcome, Ok);
        let later = SystemTime::now() + Duration::from_secs(7 * 86_400);
        assert_eq!(backups(folder.path(), later).outcome, Fail);
    }
}
