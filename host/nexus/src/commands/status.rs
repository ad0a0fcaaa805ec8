//! `nexus status`: what an operator looks at first. Rates, errors and durations of components,
//! rollouts under way, hosts, freezes. Knows fields of the API's answers; computes nothing that the
//! host does not say.

use super::Failure;
use super::host_api::HostApi;
use super::rollout::{share, state_of, whose};
use super::table::{Table, age, cell, list_of, pairs, say, say_json};
use crate::config::StatusOptions;
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) fn run(options: &StatusOptions) -> Result<(), Failure> {
    let api = HostApi::new(&options.host)?;
    let seen = match &options.component {
        Some(name) => json!({
            "component": api.get(&["components", name], &[])?,
            "traffic": optional(api.get(&["components", name, "traffic"], &[]))?,
            "rollouts": optional(list(&api, "rollouts", Some(name)))?,
            "freezes": optional(list(&api, "freezes", None))?,
        }),
        None => json!({
            "host": api.get(&["host"], &[])?,
            "components": api.get(&["components"], &[])?["components"],
            "rollouts": optional(list(&api, "rollouts", None))?,
            "freezes": optional(list(&api, "freezes", None))?,
            "hosts": optional(list(&api, "hosts", None))?,
        }),
    };
    if options.host.json {
        return say_json(&seen);
    }
    let now = Timestamp::now();
    let text = match &options.component {
        Some(name) => one(name, &seen, now),
        None => whole(&seen, now),
    };
    say(&text)
}

fn list(api: &HostApi, what: &str, component: Option<&String>) -> Result<Value, Failure> {
    let query = [("component", component.cloned()), ("limit", Some("50".into()))];
    let query = if what == "rollouts" { &query[..] } else { &[] };
    Ok(api.get(&[what], query)?[what].clone())
}

/// A host without a database answers for its components and has nothing else to tell.
fn optional(answer: Result<Value, Failure>) -> Result<Value, Failure> {
    match answer {
        Err(Failure::Told { code: super::FAILED, words }) => {
            eprintln!("{words}");
            Ok(Value::Null)
        }
        other => other,
    }
}

fn whole(seen: &Value, now: Timestamp) -> String {
    let mut text = format!("host {}\n", cell(&seen["host"]["version"]));
    let hosts = list_of(&seen["hosts"]);
    let mut table = Table::new(&["HOST", "VERSION", "STARTED", "HEARTBEAT", "#APPLIED"]);
    let mut lines = 0;
    for host in hosts {
        lines += 1;
        table.row(vec![
            cell(&host["name"]),
            cell(&host["version"]),
            age(&host["started_at"], now),
            age(&host["heartbeat_at"], now),
            cell(&host["generation"]),
        ]);
    }
    if lines > 0 {
        text += &format!("\n{}", table.render());
    }
    text += &format!("\n{}", components(list_of(&seen["components"])));
    text += &rollouts(&seen["rollouts"], now);
    text + &freezes(&seen["freezes"], None, now)
}

fn one(name: &str, seen: &Value, now: Timestamp) -> String {
    let component = &seen["component"];
    let mut text = components(std::iter::once(component));
    text += &pairs(&[("reason", cell(&component["reason"]))]);
    let mut table = Table::new(&["#REVISION", "#SHARE"]);
    let mut lines = 0;
    for (number, weight) in seen["traffic"]["weights"].as_object().into_iter().flatten() {
        lines += 1;
        table.row(vec![number.clone(), share(weight)]);
    }
    if lines > 0 {
        text += &format!("\n{}", table.render());
    }
    text += &rollouts(&seen["rollouts"], now);
    text + &freezes(&seen["freezes"], Some(name), now)
}

fn components<'a>(all: impl Iterator<Item = &'a Value>) -> String {
    let mut table = Table::new(&[
        "COMPONENT",
        "STATE",
        "#CALLS",
        "#ERRORS",
        "#TRAPS",
        "#IN FLIGHT",
        "#P50",
        "#P99",
        "#MEMORY",
    ]);
    for component in all {
        table.row(vec![
            cell(&component["id"]),
            cell(&component["state"]),
            cell(&component["calls"]),
            part(errors(component), component["calls"].as_u64().unwrap_or_default()),
            cell(&component["failures"]["traps"]),
            cell(&component["inflight"]),
            milliseconds(&component["p50_seconds"]),
            milliseconds(&component["p99_seconds"]),
            component["memory_bytes"].as_u64().map(mebibytes).unwrap_or_default(),
        ]);
    }
    table.render()
}

/// Calls that ended badly: the component's own answers of 500 and above, and what the host had to
/// end.
fn errors(component: &Value) -> u64 {
    let failures = component["failures"].as_object().into_iter().flatten();
    let failures: u64 = failures.filter_map(|(_, number)| number.as_u64()).sum();
    failures + component["server_errors"].as_u64().unwrap_or_default()
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

/// How many, and of how many in a hundred.
fn part(errors: u64, calls: u64) -> String {
    match errors.min(calls) {
        0 => errors.to_string(),
        _ => format!("{errors} ({:.2}%)", errors as f64 * 100.0 / calls as f64),
    }
}

fn milliseconds(seconds: &Value) -> String {
    seconds.as_f64().map(|seconds| format!("{:.1} ms", seconds * 1_000.0)).unwrap_or_default()
}

fn rollouts(all: &Value, now: Timestamp) -> String {
    let mut table = Table::new(&["ROLLOUT OF", "#REVISION", "STATE", "#SHARE", "BEGAN", "ID"]);
    let mut lines = 0;
    for rollout in list_of(all).filter(|rollout| rollout["finished_at"].is_null()) {
        lines += 1;
        table.row(vec![
            cell(&rollout["component"]),
            cell(&rollout["revision"]),
            state_of(rollout),
            share(&rollout["weight"]),
            age(&rollout["created_at"], now),
            cell(&rollout["id"]),
        ]);
    }
    if lines > 0 { format!("\n{}", table.render()) } else { String::new() }
}

/// Freezes that hold for one component, or all there are.
fn freezes(all: &Value, component: Option<&str>, now: Timestamp) -> String {
    let holds = |freeze: &&Value| {
        let of = freeze["component"].as_str();
        component.is_none() || of.is_none() || of == component
    };
    let line = |freeze: &Value| {
        let (since, by) = (age(&freeze["created_at"], now), cell(&freeze["by"]));
        let reason = cell(&freeze["reason"]);
        pairs(&[(
            "frozen",
            format!("{} since {since} by {by}: {reason}", whose(&freeze["component"])),
        )])
    };
    let lines: String = list_of(all).filter(holds).map(line).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_a_line_with_its_share_of_errors() {
        let component = json!({ "id": "catalog", "state": "active", "calls": 200,
            "server_errors": 1, "failures": { "timeouts": 2, "traps": 0 }, "inflight": 3,
            "p50_seconds": 0.0012, "p99_seconds": 0.05, "memory_bytes": 1_572_864 });
        let text = components(std::iter::once(&component));
        let line = text.lines().nth(1).unwrap();
        let cells: Vec<_> = line.split("  ").filter(|cell| !cell.trim().is_empty()).collect();
        let cells: Vec<_> = cells.into_iter().map(str::trim).collect();
        let wanted =
            ["catalog", "active", "200", "3 (1.50%)", "0", "3", "1.2 ms", "50.0 ms", "1.5 MiB"];
        assert_eq!(cells, wanted, "{text}");
    }

    #[test]
    fn rollouts_that_are_over_and_freezes_of_others_are_left_out() {
        let now = Timestamp::UNIX_EPOCH;
        let all = json!([{ "component": "cart", "finished_at": "2027-01-31T03:15:00Z" }]);
        assert_eq!(rollouts(&all, now), "");
        let all = json!([{ "component": "cart", "reason": "sale" }, { "component": null }]);
        assert!(!freezes(&all, Some("shop"), now).contains("cart"));
        assert!(freezes(&all, Some("shop"), now).contains("all components"));
        assert!(freezes(&all, None, now).contains("sale"));
    }
}
