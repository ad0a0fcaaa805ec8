//! The lease queue under load, on a PostgreSQL of its own that writes as in earnest: what it takes
//! a second, what it still takes beside an old open transaction, and how soon it hands out. Knows
//! the aims; `queue-load` of `tests/crash` takes the samples.
//!
//! `plain_…` is the queue with consumers that do nothing; `null_guest_…` adds the host and a guest
//! that does nothing; `journal_…` a guest that commits a row of its own for each message. `filed`
//! and `ended` are from the publishing transaction's start to the guest's row and to the written
//! end.

use super::Bench;
use super::figure::{Aim, Figure, Samples};
use crate::shell;
use crate::stage::{self, Wanted};
use crate::workspace::Workspace;
use anyhow::Result;
use std::process::Command;

/// Length of each measurement. Short of the minute after which the upkeep of a day's partitions and
/// a checkpoint come in, long enough for the dead rows of an old transaction to pile up.
const SECONDS: u32 = 15;

/// One round of all measurements takes two minutes, most of it steady load: more of them would say
/// little more.
const ROUNDS_MAX: u32 = 3;

const AIMS: &[Aim] = &[
    Aim::at_least("plain_throughput", "/s", 3_000.0),
    Aim::watch("plain_beside_old_tx", "/s"),
    Aim::at_least("plain_kept_beside_old_tx", "%", 80.0),
    Aim::watch("plain_pickup_p50", "ms"),
    Aim::at_most("plain_pickup_p99", "ms", 20.0),
    Aim::at_least("null_guest_throughput", "/s", 3_000.0),
    Aim::at_least("journal_throughput", "/s", 3_000.0),
    Aim::watch("journal_beside_old_tx", "/s"),
    Aim::at_least("journal_kept_beside_old_tx", "%", 80.0),
    Aim::watch("journal_filed_p50", "ms"),
    Aim::at_most("journal_filed_p99", "ms", 20.0),
    Aim::watch("journal_ended_p50", "ms"),
    Aim::watch("journal_ended_p99", "ms"),
];

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
    let mut samples = Samples::default();
    for _ in 0..bench.runs.clamp(1, ROUNDS_MAX) {
        let mut command = Command::new(&load);
        command.args(["--seconds", &SECONDS.to_string()]);
        samples.take(command.arg("--program").arg(stage::program(ws)))?;
    }
    Ok(samples.figures("queue", AIMS, bench))
}
