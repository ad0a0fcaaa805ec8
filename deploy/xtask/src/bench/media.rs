//! What a ladder costs: CPU seconds for each second of film, all that the worker does included,
//! beside one plain call of ffmpeg that makes the same sizes. Knows the aim; the benchmark `ladder`
//! of `media-native/transcode` takes samples.

use super::{Bench, Figure};
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Metric, its unit, and what its median should not be above.
const AIMS: [(&str, &str, Option<f64>); 4] = [
    ("ladder_cpu_per_second", "s", None),
    ("ladder_children_per_second", "s", None),
    ("plain_cpu_per_second", "s", None),
    ("ladder_over_plain", "x", Some(1.05)),
];

/// One line of the benchmark.
#[derive(Deserialize)]
struct Sample {
    metric: String,
    value: f64,
}

pub(super) fn run(ws: &Workspace, bench: &Bench) -> Result<Vec<Figure>> {
    let mut cargo = shell::cargo(&ws.root);
    cargo.args(["bench", "-q", "-p", "nexus-media-transcode", "--bench", "ladder"]);
    if bench.development {
        cargo.args(["--profile", "dev"]);
    }
    cargo.args(["--", "--rounds", &bench.runs.max(1).to_string()]);
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in shell::capture(&mut cargo)?.lines() {
        let sample: Sample = serde_json::from_str(line).context("read a sample")?;
        samples.entry(sample.metric).or_default().push(sample.value);
    }
    let figure = |(metric, unit, at_most)| {
        Figure::of(("media", metric, unit), samples.remove(metric)?, at_most, bench)
    };
    Ok(AIMS.into_iter().filter_map(figure).collect())
}
