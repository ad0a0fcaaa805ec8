//! What `deploy/` hands to the programs of others: rules, dashboards, units, images, charts. Each
//! name in them is compared with what the host really has; where the program that reads the file is
//! on this machine, it judges the file as well.

mod chart;
mod files;
mod monitoring;
mod pages;
mod promql;

use nexus_harness::repository;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder(name: &str) -> PathBuf {
    repository().join("deploy").join(name)
}

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every document of a YAML text, with what `<<` brings in.
fn documents(text: &str, of: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    let read = |document: serde_yaml_ng::Deserializer<'_>| {
        let mut value = serde_yaml_ng::Value::deserialize(document)?;
        value.apply_merge()?;
        Ok::<_, serde_yaml_ng::Error>(
            serde_json::to_value(value).expect("YAML of words and numbers"),
        )
    };
    let all = serde_yaml_ng::Deserializer::from_str(text).map(read);
    all.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{of}: {error}"))
}

fn yaml(file: &Path) -> Value {
    let mut all = documents(&text(file), &file.display().to_string());
    assert_eq!(all.len(), 1, "{} is one document", file.display());
    all.remove(0)
}

/// Files of a folder with this ending, in order.
fn files_of(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let list = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = list.filter(|file| file.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    assert!(!files.is_empty(), "no {ending} in {}", folder.display());
    files
}

/// The words of a list.
fn words(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The program of others, if this machine has it.
fn found(program: &str) -> Option<Command> {
    let paths =
        ["/usr/bin", "/usr/sbin", "/usr/local/bin"].map(|place| Path::new(place).join(program));
    let Some(path) = paths.into_iter().find(|path| path.is_file()) else {
        eprintln!("{program} is not on this machine: its own judgement is left out");
        return None;
    };
    Some(Command::new(path))
}

fn claim(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    crate::tools::claim_success(&output, &format!("{command:?}"));
}

/// The variables that the host reads: those of its options, and those that its help names.
fn host_variables() -> BTreeSet<String> {
    use clap::CommandFactory as _;
    let mut all = BTreeSet::new();
    let mut commands = vec![nexus::config::CommandLine::command()];
    while let Some(mut command) = commands.pop() {
        all.extend(capitals(&command.render_long_help().to_string()));
        commands.extend(command.get_subcommands().cloned());
    }
    all
}

/// The variables that workers read, and where mail goes, which only mail jobs look for.
fn worker_variables() -> BTreeSet<String> {
    let program = repository().join(".nexus/bin/nx-media");
    let help = Command::new(program).args(["run", "--help"]).output();
    let help = help.expect("nx-media is staged: run cargo xtask build");
    let mut all = capitals(&String::from_utf8_lossy(&help.stdout));
    all.extend(["NEXUS_MAIL", "NEXUS_SMTP_URL"].map(str::to_owned));
    all
}

/// Words such as `NEXUS_LISTEN`.
fn capitals(text: &str) -> BTreeSet<String> {
    let inside = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c| !inside(c)).filter(|word| word.contains('_'));
    words.map(str::to_owned).collect()
}

fn claim_known<'a>(names: impl IntoIterator<Item = &'a str>, known: &BTreeSet<String>, of: &str) {
    for name in names {
        assert!(known.contains(name), "{of}: nothing reads {name}");
    }
}
