//! `cargo xtask bench`: the frame around measurements. Knows how figures are told and compared
//! with their bounds; each suite knows how to take its own.

use crate::doctor::{self, Purpose};
use crate::stage::{self, Wanted};
use crate::workspace::Workspace;
use crate::{progress, shell};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::process::Command;

mod edge;
mod media;
mod queue;
mod start;

/// What can be measured. A new suite is a file and one line here.
const SUITES: &[Suite] = &[
    Suite {
        name: "start",
        about: "the host from exec to /ready: time and memory, with warm caches",
        run: start::run,
    },
    Suite {
        name: "queue",
        about: "the lease queue: throughput, also beside an old transaction, and pick-up",
        run: queue::run,
    },
    Suite {
        name: "edge",
        about: "the front door: CPU per request with and without credentials and limits",
        run: edge::run,
    },
    Suite {
        name: "media",
        about: "a ladder beside one plain call of ffmpeg, the origin beside nginx",
        run: media::run,
    },
];

struct Suite {
    name: &'static str,
    about: &'static str,
    run: fn(&Workspace, &Bench) -> Result<Vec<Figure>>,
}

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Bench {
    /// All suites when absent.
    pub suite: Option<String>,
    /// Repetitions of each measurement.
    pub runs: u32,
    /// One JSON object a line on stdout, instead of a table.
    pub json: bool,
    /// Fail when a figure is beyond its bound.
    pub check: bool,
    /// Measure the development build: quick to have, not comparable with the optimised one.
    pub development: bool,
}

/// One measured quantity over all runs.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    pub suite: &'static str,
    pub metric: &'static str,
    pub unit: &'static str,
    pub runs: usize,
    pub min: f64,
    pub median: f64,
    pub max: f64,
    /// The median should not be above this; `None` is a figure to watch only.
    pub bound: Option<f64>,
    /// Nor below this.
    pub at_least: Option<f64>,
    pub profile: &'static str,
}

impl Figure {
    /// Sums up samples; `None` when there are none.
    pub fn of(
        (suite, metric, unit): (&'static str, &'static str, &'static str),
        mut samples: Vec<f64>,
        bound: Option<f64>,
        bench: &Bench,
    ) -> Option<Self> {
        // Microseconds of a millisecond are noise.
        samples.iter_mut().for_each(|sample| *sample = (*sample * 1_000.0).round() / 1_000.0);
        samples.sort_by(f64::total_cmp);
        let (min, max) = (*samples.first()?, *samples.last()?);
        let middle = samples.len() / 2;
        let even = samples.len().is_multiple_of(2);
        let median = if even {
            f64::midpoint(samples[middle - 1], samples[middle])
        } else {
            samples[middle]
        };
        let profile = if bench.development { "dev" } else { "release" };
        let runs = samples.len();
        let at_least = None;
        Some(Self { suite, metric, unit, runs, min, median, max, bound, at_least, profile })
    }

    fn is_beyond_bound(&self) -> bool {
        self.bound.is_some_and(|bound| self.median > bound)
            || self.at_least.is_some_and(|least| self.median < least)
    }
}

/// A metric of a suite, as it is told and judged.
#[derive(Clone, Copy)]
struct Aim {
    metric: &'static str,
    unit: &'static str,
    /// What its median should not be above.
    at_most: Option<f64>,
    /// What its median should not be below.
    at_least: Option<f64>,
}

impl Aim {
    /// A figure to watch.
    const fn watch(metric: &'static str, unit: &'static str) -> Self {
        Self { metric, unit, at_most: None, at_least: None }
    }

    const fn at_most(metric: &'static str, unit: &'static str, bound: f64) -> Self {
        Self { at_most: Some(bound), ..Self::watch(metric, unit) }
    }

    const fn at_least(metric: &'static str, unit: &'static str, bound: f64) -> Self {
        Self { at_least: Some(bound), ..Self::watch(metric, unit) }
    }
}

/// What was measured, by metric, in the order of the rounds.
#[derive(Debug, Default)]
struct Samples(BTreeMap<String, Vec<f64>>);

impl Samples {
    /// Runs a program that takes samples: one JSON object a line, `{"metric": …, "value": …}`.
    fn take(&mut self, program: &mut Command) -> Result<()> {
        #[derive(Deserialize)]
        struct Sample {
            metric: String,
            value: f64,
        }
        for line in shell::capture(program)?.lines() {
            let sample: Sample = serde_json::from_str(line).context("read a sample")?;
            self.0.entry(sample.metric).or_default().push(sample.value);
        }
        Ok(())
    }

    /// Runs the benchmark `name` of `package`, as many rounds as are wanted.
    fn take_from(
        &mut self,
        ws: &Workspace,
        bench: &Bench,
        package: &str,
        name: &str,
    ) -> Result<()> {
        let mut cargo = shell::cargo(&ws.root);
        cargo.args(["bench", "-q", "-p", package, "--bench", name]);
        if bench.development {
            cargo.args(["--profile", "dev"]);
        }
        self.take(cargo.args(["--", "--rounds", &bench.runs.max(1).to_string()]))
    }

    /// The figures that `suite` aims at, as far as they were measured.
    fn figures(&self, suite: &'static str, aims: &[Aim], bench: &Bench) -> Vec<Figure> {
        let figure = |aim: &Aim| {
            let taken = self.0.get(aim.metric)?.clone();
            let figure = Figure::of((suite, aim.metric, aim.unit), taken, aim.at_most, bench)?;
            Some(Figure { at_least: aim.at_least, ..figure })
        };
        aims.iter().filter_map(figure).collect()
    }
}

/// Builds the host, runs the chosen suites, prints what they measured.
pub fn run(ws: &Workspace, bench: &Bench) -> Result<()> {
    let chosen = chosen(bench.suite.as_deref())?;
    doctor::ensure(ws, Purpose::Run)?;
    stage::build(ws, &Wanted { release: !bench.development, ..Wanted::default() })?;
    let mut beyond = Vec::new();
    for suite in chosen {
        let what = format!("bench {}: {}", suite.name, suite.about);
        let figures = progress::stage(&what, || (suite.run)(ws, bench))?;
        for figure in figures {
            tell(&figure, bench.json)?;
            if figure.is_beyond_bound() {
                beyond.push(format!("{} {}", figure.suite, figure.metric));
            }
        }
    }
    if bench.check && !beyond.is_empty() {
        bail!("beyond the bound: {}", beyond.join(", "));
    }
    Ok(())
}

fn chosen(name: Option<&str>) -> Result<Vec<&'static Suite>> {
    let Some(name) = name else {
        return Ok(SUITES.iter().collect());
    };
    if let Some(suite) = SUITES.iter().find(|suite| suite.name == name) {
        return Ok(vec![suite]);
    }
    let all: Vec<_> = SUITES.iter().map(|it| format!("  {}  {}", it.name, it.about)).collect();
    bail!("there is no suite {name:?}; there are:\n{}", all.join("\n"))
}

fn tell(figure: &Figure, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(figure)?);
        return Ok(());
    }
    let Figure { suite, metric, unit, runs, min, median, max, profile, .. } = figure;
    let told = |word: &str, bound: Option<f64>| {
        bound.map_or(String::new(), |bound| format!("  ({word} {bound} {unit})"))
    };
    let bounds = told("bound", figure.bound) + &told("at least", figure.at_least);
    println!(
        "{suite:<8} {metric:<26} min {min:>9.1}  median {median:>9.1}  max {max:>9.1} {unit:<4} \
         {runs} runs, {profile}{bounds}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench() -> Bench {
        Bench { suite: None, runs: 3, json: false, check: true, development: true }
    }

    fn figure(samples: &[f64], bound: Option<f64>) -> Figure {
        Figure::of(("start", "ready", "ms"), samples.to_vec(), bound, &bench()).expect("samples")
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(figure(&[4.0, 1.0, 3.0, 2.0], None).median, 2.5);
        assert_eq!(figure(&[9.0, 1.0, 5.0], None).median, 5.0);
        assert!(Figure::of(("start", "ready", "ms"), Vec::new(), None, &bench()).is_none());
    }

    #[test]
    fn one_slow_run_does_not_break_a_bound() {
        assert!(!figure(&[1.0, 1.0, 90.0], Some(2.0)).is_beyond_bound());
        assert!(figure(&[1.0, 3.0, 3.0], Some(2.0)).is_beyond_bound());
        let slow = Figure { at_least: Some(2.0), ..figure(&[1.0, 1.0, 90.0], None) };
        assert!(slow.is_beyond_bound());
    }

    #[test]
    fn an_unknown_suite_is_answered_with_those_that_exist() {
        let error = chosen(Some("htttp")).err().expect("there is no such suite").to_string();
        assert!(error.contains("start  the host from exec"), "{error}");
    }
}
