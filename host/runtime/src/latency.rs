//! How long calls took until their answer began: a histogram of counters that many threads write.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// End of the first bucket, in microseconds.
const FIRST: u64 = 250;
/// Doublings from the first bucket to the last: 250 µs to 32.8 s.
const DOUBLINGS: usize = 17;
/// Two buckets to each doubling, and what is longer than all.
const BUCKETS: usize = 2 * DOUBLINGS + 2;

/// Counters of one revision.
pub(crate) struct Latency([AtomicU64; BUCKETS]);

impl Default for Latency {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// What was counted up to one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LatencyHistogram {
    /// Calls of each bucket of [`LatencyHistogram::bounds`], not cumulative; one more than there
    /// are bounds, for what is longer.
    pub counts: Vec<u64>,
}

impl Latency {
    pub(crate) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0[bucket(micros)].fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> LatencyHistogram {
        LatencyHistogram { counts: self.0.iter().map(|count| count.load(Relaxed)).collect() }
    }
}

/// 250 µs, 375 µs, 500 µs, 750 µs, and so on: each bound is the greatest time of its bucket.
fn bucket(micros: u64) -> usize {
    if micros <= FIRST {
        return 0;
    }
    // The doubling that `micros` lies in, and whether it lies in that one's upper half.
    let doubling = usize::try_from(((micros - 1) / FIRST).ilog2()).unwrap_or(DOUBLINGS);
    let half = usize::from(micros > (FIRST << doubling.min(DOUBLINGS)) * 3 / 2);
    (1 + 2 * doubling + half).min(BUCKETS - 1)
}

impl LatencyHistogram {
    /// Greatest time of each bucket but the last, in seconds, ascending.
    pub fn bounds() -> impl Iterator<Item = f64> {
        (0..BUCKETS - 1).map(|index| {
            let doubled = (FIRST << (index / 2)) as f64 / 1e6;
            if index % 2 == 0 { doubled } else { doubled * 1.5 }
        })
    }

    /// Calls counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time in seconds that `share` (0 to 1) of the calls did not exceed, at most the bound of
    /// the last bucket that has one; None when nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = self.count() as f64 * share.clamp(0.0, 1.0);
        let (mut before, mut begin, mut last) = (0.0, 0.0, None);
        for (count, end) in self.counts.iter().zip(Self::bounds()) {
            let inside = *count as f64;
            if inside > 0.0 {
                last = Some(end);
                if before + inside >= wanted {
                    return Some(begin + (end - begin) * ((wanted - before) / inside).max(0.0));
                }
            }
            (before, begin) = (before + inside, end);
        }
        if self.count() == 0 { None } else { Self::bounds().last().or(last) }
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = earlier.counts.iter().copied().chain(std::iter::repeat(0));
        let counts = self.counts.iter().zip(before).map(|(now, then)| now.saturating_sub(then));
        Self { counts: counts.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let bounds: Vec<f64> = LatencyHistogram::bounds().collect();
        assert_eq!(bounds.len(), BUCKETS - 1);
        assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{bounds:?}");
        for micros in (0..2_000).chain([374, 375, 376, 32_768_000, 32_768_001, 60_000_000]) {
            let seconds = micros as f64 / 1e6;
            let right = bounds.iter().position(|b| seconds <= *b).unwrap_or(BUCKETS - 1);
            assert_eq!(bucket(micros), right, "{micros} µs");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_call() {
        let latency = Latency::default();
        for _ in 0..99 {
            latency.record(Duration::from_millis(1));
        }
        latency.record(Duration::from_millis(900));
        let read = latency.read();
        let p50 = read.quantile(0.5).unwrap();
        assert!((0.00075..=0.001).contains(&p50), "{p50}");
        assert!(read.quantile(0.99).unwrap() <= 0.001);
        assert!(read.quantile(0.995).unwrap() > 0.5);
        assert_eq!(LatencyHistogram::default().quantile(0.5), None);
    }

    #[test]
    fn what_was_counted_before_is_left_out() {
        let latency = Latency::default();
        latency.record(Duration::from_secs(2));
        let before = latency.read();
        latency.record(Duration::from_micros(100));
        let since = latency.read().since(&before);
        assert_eq!(since.count(), 1);
        assert!(since.quantile(0.99).unwrap() <= 0.00025);
        assert_eq!(before.since(&LatencyHistogram::default()), before);
    }
}
