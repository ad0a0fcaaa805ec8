//! `nexus deploy`: an artifact's way to the host, what would change, and the order.

use super::{Host, list};
use crate::commands::Failure;
use crate::commands::host_api::REFUSED;
use crate::commands::table::{self, cell, list_of, say, say_json};
use crate::config::{DeployOptions, Strategy, StrategyOptions};
use anyhow::{Context as _, anyhow};
use serde_json::{Map, Value, json};
use std::path::Path;

const ARCHIVE: &str = "application/vnd.oci.image.layout.v1.tar";
const WASM: &str = "application/wasm";

/// What stands first in a WebAssembly file.
const WASM_MAGIC: &[u8] = b"\0asm";

pub(super) fn run(host: &Host, options: &DeployOptions) -> Result<(), Failure> {
    check(&options.strategy)?;
    let artifact = artifact(host, options)?;
    let component = component(&artifact, options)?;
    let order = json!({
        "artifact": artifact["digest"],
        "strategy": strategy(&options.strategy),
        "note": options.note,
        "dry_run": options.dry_run,
        "override_freeze": options.override_freeze,
        "by": host.by,
    });
    let answer = host.api.post(&["components", &component, "deploy"], &order)?;
    if !options.dry_run {
        return host.ordered(&answer, options.wait);
    }
    match host.json {
        true => say_json(&answer)?,
        false => say(&plan(&component, &artifact, &answer))?,
    }
    match list_of(&answer["objections"]).next() {
        None => Ok(()),
        Some(first) => Err(Failure::Told {
            words: format!("the host would refuse it: {}", cell(first)),
            code: REFUSED,
        }),
    }
}

/// The artifact as the host has it, brought there first where it is a file or in a registry.
fn artifact(host: &Host, options: &DeployOptions) -> Result<Value, Failure> {
    let what = &options.what;
    if what.starts_with("sha256:") {
        return host.api.get(&["artifacts", what], &[]);
    }
    let file = Path::new(what);
    if !file.is_file() {
        let ends = |end: &str| what.ends_with(end);
        if !what.contains('/') || ends(".tar") || ends(".wasm") {
            return Err(Failure::Setting(anyhow!(
                "{what} is no file here, no digest (sha256:…) and no name in a registry \
                 (registry.example/repository:tag)"
            )));
        }
        let order = json!({ "reference": what, "insecure": options.insecure });
        return host.api.post(&["artifacts", "pull"], &order);
    }
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let (media_type, component) = match bytes.starts_with(WASM_MAGIC) {
        true => (WASM, Some(named(file, options))),
        false => (ARCHIVE, options.component.clone()),
    };
    let stored =
        host.api.upload(&["artifacts"], &[("component", component)], media_type, bytes.into());
    let stored = stored?;
    let digest = list::short(&cell(&stored["digest"]));
    match stored["signature"]["state"].as_str() {
        _ if host.json => {}
        Some("unsigned") => eprintln!("{digest}: nobody has signed it"),
        Some(state @ ("untrusted" | "invalid")) => eprintln!("{digest}: its signature is {state}"),
        _ => {}
    }
    Ok(stored)
}

/// A bare WebAssembly file names no component: the option does, or its own name.
fn named(file: &Path, options: &DeployOptions) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().replace('_', "-");
    options.component.clone().unwrap_or(stem)
}

fn component(artifact: &Value, options: &DeployOptions) -> Result<String, Failure> {
    let named = options.component.clone();
    named.or_else(|| artifact["component"].as_str().map(str::to_owned)).ok_or_else(|| {
        Failure::Setting(anyhow!("the artifact names no component: say which with --component"))
    })
}

fn check(options: &StrategyOptions) -> Result<(), Failure> {
    let grows = options.steps.windows(2).all(|pair| pair[0] < pair[1]);
    match grows && !options.steps.is_empty() {
        true => Ok(()),
        false => Err(Failure::Setting(anyhow!("--steps: each step is larger than the one before"))),
    }
}

/// The strategy as the API takes it. A canary ends with all calls, whether said or not.
fn strategy(options: &StrategyOptions) -> Value {
    match options.strategy {
        Strategy::Instant => "instant".into(),
        Strategy::Stage => "stage".into(),
        Strategy::Canary => {
            let mut steps = options.steps.clone();
            if steps.last().is_some_and(|last| *last < 10_000) {
                steps.push(10_000);
            }
            let mut gates = Map::new();
            let mut gate = |name: &str, value: Option<Value>| {
                gates.extend(value.map(|value| (name.to_owned(), value)));
            };
            // A share, where people write percent.
            gate("error_rate_delta", options.error_delta.map(|percent| json!(percent / 100.0)));
            gate("latency_ratio", options.latency_ratio.map(Value::from));
            gate("traps_max", options.traps_max.map(Value::from));
            gate("samples_min", options.samples_min.map(Value::from));
            json!({ "steps": steps, "step_seconds": options.step_seconds, "gates": gates })
        }
    }
}

/// What would change, a line each, and in which steps.
fn plan(component: &str, artifact: &Value, answer: &Value) -> String {
    let version = cell(&artifact["version"]);
    let digest = list::short(&cell(&artifact["digest"]));
    let mut text = format!("{component} {version} ({digest})\n") + &differences(answer);
    if text.lines().count() == 1 {
        text += "  nothing but its code changes\n";
    }
    let steps: Vec<String> = list_of(&answer["plan"]["steps"]).map(list::share).collect();
    text + &match steps.as_slice() {
        [] => "it would be staged, without a call\n".to_owned(),
        [_] => "it would have all calls at once\n".to_owned(),
        steps => {
            let seconds = cell(&answer["plan"]["step_seconds"]);
            format!("steps: {}, {seconds} s each\n", steps.join(" "))
        }
    }
}

/// What a rollback would change.
pub(super) fn plan_back(component: &str, answer: &Value) -> String {
    let number = cell(&answer["revision"]);
    let text = format!("revision {number} of {component} would have all calls\n");
    text + &differences(answer)
}

/// A line for each thing that differs from what serves.
fn differences(answer: &Value) -> String {
    let mut text = String::new();
    let diff = &answer["diff"];
    for line in diff["text"].as_str().unwrap_or_default().lines() {
        text += &format!("  {}\n", table::line(line));
    }
    let configuration = [&diff["configuration"]["from"], &diff["configuration"]["to"]];
    if configuration[0] != configuration[1] {
        let [from, to] = configuration.map(|version| match version.is_null() {
            true => "none".into(),
            false => cell(version),
        });
        text += &format!("  ~ configuration {from} → {to}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, CommandLine};

    fn options(arguments: &[&str]) -> DeployOptions {
        let line = ["nexus", "deploy", "x.wasm"].iter().chain(arguments);
        match CommandLine::read_from(line).unwrap().command {
            Command::Deploy(options) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_canary_ends_with_all_calls_and_gates_are_the_hosts_unless_said() {
        let canary = strategy(&options(&["--steps", "0.5,20"]).strategy);
        assert_eq!(canary, json!({ "steps": [50, 2000, 10_000], "step_seconds": 60, "gates": {} }));
        let canary = strategy(&options(&["--error-delta", "1", "--traps-max", "3"]).strategy);
        assert_eq!(canary["steps"], json!([100, 1000, 5000, 10_000]));
        assert_eq!(canary["gates"], json!({ "error_rate_delta": 0.01, "traps_max": 3 }));
        assert_eq!(strategy(&options(&["--strategy", "stage"]).strategy), "stage");
    }

    #[test]
    fn steps_grow() {
        assert!(check(&options(&["--steps", "1,10"]).strategy).is_ok());
        for wrong in ["10,10", "50,10"] {
            assert!(check(&options(&["--steps", wrong]).strategy).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bare_file_is_a_revision_of_the_component_it_is_named_after() {
        assert_eq!(named(Path::new("out/price_list.wasm"), &options(&[])), "price-list");
        let options = options(&["--component", "cart"]);
        assert_eq!(named(Path::new("out/price_list.wasm"), &options), "cart");
    }

    #[test]
    fn a_plan_is_lines_of_what_changes_and_its_steps() {
        let artifact = json!({ "version": "1.2.0", "digest": "sha256:0123456789abcdef" });
        let answer = json!({
            "diff": { "text": "+ route /x/...\n", "configuration": { "from": null, "to": 4 } },
            "plan": { "steps": [100, 10_000], "step_seconds": 60 },
        });
        let text = "catalog 1.2.0 (0123456789ab)\n  + route /x/...\n  ~ configuration none → 4\n\
                    steps: 1% 100%, 60 s each\n";
        assert_eq!(plan("catalog", &artifact, &answer), text);
        assert!(plan("catalog", &artifact, &json!({})).contains("nothing but its code"));
    }
}
