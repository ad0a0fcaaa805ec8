//! The lease queue under load, on a PostgreSQL of its own that writes as in earnest: what it takes
//! a second, what it still takes beside an old open transaction, and how soon it hands out. Knows
//! the aims; `queue-load` of `tests/crash` takes the samples.
//!
//! `plain_…` is the queue with consumers that do nothing; `null_guest_…` adds the host and a guest
//! that does nothing; `journal_…` a guest that commits a row of its own for each message. `filed`
//! and `ended` are from the publishing transaction's start to the guest's row and to the written
//! end.

use super::{Bench, Figure};
use crate::shell;
use crate::stage::{self, Wanted};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::process::Command;

/// Length of each measurement. Short of the minute after which the upkeep of a day's partitions and
/// a checkpoint come in, long enough for the dead rows of an old transaction to pile up.
const SECONDS: u32 = 15;

/// One round of all measurements takes two minutes, most of it steady load: more of them would say
/// little more.
const ROUNDS_MAX: u32 = 3;

/// Metric, unit, and what its median should not be above or below.
const AIMS: [(&str, &str, Option<f64>, Option<f64>); 13] = [
    ("plain_throughput", "/s", None, Some(3_000.0)),
    ("plain_beside_old_tx", "/s", None, None),
    ("plain_kept_beside_old_tx", "%", None, Some(80.0)),
    ("plain_pickup_p50", "ms", None, None),
    ("plain_pickup_p99", "ms", Some(20.0), None),
    ("null_guest_throughput", "/s", None, Some(3_000.0)),
    ("journal_throughput", "/s", None, Some(3_000.0)),
    ("journal_beside_old_tx", "/s", None, None),
    ("journal_kept_beside_old_tx", "%", None, Some(80.0)),
    ("journal_filed_p50", "ms", None, None),
    ("journal_filed_p99", "ms", Some(20.0), None),
    ("journal_ended_p50", "ms", None, None),
    ("journal_ended_p99", "ms", None, None),
];

/// One line of `queue-load`.
#[derive(Deserialize)]
struct Sample {
    metric: String,
    value: f64,
}

pub(super) fn run(ws: &Workspace, bench: &Bench) -> Result<Vec<Figure>> {
    stage::build(ws, &Wanted { name: Some("journal".into()), ..Wanted::default() })?;
    let mut cargo = shell::cargo(&ws.root);
    cargo.args(["build", "-p", "crash", "--bin", "queue-load"]);
    if !bench.development {
        cargo.arg("--release");
    }
    shell::run(&mut cargo)?;
    let profile = if bench.development { "debug" } else { "release" };
    let load = ws.target.join(profile).join("queue-load");
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..bench.runs.clamp(1, ROUNDS_MAX) {
        let mut command = Command::new(&load);
        command.args(["--seconds", &SECONDS.to_string()]);
        command.arg("--program").arg(stage::program(ws));
        for line in shell::capture(&mut command)?.lines() {
            let sample: Sample = serde_json::from_str(line).context("read a sample")?;
            samples.entry(sample.metric).or_default().push(sample.value);
        }
    }
    let figure = |(metric, unit, at_most, at_least)| {
        let taken = samples.remove(metric)?;
        let figure = Figure::of(("queue", metric, unit), taken, at_most, bench)?;
        Some(Figure { at_least, ..figure })
    };
    Ok(AIMS.into_iter().filter_map(figure).collect())
}
