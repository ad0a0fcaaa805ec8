//! How long deploys take, as their rollouts' own events tell it: from the order to the moment at
//! which every host serves the new revision, with and without the compiling.

use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Deploys by what they were.
#[derive(Default)]
pub(super) struct Paces(BTreeMap<&'static str, Vec<Pace>>);

struct Pace {
    /// From the order until all hosts serve it.
    served: Duration,
    /// Of this, until all hosts have compiled it.
    compiled: Duration,
}

impl Paces {
    /// Notes a rollout that has ended well.
    pub(super) fn note(&mut self, what: &'static str, ended: &Value) {
        let between = |from: &str, to: &str| {
            let (from, to) = (entered(ended, from).unwrap(), entered(ended, to).unwrap());
            Duration::try_from(to.duration_since(from)).unwrap_or_default()
        };
        self.0.entry(what).or_default().push(Pace {
            served: between("verifying", "draining"),
            compiled: between("compiling", "migrating"),
        });
    }
}

impl Pace {
    fn after_compiling(&self) -> Duration {
        self.served.saturating_sub(self.compiled)
    }
}

impl fmt::Display for Paces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, all) in &self.0 {
            writeln!(f, "  {} served {what}", all.len())?;
            let columns: [(&str, fn(&Pace) -> Duration); 2] =
                [("with its compiling", |pace| pace.served), ("without", Pace::after_compiling)];
            for (name, read) in columns {
                let [half, most, all] = [0.5, 0.95, 1.0]
                    .map(|share| quantile(all.iter().map(read), share).unwrap_or_default());
                writeln!(f, "    {name}: p50 {half:?}, p95 {most:?}, max {all:?}")?;
            }
        }
        Ok(())
    }
}

/// When a rollout was first in a state.
fn entered(rollout: &Value, state: &str) -> Option<Timestamp> {
    let events = rollout["events"].as_array()?;
    let event = events.iter().find(|event| event["state"] == state)?;
    event["at"].as_str()?.parse().ok()
}

fn quantile(times: impl Iterator<Item = Duration>, share: f64) -> Option<Duration> {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let last = times.len().checked_sub(1)?;
    times.get((last as f64 * share).round() as usize).copied()
}
