//! The guard: ratios of this run beside those that were committed. Absolute figures say as much of
//! the machine as of the code; two servers on one machine in one round say something of the code.

use super::figure::{Better, Figure};
use super::machine::Machine;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const FILE: &str = "deploy/bench-baseline.json";

/// However alike the rounds were, the next run's machine is busy with other things.
const TOLERANCE_MIN: f64 = 0.12;
/// What scatters more than this guards nothing.
const TOLERANCE_MAX: f64 = 0.5;

/// What was measured when somebody looked at it and found it good.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    /// Where.
    machine: Machine,
    /// By suite and metric.
    ratios: BTreeMap<String, BTreeMap<String, Ratio>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Ratio {
    median: f64,
    /// How much worse is still the same, as a share of the median.
    tolerance: f64,
    better: Better,
}

impl Ratio {
    fn of(figure: &Figure) -> Option<Self> {
        let spread = (figure.max - figure.min) / figure.median / 2.0;
        let tolerance = (spread * 100.0).round() / 100.0;
        let tolerance = tolerance.clamp(TOLERANCE_MIN, TOLERANCE_MAX);
        Some(Self { median: figure.median, tolerance, better: figure.better? })
    }

    /// How much worse `median` is, as a share; negative when it is better.
    fn lost(&self, median: f64) -> f64 {
        let change = median / self.median - 1.0;
        match self.better {
            Better::More => -change,
            Better::Less => change,
        }
    }
}

impl Baseline {
    /// The committed one; an empty one before the first `--bless`.
    pub(super) fn read(ws: &Workspace) -> Result<Self> {
        let file = ws.root.join(FILE);
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = crate::workspace::read(&file)?;
        serde_json::from_str(&text).with_context(|| format!("read {FILE}"))
    }

    /// What has got worse than it may, in words.
    pub(super) fn worse(&self, figures: &[Figure]) -> Vec<String> {
        let judged = |figure: &Figure| {
            let ratio = self.ratios.get(figure.suite)?.get(&figure.metric)?;
            let lost = ratio.lost(figure.median);
            (lost > ratio.tolerance).then(|| {
                format!(
                    "{} {} was {:.2} and is {:.2}: {:.0} % worse, allowed are {:.0} %",
                    figure.suite,
                    figure.metric,
                    ratio.median,
                    figure.median,
                    lost * 100.0,
                    ratio.tolerance * 100.0,
                )
            })
        };
        figures.iter().filter_map(judged).collect()
    }

    /// Ratios of the suites that ran which nobody has measured now, or had measured then.
    pub(super) fn unguarded(&self, figures: &[Figure]) -> Vec<String> {
        let has = |suite: &str, metric: &str| {
            figures.iter().any(|figure| figure.suite == suite && figure.metric == metric)
        };
        let ran = |suite: &str| figures.iter().any(|figure| figure.suite == suite);
        let old = self.ratios.iter().filter(|(suite, _)| ran(suite));
        let old = old.flat_map(|(suite, all)| all.keys().map(move |metric| (suite, metric)));
        let gone = old.filter(|(suite, metric)| !has(suite, metric));
        let gone = gone.map(|(suite, metric)| format!("{suite} {metric} was not measured"));
        let known = |figure: &&Figure| {
            self.ratios.get(figure.suite).is_some_and(|all| all.contains_key(&figure.metric))
        };
        let new = figures.iter().filter(|it| it.better.is_some()).filter(|it| !known(it));
        let new = new.map(|it| format!("{} {} has no baseline", it.suite, it.metric));
        gone.chain(new).collect()
    }

    /// Takes the ratios of the suites that ran, and writes the file.
    pub(super) fn bless(
        mut self,
        ws: &Workspace,
        machine: &Machine,
        figures: &[Figure],
    ) -> Result<()> {
        self.take(machine, figures);
        let text = serde_json::to_string_pretty(&self).context("write the baseline")? + "\n";
        crate::workspace::write_if_changed(&ws.root.join(FILE), text.as_bytes())?;
        eprintln!("    {FILE} holds the ratios of this run");
        Ok(())
    }

    fn take(&mut self, machine: &Machine, figures: &[Figure]) {
        self.machine = machine.clone();
        for figure in figures {
            self.ratios.remove(figure.suite);
        }
        for figure in figures {
            if let Some(ratio) = Ratio::of(figure) {
                let suite = self.ratios.entry(figure.suite.to_owned()).or_default();
                suite.insert(figure.metric.clone(), ratio);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;

    fn figure(metric: &str, samples: &[f64], better: Better) -> Figure {
        let bench = Bench {
            suite: None,
            runs: 3,
            json: false,
            check: true,
            bless: false,
            development: false,
        };
        let figure = Figure::of(("http", metric, "x"), samples.to_vec(), None, &bench);
        Figure { better: Some(better), ..figure.expect("samples") }
    }

    fn baseline(figures: &[Figure]) -> Baseline {
        let mut baseline = Baseline::default();
        baseline.take(&Machine::default(), figures);
        baseline
    }

    #[test]
    fn a_ratio_that_fell_is_told_with_what_it_was() {
        let then = baseline(&[figure("over_serve", &[2.0], Better::More)]);
        assert!(then.worse(&[figure("over_serve", &[1.8], Better::More)]).is_empty());
        let worse = then.worse(&[figure("over_serve", &[1.5], Better::More)]);
        assert_eq!(worse, ["http over_serve was 2.00 and is 1.50: 25 % worse, allowed are 12 %"]);
    }

    #[test]
    fn a_share_of_cpu_that_fell_is_no_loss_and_one_that_rose_is() {
        let then = baseline(&[figure("cpu", &[0.5], Better::Less)]);
        assert!(then.worse(&[figure("cpu", &[0.2], Better::Less)]).is_empty());
        assert_eq!(then.worse(&[figure("cpu", &[0.6], Better::Less)]).len(), 1);
    }

    #[test]
    fn what_scattered_then_may_scatter_now() {
        let then = baseline(&[figure("p99", &[0.8, 1.0, 1.6], Better::Less)]);
        assert!(then.worse(&[figure("p99", &[1.35], Better::Less)]).is_empty());
        assert_eq!(then.worse(&[figure("p99", &[1.5], Better::Less)]).len(), 1);
    }

    #[test]
    fn what_was_not_measured_is_said_rather_than_passed() {
        let then = baseline(&[figure("old", &[1.0], Better::More)]);
        let told = then.unguarded(&[figure("new", &[1.0], Better::More)]);
        assert_eq!(told, ["http old was not measured", "http new has no baseline"]);
    }
}
