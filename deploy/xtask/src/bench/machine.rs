//! What a figure depends on besides the code: the machine, and the versions of who is compared.

use crate::shell;
use crate::workspace::Workspace;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;

/// Facts of the machine that a run was made on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub cores: usize,
    pub cpu: String,
    pub memory_mib: u64,
    pub kernel: String,
    /// What each program says of its version.
    pub programs: BTreeMap<String, String>,
}

/// Programs that figures are about or come from, and how they say their versions.
const PROGRAMS: [(&str, &str); 6] = [
    ("rustc", "--version"),
    ("node", "--version"),
    ("ffmpeg", "-version"),
    ("postgres", "--version"),
    ("redis-server", "--version"),
    ("h2load", "--version"),
];

impl Machine {
    /// Looks.
    pub fn look(ws: &Workspace) -> Self {
        let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let value = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map_or("", |line| line.trim_start_matches([' ', '\t', ':'])).trim().to_owned()
        };
        let memory = value(&text("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: value(&text("/proc/cpuinfo"), "model name"),
            memory_mib: kib / 1_024,
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            programs: programs(ws),
        }
    }
}

fn programs(ws: &Workspace) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, argument) in PROGRAMS {
        if let Some(line) = shell::first_line(name, &[argument]) {
            found.insert(name.to_owned(), line);
        }
    }
    let wasmtime = ws.target.join("peers/wasmtime/bin/wasmtime");
    if let Some(line) = shell::first_line(wasmtime, &["--version"]) {
        found.insert("wasmtime".to_owned(), line);
    }
    let express = ws.target.join("peers/express/node_modules/express/package.json");
    let package = fs::read_to_string(express).ok();
    let package = package.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    if let Some(version) = package.as_ref().and_then(|package| package["version"].as_str()) {
        found.insert("express".to_owned(), version.to_owned());
    }
    found
}
