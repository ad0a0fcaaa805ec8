//! Revisions and rollouts as people read them.

use super::Host;
use crate::commands::Failure;
use crate::commands::host_api::Parameter;
use crate::commands::table::{Table, age, cell, list_of, pairs, say, say_json, say_list};
use crate::config::PageOptions;
use jiff::Timestamp;
use serde_json::Value;

/// What people compare of a digest.
const DIGEST_CHARS: usize = 12;

pub(super) fn rollouts(
    host: &Host,
    component: Option<String>,
    page: &PageOptions,
) -> Result<(), Failure> {
    let query = [
        ("component", component),
        ("limit", Some(page.limit.to_string())),
        ("cursor", page.cursor.clone()),
    ];
    let answer = host.api.get(&["rollouts"], &query)?;
    if host.json {
        return say_json(&answer);
    }
    let now = Timestamp::now();
    let mut table = Table::new(&[
        "COMPONENT",
        "#REVISION",
        "#FROM",
        "STATE",
        "#SHARE",
        "BEGAN",
        "BY",
        "REASON",
        "ID",
    ]);
    for rollout in list_of(&answer["rollouts"]) {
        table.row(vec![
            cell(&rollout["component"]),
            cell(&rollout["revision"]),
            cell(&rollout["from"]),
            state_of(rollout),
            share(&rollout["weight"]),
            age(&rollout["created_at"], now),
            cell(&rollout["by"]),
            cell(&rollout["reason"]),
            cell(&rollout["id"]),
        ]);
    }
    say_list(&table, "there is no rollout", &answer["cursor"])
}

/// The revisions of a component.
pub(super) fn versions(
    host: &Host,
    component: &str,
    query: &[Parameter<'_>],
) -> Result<(), Failure> {
    let answer = host.api.get(&["components", component, "revisions"], query)?;
    if host.json {
        return say_json(&answer);
    }
    let now = Timestamp::now();
    let mut table = Table::new(&[
        "#REVISION",
        "#SHARE",
        "VERSION",
        "ARTIFACT",
        "#CONFIGURATION",
        "ORIGIN",
        "MADE",
        "BY",
        "NOTE",
    ]);
    for revision in list_of(&answer["revisions"]) {
        let draining = revision["draining"] == true;
        table.row(vec![
            cell(&revision["number"]),
            if draining { "draining".into() } else { share(&revision["weight"]) },
            cell(&revision["version"]),
            short(&cell(&revision["artifact"])),
            cell(&revision["configuration"]),
            cell(&revision["origin"]),
            age(&revision["created_at"], now),
            cell(&revision["created_by"]),
            cell(&revision["note"]),
        ]);
    }
    say_list(&table, &format!("{component} has no revision"), &answer["cursor"])
}

/// One rollout, with what has happened.
pub(super) fn describe(rollout: &Value) -> Result<(), Failure> {
    let now = Timestamp::now();
    let steps: Vec<String> = list_of(&rollout["steps"]).map(share).collect();
    say(&pairs(&[
        ("id", cell(&rollout["id"])),
        ("component", cell(&rollout["component"])),
        ("revision", cell(&rollout["revision"])),
        ("from", cell(&rollout["from"])),
        ("state", state_of(rollout)),
        ("share", share(&rollout["weight"])),
        ("steps", steps.join(" ")),
        ("began", age(&rollout["created_at"], now)),
        ("over", age(&rollout["finished_at"], now)),
        ("by", cell(&rollout["by"])),
        ("note", cell(&rollout["note"])),
        ("reason", cell(&rollout["reason"])),
    ]))?;
    let mut table = Table::new(&["WHEN", "STATE", "#SHARE", "WHAT"]);
    let mut any = false;
    for event in list_of(&rollout["events"]) {
        any = true;
        table.row(vec![
            age(&event["at"], now),
            cell(&event["state"]),
            share(&event["weight"]),
            cell(&event["words"]),
        ]);
    }
    if any { say(&format!("\n{}", table.render())) } else { Ok(()) }
}

/// What became of one, or is becoming.
pub(super) fn sentence(rollout: &Value) -> String {
    let component = cell(&rollout["component"]);
    let revision = cell(&rollout["revision"]);
    let what = match rollout["state"].as_str().unwrap_or_default() {
        "done" => "has all calls".to_owned(),
        "staged" => format!("is staged: `nexus invoke {component} / --revision {revision}`"),
        "rolled_back" => "was rolled back".to_owned(),
        "aborted" => "was aborted".to_owned(),
        "failed" => "failed".to_owned(),
        other => format!("is {other}"),
    };
    let reason = cell(&rollout["reason"]);
    let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
    format!("revision {revision} of {component} {what}{reason}")
}

pub(in crate::commands) fn state_of(rollout: &Value) -> String {
    cell(&rollout["state"]).replace('_', " ")
}

/// A weight per 10,000 in percent; nothing where there is none.
pub(in crate::commands) fn share(weight: &Value) -> String {
    let Some(parts) = weight.as_u64() else { return String::new() };
    match parts % 100 {
        0 => format!("{}%", parts / 100),
        _ => format!("{}%", parts as f64 / 100.0),
    }
}

/// A digest without what all of them have.
pub(super) fn short(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.chars().take(DIGEST_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shares_are_percent_and_digests_short() {
        for (weight, text) in [(json!(10_000), "100%"), (json!(50), "0.5%"), (json!(0), "0%")] {
            assert_eq!(share(&weight), text);
        }
        assert_eq!(share(&Value::Null), "");
        assert_eq!(short("sha256:0123456789abcdef"), "0123456789ab");
    }

    #[test]
    fn the_end_of_a_rollout_is_a_sentence_with_its_reason() {
        let rollout = json!({ "component": "catalog", "revision": 8, "state": "rolled_back",
            "reason": "3 traps" });
        assert_eq!(sentence(&rollout), "revision 8 of catalog was rolled back: 3 traps");
    }
}
