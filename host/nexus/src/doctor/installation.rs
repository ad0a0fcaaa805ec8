//! An installation of several hosts: whether they agree, what was begun and forgotten, whether its
//! journal is whole and its backups are fresh.

use super::running::{age, list, named, of, text};
use super::{Check, Finding};
use jiff::Timestamp;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, SystemTime};

pub(super) const CHECKS: &[Check] = &[
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
    match answer["whole"].as_bool() {
        Some(true) => Finding::ok(format!("{} entries, whole", answer["entries"])),
        Some(false) => Finding::fail(
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
    use super::super::Outcome::{Fail, Ok, Warn};
    use super::*;
    use serde_json::json;

    fn now() -> Timestamp {
        "2027-01-31T03:15:00Z".parse().unwrap()
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
        let one = |state: &str, at: &str| {
            let one = json!({ "component": "a", "state": state, "created_at": at });
            json!({ "rollouts": [one] })
        };
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
    fn a_backup_of_last_week_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(backups(folder.path(), SystemTime::now()).outcome, Fail);
        std::fs::write(folder.path().join("a.nexus-backup"), "").unwrap();
        assert_eq!(backups(folder.path(), SystemTime::now()).outcome, Ok);
        let later = SystemTime::now() + Duration::from_secs(7 * 86_400);
        assert_eq!(backups(folder.path(), later).outcome, Fail);
    }

    #[test]
    fn a_journal_that_was_touched_and_a_variable_without_value_are_told() {
        let at = |judge: fn(&Value) -> Finding, value: Value| judge(&value).outcome;
        assert_eq!(at(chain, json!({ "whole": true, "entries": 7 })), Ok);
        assert_eq!(at(chain, json!({ "whole": false, "broken_at": 3 })), Fail);
        let named = |origin: &str| {
            let name = json!({ "name": "k", "origin": origin, "required": true });
            json!({ "version": 1, "names": [name] })
        };
        assert_eq!(at(configuration, named("set")), Ok);
        assert_eq!(at(configuration, named("missing")), Warn);
    }
}
