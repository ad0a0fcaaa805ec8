//! What the front door costs a request, in microseconds of CPU: nobody, a token, an API key, a
//! session, a rate limit. Knows the aims; the benchmark `edge` of `triggers/http` takes samples.
//!
//! `…_over_no_credential` is what proving adds, as a share of a request without any credential.

use super::Bench;
use super::figure::{Aim, Figure, Samples};
use crate::workspace::Workspace;
use anyhow::Result;

const AIMS: &[Aim] = &[
    Aim::at_most("no_credential", "us", 20.0),
    Aim::at_most("token", "us", 25.0),
    Aim::at_most("token_carrying", "us", 25.0),
    Aim::at_most("api_key", "us", 25.0),
    Aim::at_most("session", "us", 25.0),
    Aim::at_most("rate_limit", "us", 25.0),
    Aim::at_most("token_and_rate_limit", "us", 30.0),
    Aim::watch("token_seen_first", "us"),
];

/// What the others are compared with.
const NOBODY: &str = "no_credential";

const RATIOS: [(&str, &str); 4] = [
    ("token", "token_over_no_credential"),
    ("api_key", "api_key_over_no_credential"),
    ("session", "session_over_no_credential"),
    ("rate_limit", "rate_limit_over_no_credential"),
];

pub(super) fn run(ws: &Workspace, bench: &Bench) -> Result<Vec<Figure>> {
    let mut samples = Samples::default();
    samples.take_from(ws, bench, "trigger-http", "edge")?;
    let nobody = samples.of(NOBODY);
    // Of one round: what slowed one of them down has slowed both down.
    let ratio = |(metric, name): (&'static str, &'static str)| {
        let pairs = samples.of(metric).iter().zip(nobody);
        let shares = pairs.map(|(value, nobody)| 100.0 * (value / nobody - 1.0)).collect();
        Figure::of(("edge", name, "%"), shares, None, bench)
    };
    let ratios: Vec<_> = RATIOS.into_iter().filter_map(ratio).collect();
    Ok(samples.figures("edge", AIMS, bench).into_iter().chain(ratios).collect())
}
