//! `cargo xtask bench`: the frame around measurements. Knows how figures are told, and compared
//! with what is aimed at and with what was measured before; each suite knows how to take its own.

use crate::doctor::{self, Purpose};
use crate::stage::{self, Wanted};
use crate::workspace::Workspace;
use crate::{packages, progress, shell};
use anyhow::{Result, bail, ensure};
use baseline::Baseline;
use figure::Figure;
use machine::Machine;
use serde_json::json;

mod baseline;
mod edge;
mod figure;
mod machine;
mod media;
mod peers;
mod queue;
mod start;

/// What can be measured. A new suite is a file and one line here.
const SUITES: &[Suite] = &[
    Suite {
        name: "http",
        about: "answers a second, waits and CPU beside wasmtime serve, a native twin and Express",
        run: peers::http,
    },
    Suite {
        name: "isolation",
        about: "an instance for each request, beside wasmtime serve without reuse",
        run: peers::isolation,
    },
    Suite {
        name: "cold",
        about: "77 components: start, first requests, memory; beside as many Express processes",
        run: peers::cold,
    },
    Suite {
        name: "db",
        about: "a row read, a row written with its event, beside a native twin and Express",
        run: peers::db,
    },
    Suite {
        name: "soak",
        about: "half of what the machine can take, while the service is deployed again and again",
        run: peers::soak,
    },
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
    /// Fail when a ratio is worse than the committed one.
    pub check: bool,
    /// Take this run's ratios for those that later ones are compared with.
    pub bless: bool,
    /// Measure the development build: quick to have, not comparable with the optimised one.
    pub development: bool,
}

/// Builds the host, runs the chosen suites, prints what they measured.
pub fn run(ws: &Workspace, bench: &Bench) -> Result<()> {
    let chosen = chosen(bench.suite.as_deref())?;
    let guards = bench.check || bench.bless;
    ensure!(!(guards && bench.development), "the development build cannot be compared");
    doctor::ensure(ws, Purpose::Run)?;
    stage::build(ws, &Wanted { release: !bench.development, ..Wanted::default() })?;
    let mut figures = Vec::new();
    for suite in chosen {
        let what = format!("bench {}: {}", suite.name, suite.about);
        let measured = progress::stage(&what, || (suite.run)(ws, bench))?;
        for figure in &measured {
            tell(figure, bench.json)?;
        }
        figures.extend(measured);
    }
    // After the suites, which install what has a version.
    let machine = Machine::look(ws);
    if bench.json {
        println!("{}", json!({ "machine": machine }));
    }
    let missed = figures.iter().filter(|figure| figure.is_beyond_bound());
    for figure in missed {
        eprintln!("    {} {} misses its aim", figure.suite, figure.metric);
    }
    let baseline = Baseline::read(ws)?;
    if bench.check {
        guard(&baseline, &figures)?;
    }
    if bench.bless {
        baseline.bless(ws, &machine, &figures)?;
    }
    Ok(())
}

fn guard(baseline: &Baseline, figures: &[Figure]) -> Result<()> {
    for words in baseline.unguarded(figures) {
        eprintln!("    {words}");
    }
    let worse = baseline.worse(figures);
    if !worse.is_empty() {
        bail!("worse than the baseline:\n{}", worse.join("\n"));
    }
    Ok(())
}

/// Installs programs that are missing here: each with the Debian package that brings it.
fn require(ws: &Workspace, programs: &[(&str, &'static str)]) -> Result<()> {
    let missing = programs.iter().filter(|(program, _)| shell::find(program).is_none());
    let missing: Vec<_> = missing.map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    packages::install(&missing, &ws.target.join("xtask"))
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
        "{suite:<9} {metric:<36} min {min:>9.2}  median {median:>9.2}  max {max:>9.2} {unit:<4} \
         {runs} runs, {profile}{bounds}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_suite_is_answered_with_those_that_exist() {
        let error = chosen(Some("htttp")).err().expect("there is no such suite").to_string();
        assert!(error.contains("start  the host from exec"), "{error}");
    }
}
