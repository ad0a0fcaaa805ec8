//! Suites in which our host stands beside others: `http`, `isolation`, `cold`, `db`. Installs the
//! others into `target/peers`, builds the program that measures (`tests/peers`) and the guests, and
//! knows what is aimed at.

use super::figure::{Aim, Figure, Samples};
use super::{Bench, require};
use crate::stage::{self, Wanted};
use crate::workspace::Workspace;
use crate::{progress, shell};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// As the engine in our host.
const WASMTIME: &str = "48.0.8";

/// What `wasmtime serve` needs to serve fast; nothing that would slow it down.
const WASMTIME_FEATURES: &str = "run,serve,component-model,component-model-async,cranelift,\
                                 parallel-compilation,pooling-allocator,clap/default";

/// The peer's own build, on two cores.
const INSTALL_MAX: Duration = Duration::from_secs(3_600);

/// At 64 connections the aims are those of many clients at once, at 16 of a few.
const HTTP: &[Aim] = &[
    Aim::at_least("hello_64_ours_over_serve", "x", 2.0),
    Aim::at_least("echo_64_ours_over_serve", "x", 2.0),
    Aim::at_most("hello_64_ours_over_serve_cpu", "x", 0.5),
    Aim::at_most("echo_64_ours_over_serve_cpu", "x", 0.5),
    Aim::at_most("hello_64_ours_over_serve_p99", "x", 1.0),
    Aim::at_most("echo_64_ours_over_serve_p99", "x", 1.0),
    Aim::at_least("hello_64_ours_over_twin", "x", 0.6),
    Aim::at_least("echo_64_ours_over_twin", "x", 0.6),
    Aim::at_least("hello_16_ours_over_serve", "x", 1.9),
    Aim::at_least("echo_16_ours_over_serve", "x", 1.9),
    Aim::at_least("hello_16_ours_over_twin", "x", 0.5),
    Aim::at_least("echo_16_ours_over_twin", "x", 0.5),
    Aim::watch("hello_64_unlimited_over_serve", "x"),
    Aim::watch("echo_64_unlimited_over_serve", "x"),
    Aim::at_least("hello_64_guarded_over_serve", "x", 1.5),
    Aim::at_least("echo_64_guarded_over_serve", "x", 1.5),
];

const ISOLATION: &[Aim] = &[
    Aim::at_least("hello_64_ours_over_serve", "x", 2.5),
    Aim::at_least("echo_64_ours_over_serve", "x", 2.5),
    Aim::at_least("hello_64_plain_over_serve", "x", 2.5),
    Aim::at_least("echo_64_plain_over_serve", "x", 2.5),
];

const COLD: &[Aim] = &[
    Aim::at_most("ready", "ms", 500.0),
    Aim::at_most("first_request_p99", "ms", 5.0),
    Aim::at_most("resident_warm", "MiB", 150.0),
];

const DB: &[Aim] = &[
    Aim::at_least("read_16_ours_over_sqlx", "x", 0.7),
    Aim::at_least("read_64_ours_over_sqlx", "x", 0.7),
    Aim::at_least("read_16_ours_over_express", "x", 2.5),
    Aim::at_least("read_64_ours_over_express", "x", 2.5),
    Aim::at_least("commit_16_ours_over_sqlx", "x", 0.7),
    Aim::at_least("commit_64_ours_over_sqlx", "x", 0.7),
];

/// While a component is deployed every ten seconds.
const SOAK: &[Aim] = &[
    Aim::watch("rate", "/s"),
    Aim::at_most("failed", "", 0.0),
    Aim::watch("deploys", ""),
    Aim::at_most("p99_drift", "x", 1.2),
    Aim::at_most("resident_growth", "MiB/min", 1.0),
];

pub(super) fn http(ws: &Workspace, bench: &Bench) -> Result<Vec<Figure>> {
    measured(ws, bench, "http", HTTP)
}

pub(super) fn isolation(ws: &Workspace, bench: &Bench) -> Result<Vec<Figure>> {
    measured(ws, bench, "isolation", ISOLATION)
}

pub(super) fn cold(ws: &Workspace, bench: &Bench) -> Result<Vec<Figure>> {
    measured(ws, bench, "cold", COLD)
}

pub(super) fn db(ws: &Workspace, bench: &Bench) -> Result<Vec<Figure>> {
    measured(ws, bench, "db", DB)
}

/// Two minutes for each run.
pub(super) fn soak(ws: &Workspace, bench: &Bench) -> Result<Vec<Figure>> {
    measured(ws, bench, "soak", SOAK)
}

fn measured(
    ws: &Workspace,
    bench: &Bench,
    suite: &'static str,
    aims: &[Aim],
) -> Result<Vec<Figure>> {
    require(ws, &[("wrk", "wrk"), ("h2load", "nghttp2-client")])?;
    let tools = ws.target.join("peers");
    install(ws, &tools);
    for probe in ["probe-measured", "probe-plain"] {
        stage::build(ws, &Wanted { name: Some(probe.into()), ..Wanted::default() })?;
    }
    let program = build(ws, bench)?;
    let mut peers = Command::new(program);
    peers.current_dir(&ws.root).arg(suite).arg("--tools").arg(&tools);
    peers.args(["--rounds", &bench.runs.max(1).to_string()]);
    let mut samples = Samples::default();
    samples.take(&mut peers)?;
    Ok(samples.all(suite, aims, bench))
}

/// Both of the crate's programs, which lie beside each other.
fn build(ws: &Workspace, bench: &Bench) -> Result<PathBuf> {
    let mut cargo = shell::cargo(&ws.root);
    cargo.args(["build", "-q", "-p", "peers", "--bins", "--features", "sqlx"]);
    let profile = if bench.development { "debug" } else { "release" };
    if !bench.development {
        cargo.arg("--release");
    }
    progress::stage("build the peers", || shell::run(&mut cargo))?;
    Ok(ws.target.join(profile).join("peers"))
}

/// Puts what is missing in its place; whoever cannot be had is left out, with a word.
fn install(ws: &Workspace, tools: &Path) {
    for (what, installed) in [("wasmtime serve", wasmtime(tools)), ("Express", express(ws, tools))]
    {
        if let Err(error) = installed {
            eprintln!("    {what} cannot be compared with: {error:#}");
        }
    }
}

fn wasmtime(tools: &Path) -> Result<()> {
    let root = tools.join("wasmtime");
    let program = root.join("bin/wasmtime");
    let there = shell::first_line(&program, &["--version"]);
    if there.is_some_and(|line| line.split(' ').any(|word| word == WASMTIME)) {
        return Ok(());
    }
    fs::create_dir_all(&root).with_context(|| format!("create {}", root.display()))?;
    // Outside the repository's workspace, whose profiles are ours.
    let mut cargo = shell::cargo(&root);
    cargo.args(["install", "wasmtime-cli", "--version", WASMTIME, "--locked", "--force"]);
    cargo.args(["--no-default-features", "--features", WASMTIME_FEATURES, "--root"]).arg(&root);
    cargo.arg("--target-dir").arg(tools.join("build"));
    let log = tools.join("wasmtime.log");
    progress::stage(&format!("install wasmtime {WASMTIME}"), || {
        shell::run_into(&mut cargo, &log, INSTALL_MAX)
    })
}

fn express(ws: &Workspace, tools: &Path) -> Result<()> {
    let (from, to) = (ws.root.join("tests/peers/express"), tools.join("express"));
    fs::create_dir_all(&to).with_context(|| format!("create {}", to.display()))?;
    let mut changed = !to.join("node_modules/express").is_dir();
    for file in ["package.json", "package-lock.json", "server.mjs"] {
        let content = fs::read(from.join(file)).with_context(|| format!("read {file}"))?;
        let new = crate::workspace::write_if_changed(&to.join(file), &content)?;
        changed |= new && file != "server.mjs";
    }
    if !changed {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&to);
    progress::stage("install Express", || {
        shell::run_into(&mut npm, &tools.join("npm.log"), INSTALL_MAX)
    })
}
