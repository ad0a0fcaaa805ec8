//! An installation of several hosts: whether they agree, what was begun and forgotten, whether its
//! journal is whole and its backups are fresh.

use super::running::{age, list, named, of, text};
use super::{Check, Finding};
use crate::backup::{self, Record};
use crate::settings::Database as Choice;
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
        None => last_backup(Record::read(&ground.home), Timestamp::now()),
    }),
    Check::plain("host", "log archive", |ground| match &ground.settings {
        Err(_) => Finding::skip("the settings are wrong"),
        Ok(settings) if !matches!(settings.database, Choice::Private) => {
            Finding::skip("the server of DATABASE_URL archives by itself, or does not")
        }
        Ok(settings) if settings.archive.is_none() => {
            Finding::skip("NEXUS_WAL_ARCHIVE is not set: no point in time")
        }
        Ok(_) => log_archive(&ground.home, SystemTime::now()),
    }),
];

/// A heartbeat is written each second or so.
const SILENT_SECONDS_MAX: i64 = 30;
/// After so long a host is gone, not silent.
const GONE_SECONDS: i64 = 3_600;

fn converged(answer: &Value, now: Timestamp) -> Finding {
    let (mut silent, mut failures, mut alive) = (Vec::new(), Vec::new(), 0);
    // How far each has followed the changes of traffic; its generation is a number of its own.
    let mut applied = std::collections::BTreeSet::new();
    for host in list(answer, "hosts") {
        match age(&host["heartbeat_at"], now).unwrap_or(GONE_SECONDS + 1) {
            ..=SILENT_SECONDS_MAX => {
                alive += 1;
                applied.extend(host["sequence"].as_i64());
                failures.extend(list(host, "failures").map(|failure| {
                    let (component, reason) = (text(failure, "component"), text(failure, "reason"));
                    format!("{component} on {}: {reason}", text(host, "name"))
                }));
            }
            ..=GONE_SECONDS => silent.push(text(host, "name").to_owned()),
            _ => {}
        }
    }
    match (silent.is_empty(), failures.is_empty(), applied.len()) {
        (false, ..) => {
            Finding::fail(format!("{} is silent", named(&silent)), "is it down, or cut off?")
        }
        (true, false, _) => Finding::fail(
            format!("not applied: {}", named(&failures)),
            "mend the component, or `nexus rollback` it",
        ),
        (true, true, 2..) => Finding::warn(
            format!("{alive} hosts have followed different changes of traffic"),
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
    let under_way = running.iter().map(|one| {
        format!(
            "{} to revision {} ({})",
            text(one, "component"),
            one["revision"],
            text(one, "state")
        )
    });
    match stuck.is_empty() {
        true if running.is_empty() => Finding::ok("none under way"),
        true => Finding::ok(format!("under way: {}", named(&under_way.collect::<Vec<_>>()))),
        false => Finding::warn(
            format!("begun more than a day ago: {}", named(&stuck)),
            "`nexus promote` or `nexus rollout abort`",
        ),
    }
}

fn frozen(answer: &Value, now: Timestamp) -> Finding {
    let words = |freeze: &Value| {
        let component = freeze["component"].as_str().unwrap_or("everything");
        format!("{component}: {}", text(freeze, "reason"))
    };
    let all: Vec<String> = list(answer, "freezes").map(words).collect();
    let old: Vec<String> = list(answer, "freezes")
        .filter(|freeze| age(&freeze["created_at"], now).is_some_and(|age| age > 7 * 86_400))
        .map(words)
        .collect();
    match old.is_empty() {
        true if all.is_empty() => Finding::ok("none in force"),
        true => Finding::ok(format!("in force: {}", named(&all))),
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
    let todo = BACKUP_TODO;
    let newest = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let newest = newest.filter_map(|entry| entry.metadata().ok()?.modified().ok()).max();
    let Some(newest) = newest else {
        return Finding::fail(format!("there is none in {}", folder.display()), todo);
    };
    let age = now.duration_since(newest).unwrap_or_default();
    let found = format!("the newest is {} h old", age.as_secs() / 3_600);
    if age > BACKUP_AGE_MAX { Finding::fail(found, todo) } else { Finding::ok(found) }
}

const BACKUP_TODO: &str = "`nexus backup` once a day: see the runbook";

/// What the home remembers, where nobody says in which folder backups are.
fn last_backup(record: anyhow::Result<Option<Record>>, now: Timestamp) -> Finding {
    let record = match record {
        Ok(Some(record)) => record,
        Ok(None) => return Finding::warn("none was made from this home", BACKUP_TODO),
        Err(error) => return Finding::fail(format!("{error:#}"), BACKUP_TODO),
    };
    let Ok(at) = record.at.parse::<Timestamp>() else {
        return Finding::fail(format!("it says {:?}", record.at), BACKUP_TODO);
    };
    let hours = (now.as_second() - at.as_second()) / 3_600;
    let found = format!("{hours} h ago, {} bytes in {}", record.bytes, record.to);
    match u64::try_from(hours).is_ok_and(|hours| hours * 3_600 > BACKUP_AGE_MAX.as_secs()) {
        true => Finding::fail(found, BACKUP_TODO),
        false => Finding::ok(found),
    }
}

/// A part is sealed within a second or two of its end; a full or lost archive holds it back.
const WAITING_MAX: Duration = Duration::from_secs(300);

fn log_archive(home: &Path, now: SystemTime) -> Finding {
    let spool = match nexus_storage::cluster::spool(home) {
        Ok(Some(spool)) => spool,
        Ok(None) => {
            let todo = "start the host with the setting";
            return Finding::warn("the server does not archive", todo);
        }
        Err(error) => return Finding::fail(error.to_string(), "is the home readable?"),
    };
    match backup::waiting(&spool) {
        Err(error) => Finding::fail(format!("{error:#}"), "is the home readable?"),
        Ok(parts) => {
            let modified = |file: &Path| file.metadata().ok()?.modified().ok();
            let oldest = parts.iter().filter_map(|(_, file)| modified(file)).min();
            let age = oldest.and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
            let found = format!("{} parts wait, the oldest for {} s", parts.len(), age.as_secs());
            match age > WAITING_MAX {
                true => Finding::fail(found, "the host's log says why: is the archive full?"),
                false => Finding::ok(found),
            }
        }
    }
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
        let host = |at: &str, applied: u64| {
            let failures: [&str; 0] = [];
            json!({ "name": "h", "heartbeat_at": at, "sequence": applied, "failures": failures })
        };
        let at = |hosts: Vec<Value>| converged(&json!({ "hosts": hosts }), now()).outcome;
        let fresh = "2027-01-31T03:14:59Z";
        assert_eq!(at(vec![host(fresh, 7), host(fresh, 7)]), Ok);
        assert_eq!(at(vec![host(fresh, 7), host(fresh, 8)]), Warn);
        assert_eq!(at(vec![host(fresh, 7), host("2027-01-31T03:10:00Z", 7)]), Fail);
        assert_eq!(at(vec![host(fresh, 7), host("2027-01-30T03:10:00Z", 3)]), Ok, "it is gone");
        let mut ill = host(fresh, 7);
        ill["failures"] = json!([{ "component": "auth", "reason": "it does not compile" }]);
        assert_eq!(at(vec![host(fresh, 7), ill]), Fail);
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
    fn a_home_that_remembers_no_backup_of_yesterday_is_told() {
        let record = |at: &str| {
            let (at, to) = (at.to_owned(), "/backup/a.nxb".to_owned());
            let record = Record { at, to, bytes: 1, seconds: 1.0, rows: 1, objects: 1 };
            last_backup(anyhow::Ok(Some(record)), now()).outcome
        };
        assert_eq!(last_backup(anyhow::Ok(None), now()).outcome, Warn);
        assert_eq!(record("2027-01-30T03:15:00Z"), Ok);
        assert_eq!((record("2027-01-29T03:15:00Z"), record("soon")), (Fail, Fail));
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
