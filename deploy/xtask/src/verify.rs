//! `cargo xtask test` and `ci`: prepares the machine, builds, runs every test, says what ran.
//! Knows the runners; refuses to know any test by name.

use crate::doctor::{self, Purpose};
use crate::stage::{self, Wanted};
use crate::workspace::{GuestKind, Member, Workspace};
use crate::{progress, shell, tidy};
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// `cargo xtask test [filter]`.
pub fn test(ws: &Workspace, filter: Option<&str>) -> Result<()> {
    run(ws, filter, "default")
}

/// `cargo xtask ci`: the same, and the rules first, because they answer in a second.
pub fn ci(ws: &Workspace) -> Result<()> {
    progress::stage("tidy", || tidy::run(ws))?;
    run(ws, None, "ci")
}

fn run(ws: &Workspace, filter: Option<&str>, profile: &str) -> Result<()> {
    let began = Instant::now();
    doctor::ensure(ws, Purpose::All)?;
    stage::build(ws, &Wanted { probes: true, ..Wanted::default() })?;
    let nextest = doctor::nextest().is_ok();
    let mut done = vec!["guests, host".to_owned()];
    let runner = if nextest { "cargo nextest run" } else { "cargo test" };
    let mut build = tests(ws, nextest);
    build.arg("--no-run");
    progress::stage("build the tests", || shell::run(&mut build))?;
    let mut tests = tests(ws, nextest);
    if nextest {
        tests.args(["--profile", profile]);
    }
    tests.args(filter);
    progress::stage(runner, || shell::run(&mut tests))?;
    done.push(format!("tests by {runner}{}", filter.map_or("".into(), |it| format!(" {it}"))));
    let documented = crates_with_doctests(ws);
    if filter.is_none() && !documented.is_empty() {
        let names: Vec<_> = documented.iter().map(|member| member.name.as_str()).collect();
        let names = names.join(", ");
        progress::stage(&format!("doctests of {names}"), || doctests(ws, &documented))?;
        done.push(format!("doctests of {names}"));
    }
    let took = progress::spoken(began.elapsed());
    eprintln!("\ngreen after {took}: {}", done.join("; "));
    Ok(())
}

/// Every crate but the probes: those have no tests of their own, and their exports link only
/// as wasm.
fn tests(ws: &Workspace, nextest: bool) -> Command {
    let mut cargo = shell::cargo(&ws.root);
    if nextest {
        cargo.args(["nextest", "run"]);
    } else {
        // One failure must not hide the others; without it cargo stops at the first binary.
        cargo.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
    }
    cargo.arg("--workspace");
    for probe in ws.members.iter().filter(|it| it.guest() == Some(GuestKind::Probe)) {
        cargo.args(["--exclude", &probe.name]);
    }
    cargo
}

fn doctests(ws: &Workspace, members: &[&Member]) -> Result<()> {
    let mut cargo = shell::cargo(&ws.root);
    cargo.args(["test", "--doc"]);
    for member in members {
        cargo.args(["-p", &member.name]);
    }
    shell::run(&mut cargo)
}

/// Only these: compiling every crate's documentation to find no example takes minutes.
fn crates_with_doctests(ws: &Workspace) -> Vec<&Member> {
    let testable = |kind: &String| kind == "lib" || kind == "rlib" || kind == "proc-macro";
    let members = ws.members.iter().filter(|member| member.kinds.iter().any(testable));
    members.filter(|member| has_example(&ws.root.join(&member.folder).join("src"))).collect()
}

fn has_example(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            return has_example(&path);
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        path.extension().is_some_and(|it| it == "rs") && opens_a_tested_block(&text)
    })
}

/// Whether a doc comment opens a code block that rustdoc would run.
fn opens_a_tested_block(text: &str) -> bool {
    let doc = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).map(|it| it.trim().to_owned())
    };
    let mut inside = false;
    for fence in
        text.lines().filter_map(doc).filter_map(|it| Some(it.strip_prefix("```")?.to_owned()))
    {
        let runs = fence.is_empty()
            || ["rust", "no_run", "should_panic", "compile_fail", "edition"]
                .iter()
                .any(|word| fence.starts_with(word));
        if !inside && runs {
            return true;
        }
        inside = !inside;
    }
    false
}

#[test]
fn only_blocks_that_rustdoc_runs_count_as_doctests() {
    assert!(opens_a_tested_block("/// ```\n/// assert!(true);\n/// ```\n"));
    assert!(opens_a_tested_block("//! ```no_run\n//! ```\n"));
    assert!(!opens_a_tested_block("//! ```text\n//! a tree\n//! ```\nfn f() {}\n"));
    assert!(!opens_a_tested_block("let fence = \"```\";\n"));
}
