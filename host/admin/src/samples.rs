//! Rate, errors and durations of each component over the last minutes: counters of the runtime,
//! read every few seconds and kept for as long as a sparkline is. Refuses to count anything itself.

use nexus_runtime::{ComponentSnapshot, LatencyHistogram, RevisionSnapshot, Runtime};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two readings.
pub(crate) const EVERY: Duration = Duration::from_secs(5);
/// Five minutes of them.
const KEPT: usize = 60;
/// Over which rates and durations are said: a minute.
const WINDOW: usize = 12;

/// The readings, oldest first.
#[derive(Default)]
pub(crate) struct Samples(Mutex<VecDeque<Sample>>);

struct Sample {
    at: Instant,
    components: HashMap<String, Counted>,
}

#[derive(Clone, Default)]
struct Counted {
    calls: u64,
    errors: u64,
    latency: LatencyHistogram,
}

/// How a component did in the last minute.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Red {
    pub(crate) per_second: f64,
    /// Share of the calls that failed, 0 to 1; None without calls.
    pub(crate) errors: Option<f64>,
    pub(crate) p50_seconds: Option<f64>,
    pub(crate) p99_seconds: Option<f64>,
    /// Calls per second between each two readings, oldest first.
    pub(crate) line: Vec<f64>,
}

impl Samples {
    /// Reads the runtime's counters once.
    pub(crate) fn take(&self, runtime: &Runtime) {
        self.keep(Instant::now(), &runtime.snapshot(), &runtime.revisions());
    }

    fn keep(&self, at: Instant, components: &[ComponentSnapshot], revisions: &[RevisionSnapshot]) {
        let mut counted: HashMap<String, Counted> = HashMap::new();
        for snapshot in components {
            let counts = &snapshot.counts;
            let ends = counts.traps + counts.timeouts + counts.cpu_kills + counts.refused;
            let errors = counts.server_errors + counts.failures + ends;
            let one = Counted { calls: counts.calls, errors, latency: LatencyHistogram::default() };
            counted.insert(snapshot.component.to_string(), one);
        }
        for revision in revisions {
            if let Some(one) = counted.get_mut(revision.component.as_str()) {
                add(&mut one.latency, &revision.latency);
            }
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back(Sample { at, components: counted });
        if all.len() > KEPT {
            all.pop_front();
        }
    }

    /// How one component did; nothing is known before the second reading.
    pub(crate) fn of(&self, component: &str) -> Red {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let readings: Vec<(Instant, &Counted)> = all
            .iter()
            .filter_map(|sample| Some((sample.at, sample.components.get(component)?)))
            .collect();
        let line = readings.windows(2).map(|pair| rate(pair[0], pair[1])).collect();
        let first = readings.len().saturating_sub(WINDOW + 1);
        let (Some(from), Some(to)) = (readings.get(first), readings.last()) else {
            return Red::default();
        };
        let calls = to.1.calls.saturating_sub(from.1.calls);
        let errors = to.1.errors.saturating_sub(from.1.errors);
        let latency = to.1.latency.since(&from.1.latency);
        Red {
            per_second: rate(*from, *to),
            errors: (calls > 0).then(|| (errors as f64 / calls as f64).min(1.0)),
            p50_seconds: latency.quantile(0.5),
            p99_seconds: latency.quantile(0.99),
            line,
        }
    }
}

impl Red {
    pub(crate) fn to_json(&self) -> Value {
        let ms = |seconds: Option<f64>| seconds.map(|seconds| (seconds * 1e6).round() / 1e3);
        json!({
            "window_seconds": EVERY.as_secs() * WINDOW as u64,
            "requests_per_second": self.per_second,
            "error_ratio": self.errors,
            "p50_ms": ms(self.p50_seconds),
            "p99_ms": ms(self.p99_seconds),
        })
    }
}

fn rate(from: (Instant, &Counted), to: (Instant, &Counted)) -> f64 {
    let seconds = to.0.saturating_duration_since(from.0).as_secs_f64();
    // A reading is seconds after the one before, or the same one.
    if seconds == 0.0 { 0.0 } else { to.1.calls.saturating_sub(from.1.calls) as f64 / seconds }
}

fn add(sum: &mut LatencyHistogram, more: &LatencyHistogram) {
    sum.counts.resize(sum.counts.len().max(more.counts.len()), 0);
    for (sum, more) in sum.counts.iter_mut().zip(&more.counts) {
        *sum += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_runtime::{ComponentId, Counts};

    fn snapshot(calls: u64, server_errors: u64, traps: u64) -> ComponentSnapshot {
        ComponentSnapshot {
            component: ComponentId::new("hello").unwrap(),
            revision: String::new(),
            number: 1,
            inactive_reason: None,
            counts: Counts { calls, server_errors, traps, ..Counts::default() },
            inflight: 0,
            queued: 0,
            instances: 0,
            memory_bytes: 0,
        }
    }

    #[test]
    fn a_rate_is_what_came_between_two_readings() {
        let samples = Samples::default();
        let begin = Instant::now();
        assert_eq!(samples.of("hello"), Red::default());
        for (turn, calls, errors, traps) in [(0, 100, 10, 0), (1, 150, 20, 5), (2, 150, 20, 5)] {
            let at = begin + EVERY * turn;
            samples.keep(at, &[snapshot(calls, errors, traps)], &[]);
        }
        let red = samples.of("hello");
        assert_eq!((red.per_second, red.errors), (5.0, Some(0.3)));
        assert_eq!(red.line, [10.0, 0.0]);
        assert_eq!(samples.of("nobody"), Red::default());
    }

    #[test]
    fn what_is_older_than_a_sparkline_goes() {
        let samples = Samples::default();
        let begin = Instant::now();
        for turn in 0..200 {
            samples.keep(begin + EVERY * turn, &[snapshot(u64::from(turn), 0, 0)], &[]);
        }
        assert_eq!(samples.of("hello").line.len(), KEPT - 1);
    }
}
