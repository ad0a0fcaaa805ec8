//! Whether a step is good: what a new revision did since the step began, against what served
//! before. Pure; who asks again in half a second gets a new answer.

use crate::plan::Gates;
use nexus_runtime::LatencyHistogram;
use nexus_storage::rollouts::Sample;
use std::collections::HashMap;

/// Calls of one revision on all hosts, over some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub calls: u64,
    /// Answers of 5xx and everything that kept an answer from coming.
    pub errors: u64,
    pub traps: u64,
    pub latency: LatencyHistogram,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing speaks against it.
    Pass,
    /// So many calls are missing before that can be said.
    TooFew(u64),
    /// It is worse, and this is how.
    Fail(String),
}

/// Certainty that a share of failures is not chance: two standard deviations.
const SIGMAS: f64 = 2.0;

/// Differences of time below this are nobody's concern, and mostly the machine's.
const LATENCY_FLOOR_SECONDS: f64 = 0.02;

/// Calls of each, however few a step asks for: below, the slowest hundredth is one call, and says
/// how busy the machine was at that moment.
const LATENCY_CALLS_MIN: u64 = 50;

impl Tally {
    /// What one revision counted on all hosts between two looks. A host that is new since the
    /// first counted from nothing.
    pub fn between(
        number: u32,
        then: &HashMap<(String, u32), Sample>,
        now: &HashMap<(String, u32), Sample>,
    ) -> Self {
        let mut tally = Self::default();
        let nothing = Sample::default();
        for (key, sample) in now.iter().filter(|((_, of), _)| *of == number) {
            let before = then.get(key).filter(|before| before.calls <= sample.calls);
            tally.add(before.unwrap_or(&nothing), sample);
        }
        tally
    }

    fn add(&mut self, then: &Sample, now: &Sample) {
        let grew =
            |read: fn(&Sample) -> i64| u64::try_from(read(now) - read(then)).unwrap_or_default();
        self.calls += grew(|s| s.calls);
        self.traps += grew(|s| s.traps);
        self.errors += grew(|s| s.server_errors)
            + grew(|s| s.failures)
            + grew(|s| s.traps)
            + grew(|s| s.timeouts)
            + grew(|s| s.cpu_kills);
        let counts = &mut self.latency.counts;
        counts.resize(counts.len().max(now.latency.len()), 0);
        let before = then.latency.iter().copied().chain(std::iter::repeat(0));
        for ((count, now), then) in counts.iter_mut().zip(&now.latency).zip(before) {
            *count += u64::try_from(now - then).unwrap_or_default();
        }
    }

    fn error_rate(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.errors.min(self.calls) as f64 / self.calls as f64 }
    }
}

/// Judges a step. What is certain is said at once, however few calls there were.
pub fn judge(new: &Tally, baseline: &Tally, gates: &Gates) -> Judgement {
    if new.traps > gates.traps_max {
        return Judgement::Fail(format!("{} traps, {} may be", new.traps, gates.traps_max));
    }
    let allowed = baseline.error_rate() + gates.error_rate_delta;
    let certainly = lower_bound(new.errors, new.calls);
    if certainly > allowed {
        return Judgement::Fail(format!(
            "{} of {} calls failed, where {} of {} did before",
            new.errors, new.calls, baseline.errors, baseline.calls
        ));
    }
    if let Some(reason) = slower(new, baseline, gates) {
        return Judgement::Fail(reason);
    }
    if new.calls < gates.samples_min {
        return Judgement::TooFew(gates.samples_min - new.calls);
    }
    // Enough calls to say it without being certain.
    if new.error_rate() > allowed {
        return Judgement::Fail(format!(
            "{} of {} calls failed, where {} of {} did before",
            new.errors, new.calls, baseline.errors, baseline.calls
        ));
    }
    Judgement::Pass
}

fn slower(new: &Tally, baseline: &Tally, gates: &Gates) -> Option<String> {
    let enough = |tally: &Tally| tally.latency.count() >= LATENCY_CALLS_MIN;
    if !enough(new) || !enough(baseline) {
        return None;
    }
    let (slow, before) = (new.latency.quantile(0.99)?, baseline.latency.quantile(0.99)?);
    let is_slower = slow > before * gates.latency_ratio && slow - before > LATENCY_FLOOR_SECONDS;
    is_slower.then(|| {
        format!("its slowest hundredth takes {:.0} ms, {:.0} ms before", slow * 1e3, before * 1e3)
    })
}

/// The least share of failures that so many of so many calls speak for (Wilson's interval).
fn lower_bound(errors: u64, calls: u64) -> f64 {
    // One call that failed says nothing yet.
    if calls == 0 || errors < 2 {
        return 0.0;
    }
    let (n, z2) = (calls as f64, SIGMAS * SIGMAS);
    let p = errors.min(calls) as f64 / n;
    let centre = p + z2 / (2.0 * n);
    let margin = SIGMAS * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - margin) / (1.0 + z2 / n)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tally(calls: u64, errors: u64) -> Tally {
        Tally { calls, errors, ..Tally::default() }
    }

    /// `calls` of them, all in the bucket that ends at the `bucket`th bound.
    fn timed(calls: u64, bucket: usize) -> Tally {
        let mut latency = LatencyHistogram { counts: vec![0; 36] };
        latency.counts[bucket] = calls;
        Tally { calls, latency, ..Tally::default() }
    }

    #[test]
    fn what_fails_is_seen_within_a_few_calls_and_one_failure_says_nothing() {
        let gates = Gates::default();
        let good = tally(1_000, 0);
        for (calls, errors, fails) in [
            (1, 1, false),
            (2, 2, true),
            (10, 1, false),
            (10, 4, true),
            (100, 1, false),
            (100, 2, true),
            (1_000, 5, false),
            (1_000, 50, true),
        ] {
            let judged = judge(&tally(calls, errors), &good, &gates);
            assert_eq!(matches!(judged, Judgement::Fail(_)), fails, "{errors}/{calls}: {judged:?}");
        }
    }

    #[test]
    fn it_is_compared_with_what_served_before_not_with_perfection() {
        let gates = Gates::default();
        let bad = tally(1_000, 200);
        assert_eq!(judge(&tally(1_000, 205), &bad, &gates), Judgement::Pass);
        assert!(matches!(judge(&tally(1_000, 300), &bad, &gates), Judgement::Fail(_)));
    }

    #[test]
    fn traps_have_a_bound_of_their_own() {
        let gates = Gates { traps_max: 1, error_rate_delta: 1.0, ..Gates::default() };
        let trapped = |traps| Tally { traps, ..tally(1_000, traps) };
        assert_eq!(judge(&trapped(1), &tally(1_000, 0), &gates), Judgement::Pass);
        assert!(matches!(judge(&trapped(2), &tally(1_000, 0), &gates), Judgement::Fail(_)));
    }

    #[test]
    fn what_takes_times_longer_fails_and_a_few_milliseconds_do_not() {
        let gates = Gates::default();
        let slow = judge(&timed(200, 20), &timed(200, 10), &gates);
        assert!(matches!(slow, Judgement::Fail(_)), "{slow:?}");
        assert_eq!(judge(&timed(200, 8), &timed(200, 2), &gates), Judgement::Pass);
        // Nobody to compare it with.
        assert_eq!(judge(&timed(200, 20), &Tally::default(), &gates), Judgement::Pass);
        // Too few to tell it from a busy moment.
        let few = Gates { samples_min: 5, ..Gates::default() };
        assert_eq!(judge(&timed(49, 20), &timed(49, 10), &few), Judgement::Pass);
        assert!(matches!(judge(&timed(50, 20), &timed(50, 10), &few), Judgement::Fail(_)));
    }

    #[test]
    fn a_step_waits_for_enough_calls() {
        let gates = Gates::default();
        assert_eq!(judge(&tally(40, 0), &tally(9, 0), &gates), Judgement::TooFew(60));
        assert_eq!(judge(&tally(100, 0), &tally(0, 0), &gates), Judgement::Pass);
    }

    #[test]
    fn what_was_counted_before_the_step_does_not_count() {
        let sample =
            |calls, failures| Sample { calls, failures, latency: vec![calls], ..Sample::default() };
        let at = |host: &str, number, sample| ((host.to_owned(), number), sample);
        let then = HashMap::from([at("a", 2, sample(10, 10)), at("b", 2, sample(50, 0))]);
        let now = HashMap::from([
            at("a", 2, sample(30, 11)),
            // Restarted since.
            at("b", 2, sample(3, 1)),
            at("c", 2, sample(5, 0)),
            at("c", 1, sample(500, 500)),
        ]);
        let tally = Tally::between(2, &then, &now);
        assert_eq!((tally.calls, tally.errors, tally.latency.count()), (28, 2, 28));
    }

    proptest! {
        #[test]
        fn what_is_no_worse_never_fails(calls in 0..5_000_u64, errors in 0..500_u64) {
            let errors = errors.min(calls);
            let same = tally(calls, errors);
            let judged = judge(&same, &same, &Gates::default());
            prop_assert!(!matches!(judged, Judgement::Fail(_)), "{:?}", judged);
        }

        #[test]
        fn more_failures_are_never_better(
            calls in 1..2_000_u64, a in 0..2_000_u64, b in 0..2_000_u64,
        ) {
            let (less, more) = (a.min(b).min(calls), a.max(b).min(calls));
            let (gates, baseline) = (Gates::default(), tally(1_000, 3));
            let judged = |n| judge(&tally(calls, n), &baseline, &gates);
            let fails = |n| matches!(judged(n), Judgement::Fail(_));
            prop_assert!(!fails(less) || fails(more));
        }
    }
}
