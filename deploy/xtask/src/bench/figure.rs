//! What was measured: samples, the figures they sum up to, and what is aimed at.

use super::Bench;
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::process::Command;

/// Which way is better. Said of ratios, which are what a later run is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    More,
    Less,
}

/// One measured quantity over all runs.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    pub suite: &'static str,
    pub metric: String,
    pub unit: String,
    pub runs: usize,
    pub min: f64,
    pub median: f64,
    pub max: f64,
    /// The median should not be above this; `None` is a figure to watch only.
    pub bound: Option<f64>,
    /// Nor below this.
    pub at_least: Option<f64>,
    /// Set where it is a ratio that is guarded.
    pub better: Option<Better>,
    pub profile: &'static str,
}

impl Figure {
    /// Sums up samples; `None` when there are none.
    pub fn of(
        (suite, metric, unit): (&'static str, &str, &str),
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
        let (metric, unit, runs) = (metric.to_owned(), unit.to_owned(), samples.len());
        let (at_least, better) = (None, None);
        Some(Self { suite, metric, unit, runs, min, median, max, bound, at_least, better, profile })
    }

    /// With what is aimed at; a ratio that has an aim is guarded.
    fn aimed(mut self, aim: &Aim) -> Self {
        (self.bound, self.at_least) = (aim.at_most, aim.at_least);
        if self.unit == "x" && self.better.is_none() {
            let less = aim.at_most.map(|_| Better::Less);
            self.better = less.or(aim.at_least.map(|_| Better::More));
        }
        self
    }

    /// Whether the median misses what is aimed at.
    pub fn is_beyond_bound(&self) -> bool {
        self.bound.is_some_and(|bound| self.median > bound)
            || self.at_least.is_some_and(|least| self.median < least)
    }
}

/// A metric of a suite, as it is told and judged.
#[derive(Clone, Copy)]
pub(super) struct Aim {
    pub(super) metric: &'static str,
    unit: &'static str,
    /// What its median should not be above.
    at_most: Option<f64>,
    /// What its median should not be below.
    at_least: Option<f64>,
}

impl Aim {
    /// A figure to watch.
    pub(super) const fn watch(metric: &'static str, unit: &'static str) -> Self {
        Self { metric, unit, at_most: None, at_least: None }
    }

    pub(super) const fn at_most(metric: &'static str, unit: &'static str, bound: f64) -> Self {
        Self { at_most: Some(bound), ..Self::watch(metric, unit) }
    }

    pub(super) const fn at_least(metric: &'static str, unit: &'static str, bound: f64) -> Self {
        Self { at_least: Some(bound), ..Self::watch(metric, unit) }
    }
}

/// What was measured, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<Taken>);

/// One metric; its values by rounds.
#[derive(Debug)]
struct Taken {
    metric: String,
    unit: Option<String>,
    better: Option<Better>,
    values: Vec<f64>,
}

/// What a program that takes samples prints, one a line.
#[derive(Debug, Deserialize)]
struct Sample {
    metric: String,
    value: f64,
    unit: Option<String>,
    better: Option<Better>,
}

impl Samples {
    /// Runs a program that takes samples.
    pub(super) fn take(&mut self, program: &mut Command) -> Result<()> {
        for line in shell::capture(program)?.lines() {
            self.add(serde_json::from_str(line).context("read a sample")?);
        }
        Ok(())
    }

    fn add(&mut self, sample: Sample) {
        let Sample { metric, value, unit, better } = sample;
        match self.0.iter_mut().find(|taken| taken.metric == metric) {
            Some(taken) => taken.values.push(value),
            None => self.0.push(Taken { metric, unit, better, values: vec![value] }),
        }
    }

    /// Runs the benchmark `name` of `package`, as many rounds as are wanted.
    pub(super) fn take_from(
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

    /// The values of one metric, by rounds.
    pub(super) fn of(&self, metric: &str) -> &[f64] {
        let taken = self.0.iter().find(|taken| taken.metric == metric);
        taken.map_or(&[], |taken| &taken.values)
    }

    /// The figures that `suite` aims at, as far as they were measured.
    pub(super) fn figures(&self, suite: &'static str, aims: &[Aim], bench: &Bench) -> Vec<Figure> {
        let figure = |aim: &Aim| {
            let values = self.of(aim.metric).to_vec();
            Some(Figure::of((suite, aim.metric, aim.unit), values, None, bench)?.aimed(aim))
        };
        aims.iter().filter_map(figure).collect()
    }

    /// All figures, for programs that say their units; those that are aimed at, with their aims.
    pub(super) fn all(&self, suite: &'static str, aims: &[Aim], bench: &Bench) -> Vec<Figure> {
        let figure = |taken: &Taken| {
            let unit = taken.unit.as_deref().unwrap_or_default();
            let name = (suite, taken.metric.as_str(), unit);
            let figure = Figure::of(name, taken.values.clone(), None, bench)?;
            let figure = Figure { better: taken.better, ..figure };
            let aim = aims.iter().find(|aim| aim.metric == taken.metric);
            Some(match aim {
                Some(aim) => figure.aimed(aim),
                None => figure,
            })
        };
        self.0.iter().filter_map(figure).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench() -> Bench {
        let (json, check, bless, development) = (false, true, false, true);
        Bench { suite: None, runs: 3, json, check, bless, development }
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
    fn samples_become_figures_in_the_order_in_which_they_came() {
        let mut samples = Samples::default();
        for line in [
            r#"{"metric":"b_over_a","unit":"x","value":2,"better":"more"}"#,
            r#"{"metric":"a","unit":"us","value":7}"#,
            r#"{"metric":"b_over_a","unit":"x","value":4,"better":"more"}"#,
        ] {
            samples.add(serde_json::from_str(line).expect("a sample"));
        }
        let aims = [Aim::at_least("b_over_a", "x", 3.5)];
        let figures = samples.all("http", &aims, &bench());
        let told: Vec<_> = figures.iter().map(|f| (f.metric.as_str(), f.median)).collect();
        assert_eq!(told, [("b_over_a", 3.0), ("a", 7.0)]);
        assert!(figures[0].is_beyond_bound() && figures[0].better == Some(Better::More));
    }
}
