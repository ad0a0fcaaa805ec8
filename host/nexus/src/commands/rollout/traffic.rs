//! Which revision gets which share of the calls, and whether that may change at all.

use super::Host;
use super::follow::{BAD_END, LOOK_EVERY, NOT_OVER, Until};
use super::list::share;
use crate::commands::Failure;
use crate::commands::host_api::MISSING;
use crate::commands::table::{Table, age, cell, list_of, pairs, say, say_json, say_list};
use crate::config::{FreezeOptions, TrafficOptions, UnfreezeOptions};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What all shares add up to.
const WHOLE: u32 = 10_000;

pub(super) fn run(host: &Host, options: &TrafficOptions) -> Result<(), Failure> {
    let path = ["components", &options.component, "traffic"];
    let answer = match options.weights.as_slice() {
        [] => host.api.get(&path, &[])?,
        weights => {
            let order = json!({ "weights": shares(weights)?, "reason": options.reason,
                "by": host.by });
            if options.dry_run {
                return would_be(host, options, &order["weights"]);
            }
            host.api.put(&path, &order)?
        }
    };
    if options.wait.wait {
        until_applied(host, &options.component, &answer["sequence"], options.wait.timeout)?;
    }
    if host.json {
        return say_json(&answer);
    }
    let mut table = Table::new(&["#REVISION", "#SHARE"]);
    for (number, weight) in answer["weights"].as_object().into_iter().flatten() {
        table.row(vec![number.clone(), share(weight)]);
    }
    say_list(&table, &format!("no revision of {} is served", options.component), &Value::Null)
}

/// What would be served, beside what is.
fn would_be(host: &Host, options: &TrafficOptions, weights: &Value) -> Result<(), Failure> {
    let component = &*options.component;
    for (number, _) in &options.weights {
        // What is not there would be refused.
        host.api.get(&["components", component, "revisions", &number.to_string()], &[])?;
    }
    let now = host.api.get(&["components", component, "traffic"], &[])?;
    if host.json {
        return say_json(&json!({ "component": component, "weights": weights,
            "before": now["weights"], "dry_run": true }));
    }
    let numbers = |weights: &Value| -> Vec<u32> {
        let keys = weights.as_object().into_iter().flatten();
        keys.filter_map(|(number, _)| number.parse().ok()).collect()
    };
    let all: BTreeSet<u32> =
        [numbers(&now["weights"]), numbers(weights)].into_iter().flatten().collect();
    let mut table = Table::new(&["#REVISION", "#NOW", "#THEN"]);
    for number in all.into_iter().map(|number| number.to_string()) {
        let of = |weights: &Value| share(weights.get(&number).unwrap_or(&Value::from(0)));
        table.row(vec![number.clone(), of(&now["weights"]), of(weights)]);
    }
    say_list(&table, "nothing would be served", &Value::Null)
}

/// Waits until every host that lives has applied a change.
fn until_applied(
    host: &Host,
    component: &str,
    sequence: &Value,
    seconds: u32,
) -> Result<(), Failure> {
    let until = Until::after(seconds);
    loop {
        let answer = host.api.get(&["hosts"], &[])?;
        match made_of(&answer, component, sequence) {
            Applied::Everywhere => return Ok(()),
            Applied::Failed(reason) => {
                let words = format!("a host cannot serve it: {reason}");
                return Err(Failure::Told { words, code: BAD_END });
            }
            Applied::NotYet if until.is_over() => {
                let words = format!("a host has not applied it after {seconds} s: `nexus status`");
                return Err(Failure::Told { words, code: NOT_OVER });
            }
            Applied::NotYet => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// What hosts have made of a change.
#[derive(Debug, PartialEq, Eq)]
enum Applied {
    Everywhere,
    Failed(String),
    NotYet,
}

/// A host that has not come so far may still fail at what the change puts right.
fn made_of(answer: &Value, component: &str, sequence: &Value) -> Applied {
    let alive: Vec<&Value> = list_of(&answer["hosts"]).filter(|one| one["alive"] == true).collect();
    let has_it = |one: &&&Value| one["sequence"].as_i64() >= sequence.as_i64();
    let mut failures = alive.iter().filter(has_it).flat_map(|one| list_of(&one["failures"]));
    if let Some(failure) = failures.find(|one| one["component"] == component) {
        return Applied::Failed(cell(&failure["reason"]));
    }
    match !alive.is_empty() && alive.iter().all(|one| has_it(&one)) {
        true => Applied::Everywhere,
        false => Applied::NotYet,
    }
}

fn shares(weights: &[(u32, u16)]) -> Result<Map<String, Value>, Failure> {
    let sum: u32 = weights.iter().map(|(_, part)| u32::from(*part)).sum();
    if sum != WHOLE {
        return Err(Failure::Setting(anyhow::anyhow!(
            "the shares add up to {}, not to 100%",
            share(&sum.into())
        )));
    }
    Ok(weights.iter().map(|(number, part)| (number.to_string(), (*part).into())).collect())
}

pub(super) fn freeze(host: &Host, options: &FreezeOptions) -> Result<(), Failure> {
    let order = json!({ "component": options.component, "reason": options.reason,
        "by": host.by });
    let answer = host.api.post(&["freezes"], &order)?;
    if host.json {
        return say_json(&answer);
    }
    say(&pairs(&[
        ("frozen", whose(&answer["component"])),
        ("since", age(&answer["created_at"], Timestamp::now())),
        ("reason", cell(&answer["reason"])),
        ("id", cell(&answer["id"])),
    ]))?;
    eprintln!("no rollout begins or goes on; rollbacks still do. `nexus unfreeze` ends it");
    Ok(())
}

pub(super) fn unfreeze(host: &Host, options: &UnfreezeOptions) -> Result<(), Failure> {
    let answer = host.api.get(&["freezes"], &[])?;
    let of = |freeze: &&Value| freeze["component"].as_str() == options.component.as_deref();
    let ended: Vec<String> =
        list_of(&answer["freezes"]).filter(of).map(|freeze| cell(&freeze["id"])).collect();
    if ended.is_empty() {
        return Err(Failure::Told {
            words: format!(
                "{} not frozen; `nexus status` lists what is",
                match &options.component {
                    Some(component) => format!("{component} is"),
                    None => "all components together are".into(),
                }
            ),
            code: MISSING,
        });
    }
    for id in &ended {
        host.api.delete(&["freezes", id])?;
    }
    match host.json {
        true => say_json(&json!({ "ended": ended })),
        false => say("rollouts go on\n"),
    }
}

/// A freeze without a component is one of all.
pub(in crate::commands) fn whose(component: &Value) -> String {
    if component.is_null() { "all components".into() } else { cell(component) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_must_be_a_whole() {
        assert_eq!(shares(&[(7, 9_000), (8, 1_000)]).unwrap()["8"], 1_000);
        for wrong in [vec![(7, 9_000)], vec![(7, 10_000), (8, 1)]] {
            assert!(shares(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_failed_before_a_change_says_nothing_of_it() {
        let host = |sequence: i64, reason: Option<&str>| {
            let failures: Vec<Value> = reason
                .map(|reason| json!({ "component": "cart", "reason": reason }))
                .into_iter()
                .collect();
            json!({ "alive": true, "sequence": sequence, "failures": failures })
        };
        let gone = json!({ "alive": false, "sequence": 1, "failures": [] });
        for (hosts, expected) in [
            (vec![host(7, None), host(8, None), gone], Applied::Everywhere),
            (vec![host(7, None), host(6, None)], Applied::NotYet),
            (vec![host(6, Some("no bytes"))], Applied::NotYet),
            (vec![host(7, Some("no bytes")), host(6, None)], Applied::Failed("no bytes".into())),
            (vec![], Applied::NotYet),
        ] {
            let answer = json!({ "hosts": hosts });
            assert_eq!(made_of(&answer, "cart", &json!(7)), expected, "{answer}");
        }
    }
}
