//! Which revision gets which share of the calls, and whether that may change at all.

use super::Host;
use super::list::share;
use crate::commands::Failure;
use crate::commands::host_api::MISSING;
use crate::commands::table::{Table, age, cell, list_of, pairs, say, say_json, say_list};
use crate::config::{FreezeOptions, TrafficOptions, UnfreezeOptions};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What all shares add up to.
const WHOLE: u32 = 10_000;

pub(super) fn run(host: &Host, options: &TrafficOptions) -> Result<(), Failure> {
    let path = ["components", &options.component, "traffic"];
    let answer = match options.weights.as_slice() {
        [] => host.api.get(&path, &[])?,
        weights => {
            let order = json!({ "weights": shares(weights)?, "reason": options.reason,
                "by": host.by });
            host.api.put(&path, &order)?
        }
    };
    if host.json {
        return say_json(&answer);
    }
    let mut table = Table::new(&["#REVISION", "#SHARE"]);
    for (number, weight) in answer["weights"].as_object().into_iter().flatten() {
        table.row(vec![number.clone(), share(weight)]);
    }
    say_list(&table, &format!("no revision of {} is served", options.component), &Value::Null)
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
}
