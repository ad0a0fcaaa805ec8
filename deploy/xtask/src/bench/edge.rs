//! What the front door costs a request, in microseconds of CPU: nobody, a token, an API key, a
//! session, a rate limit. Knows the aims; the benchmark `edge` of `triggers/http` takes samples.
//!
//! `…_over_no_credential` is what proving adds, as a share of a request without any credential.

use super::{Bench, Figure};
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Metric, and what its median should not be above.
const AIMS: [(&str, Option<f64>); 8] = [
    ("no_credential", Some(20.0)),
    ("token", Some(25.0)),
    ("token_carrying", Some(25.0)),
    ("api_key", Some(25.0)),
    ("session", Some(25.0)),
    ("rate_limit", Some(25.0)),
    ("token_and_rate_limit", Some(30.0)),
    ("token_seen_first", None),
];

/// What the others are compared with.
const NOBODY: &str = "no_credential";

const RATIOS: [(&str, &str); 4] = [
    ("token", "token_over_no_credential"),
    ("api_key", "api_key_over_no_credential"),
    ("session", "session_over_no_credential"),
    ("rate_limit", "rate_limit_over_no_credential"),
];

/// One line of the benchmark.
#[derive(Deserialize)]
struct Sample {
    metric: String,
    value: f64,
}

pub(super) fn run(ws: &Workspace, bench: &Bench) -> Result<Vec<Figure>> {
    let mut cargo = shell::cargo(&ws.root);
    cargo.args(["bench", "-q", "-p", "trigger-http", "--bench", "edge"]);
    if bench.development {
        cargo.args(["--profile", "dev"]);
    }
    cargo.args(["--", "--rounds", &bench.runs.max(1).to_string()]);
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in shell::capture(&mut cargo)?.lines() {
        let sample: Sample = serde_json::from_str(line).context("read a sample")?;
        samples.entry(sample.metric).or_default().push(sample.value);
    }
    let nobody = samples.get(NOBODY).cloned().unwrap_or_default();
    // Of one round: what slowed one of them down has slowed both down.
    let ratio = |(metric, name): (&'static str, &'static str)| {
        let pairs = samples.get(metric)?.iter().zip(&nobody);
        let shares = pairs.map(|(value, nobody)| 100.0 * (value / nobody - 1.0)).collect();
        Figure::of(("edge", name, "%"), shares, None, bench)
    };
    let ratios: Vec<_> = RATIOS.into_iter().filter_map(ratio).collect();
    let figure = |(metric, at_most)| {
        Figure::of(("edge", metric, "us"), samples.remove(metric)?, at_most, bench)
    };
    Ok(AIMS.into_iter().filter_map(figure).chain(ratios).collect())
}
