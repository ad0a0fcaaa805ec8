//! Building: guests to wasm, the host to a program. Knows cargo's answers; refuses to know where
//! the results are wanted (`stage`).

use crate::progress;
use crate::shell;
use crate::toolchain::{self, GuestToolchain};
use crate::workspace::{Member, Workspace};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Builds `guests` with one call of cargo; returns each crate's wasm file.
pub fn build(ws: &Workspace, guests: &[&Member]) -> Result<BTreeMap<String, PathBuf>> {
    if guests.is_empty() {
        return Ok(BTreeMap::new());
    }
    let toolchain = toolchain::find(ws)?;
    let mut cargo = toolchain.cargo_build(ws);
    cargo.args(["--profile", "component"]);
    for guest in guests {
        cargo.args(["-p", &guest.name]);
    }
    let how = match toolchain {
        GuestToolchain::Own => "",
        GuestToolchain::Debian { .. } => " with Debian's compiler",
    };
    let what = match guests {
        [guest] => format!("build the guest {}{how}", guest.name),
        _ => format!("build {} guests{how}", guests.len()),
    };
    let artifacts = progress::stage(&what, || artifacts(cargo))?;
    let mut built = BTreeMap::new();
    for guest in guests {
        let of_guest = artifacts.iter().filter(|artifact| artifact.is_of(&guest.name));
        let mut files = of_guest.flat_map(|artifact| &artifact.filenames);
        let wasm = files.find(|file| file.extension().is_some_and(|it| it == "wasm"));
        let wasm = wasm.with_context(|| format!("{} gave no wasm file", guest.name))?;
        built.insert(guest.name.clone(), wasm.clone());
    }
    Ok(built)
}

/// Builds native programs, whose crates have their names, with one call of cargo: what they share
/// is compiled once. Returns the files, in the order of the names.
pub fn build_programs(ws: &Workspace, names: &[&str], release: bool) -> Result<Vec<PathBuf>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut cargo = shell::cargo(&ws.root);
    cargo.arg("build");
    for name in names {
        cargo.args(["-p", name, "--bin", name]);
    }
    if release {
        cargo.arg("--release");
    }
    let what = format!("build {}{}", names.join(", "), if release { ", optimised" } else { "" });
    let artifacts = progress::stage(&what, || artifacts(cargo))?;
    let program = |name: &&str| {
        let mut of_name = artifacts.iter().filter(|it| it.is_of(name));
        let program = of_name.find_map(|it| it.executable.clone());
        program.with_context(|| format!("the build of {name} gave no program"))
    };
    names.iter().map(program).collect()
}

/// Runs a cargo build, showing its own progress, and collects what it made.
fn artifacts(mut cargo: Command) -> Result<Vec<Artifact>> {
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let line = shell::line(&cargo);
    let mut child =
        cargo.stdout(Stdio::piped()).spawn().with_context(|| format!("start `{line}`"))?;
    let output = child.stdout.take().context("cargo's output is piped")?;
    let mut artifacts = Vec::new();
    for message in BufReader::new(output).lines() {
        let message = message.context("read cargo's messages")?;
        // Other kinds of message, and what build scripts print, are not ours.
        if let Ok(artifact) = serde_json::from_str::<Artifact>(&message) {
            artifacts.push(artifact);
        }
    }
    let status = child.wait().with_context(|| format!("wait for `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(artifacts)
}

/// Cargo's `compiler-artifact` message (The Cargo Book, "External tools").
#[derive(Deserialize)]
struct Artifact {
    target: ArtifactTarget,
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct ArtifactTarget {
    name: String,
    kind: Vec<String>,
}

impl Artifact {
    /// Whether it is the program or the library of crate `name`; cargo writes a library's name
    /// with `_`.
    fn is_of(&self, name: &str) -> bool {
        let wanted = self.target.kind.iter().any(|kind| kind == "bin" || kind == "cdylib");
        wanted && (self.target.name == name || self.target.name == name.replace('-', "_"))
    }
}
