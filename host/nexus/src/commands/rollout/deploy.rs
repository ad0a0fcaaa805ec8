//! `nexus deploy`: an artifact's way to the host, what would change, and the order.

use super::{Host, list};
use crate::commands::Failure;
use crate::commands::table::{cell, list_of, say, say_json};
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
        true => say_json(&answer),
        false => say(&plan(&component, &artifact, &answer)),
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
    if !host.json && stored["signature"]["state"] != "valid" {
        let state = cell(&stored["signature"]["state"]);
        eprintln!("{}: its signature is {state}", list::short(&cell(&stored["digest"])));
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

/// What would change, a line each, marked `+`, `-` or `~`.
fn plan(component: &str, artifact: &Value, answer: &Value) -> String {
    let version = cell(&artifact["version"]);
    let digest = list::short(&cell(&artifact["digest"]));
    let mut text = format!("{component} {version} ({digest})\n");
    for (what, changes) in answer["diff"].as_object().into_iter().flatten() {
        let lines: Vec<String> = match changes {
            Value::Array(_) => list_of(changes).map(change).collect(),
            Value::Null => Vec::new(),
            other => vec![change(other)],
        };
        for line in lines.iter().filter(|line| !line.is_empty()) {
            text += &format!("{what}: {line}\n");
        }
    }
    for step in list_of(&answer["plan"]) {
        text += &format!("then: {}\n", change(step));
    }
    if !text.contains(": ") {
        text += "nothing that a caller or an operator would see\n";
    }
    text
}

/// A change in words, whatever form the host has given it.
fn change(value: &Value) -> String {
    let Some(fields) = value.as_object() else { return cell(value) };
    let word = |name: &str| fields.get(name).map(cell).unwrap_or_default();
    let sign = match word("change").as_str() {
        "added" => "+".to_owned(),
        "removed" => "-".to_owned(),
        "changed" => "~".to_owned(),
        _ => word("sign"),
    };
    let known = ["line", "what", "words", "name", "from", "to"];
    let words = known.map(word).into_iter().filter(|word| !word.is_empty());
    let words = words.collect::<Vec<_>>().join(" ");
    match words.is_empty() {
        true => value.to_string(),
        false => format!("{sign} {words}").trim().to_owned(),
    }
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
    fn a_plan_is_lines_of_what_changes() {
        let artifact = json!({ "version": "1.2.0", "digest": "sha256:0123456789abcdef" });
        let answer = json!({ "diff": { "routes": [{ "change": "added", "what": "/x/..." }],
            "grants": ["- blob: covers"], "limits": [] } });
        let text = plan("catalog", &artifact, &answer);
        assert_eq!(
            text,
            "catalog 1.2.0 (0123456789ab)\ngrants: - blob: covers\nroutes: + /x/...\n"
        );
        assert!(plan("catalog", &artifact, &json!({})).contains("nothing"));
    }
}
