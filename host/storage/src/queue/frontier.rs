//! How far each queue has been claimed: where the next claim begins, so that it does not look again
//! at rows that are dead and cannot go while somebody holds an old snapshot. Refuses to know SQL;
//! time comes in as an argument.
//!
//! Claims go through a queue by priority and position, so what lies before the last message claimed
//! was claimed, too, or was not there yet. What comes in behind (a transaction that committed late,
//! a retry, a released message) is found by looking through everything, which is done ever so
//! often, and at once where this host has made such a message ready itself.

use super::message::QueueId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Age at which a place that was reached counts: transactions that drew their positions before it
/// have committed by then, nearly all of them.
const SETTLED: Duration = Duration::from_millis(100);

/// A busy queue is looked through so often: how long a message behind may go unseen.
pub(super) const LOOK_THROUGH: Duration = Duration::from_millis(250);

/// And one where a claim came back with nothing.
pub(super) const LOOK_THROUGH_IDLE: Duration = Duration::from_millis(25);

/// Priorities of one queue whose places are known. Others are read from their beginning.
const LEVELS_MAX: usize = 8;

/// A part of a queue, in the order of claims: priorities from `high` down to `low`, positions from
/// `start` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) high: i16,
    pub(super) low: i16,
    pub(super) start: i64,
}

impl Stretch {
    const EVERYTHING: Self = Self { high: i16::MAX, low: i16::MIN, start: 0 };
}

/// What one claim of a queue came to, as far as its places go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached<'a> {
    /// Priority and position of what was claimed, in any order.
    pub(super) messages: &'a [(i16, i64)],
    /// All that was asked for came: there may be more.
    pub(super) is_full: bool,
    /// It had begun at the beginning.
    pub(super) was_through: bool,
}

/// The places of all queues.
#[derive(Default)]
pub(super) struct Frontiers(Mutex<HashMap<QueueId, Frontier>>);

impl Frontiers {
    fn lock(&self) -> MutexGuard<'_, HashMap<QueueId, Frontier>> {
        // Nothing in here is ever half-changed in a way that matters: a look through mends it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a claim at `now` begins, in order; true when that is everything. It is everything when
    /// the last such claim is `age_max` old.
    pub(super) fn stretches(
        &self,
        queue: QueueId,
        now: Instant,
        age_max: Duration,
    ) -> (Vec<Stretch>, bool) {
        let mut all = self.lock();
        let frontier = all.entry(queue).or_default();
        let age = frontier.looked_through.map(|at| now.saturating_duration_since(at));
        if age.is_none_or(|age| age >= age_max) {
            frontier.looked_through = Some(now);
            return (vec![Stretch::EVERYTHING], true);
        }
        (frontier.stretches(), false)
    }

    /// Notes what a claim has come to.
    pub(super) fn reached(&self, queue: QueueId, reached: &Reached<'_>, now: Instant) {
        self.lock().entry(queue).or_default().note(reached, now);
    }

    /// Something was made ready that may lie behind: the next claim of each queue looks through.
    pub(super) fn look_through(&self) {
        for frontier in self.lock().values_mut() {
            frontier.looked_through = None;
        }
    }
}

#[derive(Default)]
struct Frontier {
    /// Highest priority first.
    levels: Vec<Level>,
    looked_through: Option<Instant>,
}

/// One priority.
struct Level {
    priority: i16,
    /// Where a claim may begin.
    settled: i64,
    /// What had been reached at `since`, and may settle.
    rising: i64,
    since: Instant,
}

impl Frontier {
    fn stretches(&self) -> Vec<Stretch> {
        let mut stretches = Vec::with_capacity(2 * self.levels.len() + 1);
        let mut high = Some(i16::MAX);
        for level in &self.levels {
            let above = level.priority.checked_add(1);
            if let (Some(high), Some(low)) = (high, above)
                && low <= high
            {
                stretches.push(Stretch { high, low, start: 0 });
            }
            let (high_and_low, start) = (level.priority, level.settled);
            stretches.push(Stretch { high: high_and_low, low: high_and_low, start });
            high = level.priority.checked_sub(1);
        }
        if let Some(high) = high {
            stretches.push(Stretch { high, low: i16::MIN, start: 0 });
        }
        stretches
    }

    fn note(&mut self, reached: &Reached<'_>, now: Instant) {
        let mut last = BTreeMap::new();
        for (priority, position) in reached.messages {
            let last: &mut i64 = last.entry(*priority).or_default();
            *last = (*last).max(*position);
        }
        for (priority, position) in &last {
            self.level(*priority, now).raise(*position, now);
        }
        if reached.was_through
            && reached.is_full
            && let Some((lowest, position)) = last.first_key_value()
        {
            self.fall_back(*lowest, *position, now);
        }
        self.keep_to_bound();
    }

    /// Everything from its beginning gave all that was asked for: what follows the last message,
    /// of the `lowest` priority and at `position`, was not looked at, wherever others have been.
    fn fall_back(&mut self, lowest: i16, position: i64, now: Instant) {
        self.levels.retain(|level| level.priority >= lowest);
        let level = self.level(lowest, now);
        level.settled = level.settled.min(position);
        (level.rising, level.since) = (position, now);
    }

    fn level(&mut self, priority: i16, now: Instant) -> &mut Level {
        let place = self.levels.partition_point(|level| level.priority > priority);
        if self.levels.get(place).is_none_or(|level| level.priority != priority) {
            let level = Level { priority, settled: 0, rising: 0, since: now };
            self.levels.insert(place, level);
        }
        &mut self.levels[place]
    }

    /// The levels that were noted longest ago go.
    fn keep_to_bound(&mut self) {
        while self.levels.len() > LEVELS_MAX {
            let oldest = self.levels.iter().enumerate().min_by_key(|(_, level)| level.since);
            let Some(place) = oldest.map(|(place, _)| place) else { return };
            self.levels.remove(place);
        }
    }
}

impl Level {
    fn raise(&mut self, position: i64, now: Instant) {
        if self.rising == 0 || now.saturating_duration_since(self.since) >= SETTLED {
            self.settled = self.settled.max(self.rising);
            (self.rising, self.since) = (position.max(self.rising), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: QueueId = QueueId(1);

    struct Bed {
        frontiers: Frontiers,
        now: Instant,
    }

    impl Bed {
        fn new() -> Self {
            Self { frontiers: Frontiers::default(), now: Instant::now() }
        }

        fn later(&mut self, by: Duration) -> &mut Self {
            self.now += by;
            self
        }

        /// A claim of `most` that brings these messages; where it began.
        fn claim(&self, most: usize, messages: &[(i16, i64)]) -> Vec<Stretch> {
            let (stretches, was_through) = self.frontiers.stretches(QUEUE, self.now, LOOK_THROUGH);
            let is_full = messages.len() >= most;
            let reached = Reached { messages, is_full, was_through };
            self.frontiers.reached(QUEUE, &reached, self.now);
            stretches
        }
    }

    fn of(priority: i16, start: i64) -> Stretch {
        Stretch { high: priority, low: priority, start }
    }

    fn gap(high: i16, low: i16) -> Stretch {
        Stretch { high, low, start: 0 }
    }

    #[test]
    fn a_claim_begins_where_claims_were_a_while_ago() {
        let mut bed = Bed::new();
        assert_eq!(bed.claim(2, &[(0, 10)]), [Stretch::EVERYTHING]);
        bed.later(SETTLED / 2).claim(2, &[(0, 20)]);
        let first = bed.later(SETTLED / 2).claim(2, &[(0, 30)]);
        assert_eq!(first[1], of(0, 0), "nothing has settled yet");
        let then = bed.later(Duration::from_millis(1)).claim(2, &[(0, 31)]);
        assert_eq!(then, [gap(i16::MAX, 1), of(0, 10), gap(-1, i16::MIN)]);
    }

    #[test]
    fn everything_is_looked_through_ever_so_often_and_on_request() {
        let mut bed = Bed::new();
        bed.claim(2, &[(0, 10)]);
        assert_ne!(bed.later(LOOK_THROUGH / 2).claim(2, &[(0, 11)]), [Stretch::EVERYTHING]);
        assert_eq!(bed.later(LOOK_THROUGH / 2).claim(2, &[(0, 12)]), [Stretch::EVERYTHING]);
        assert_ne!(bed.claim(2, &[]), [Stretch::EVERYTHING]);
        bed.frontiers.look_through();
        assert_eq!(bed.claim(2, &[]), [Stretch::EVERYTHING]);
        bed.later(LOOK_THROUGH_IDLE);
        let (_, is_everything) = bed.frontiers.stretches(QUEUE, bed.now, LOOK_THROUGH_IDLE);
        assert!(is_everything);
    }

    #[test]
    fn a_backlog_behind_is_gone_through_in_order_once_it_was_seen() {
        let mut bed = Bed::new();
        for position in 100..104 {
            bed.later(SETTLED).claim(2, &[(0, position)]);
        }
        bed.frontiers.look_through();
        // Replayed events: two old ones come first, and there are more.
        bed.claim(2, &[(0, 5), (0, 6)]);
        let next = bed.later(Duration::from_millis(1)).claim(2, &[(0, 7), (0, 8)]);
        assert_eq!(next[1], of(0, 6));
    }

    #[test]
    fn a_flood_of_high_priority_hides_nothing_of_a_lower_one() {
        let mut bed = Bed::new();
        bed.claim(2, &[(0, 1), (0, 2)]);
        for position in 100..110 {
            let messages = [(9, position), (9, position + 1)];
            let stretches = bed.later(SETTLED / 2).claim(2, &messages);
            let low = stretches.iter().find(|s| s.low <= 0 && 0 <= s.high).unwrap();
            assert!(low.start <= 2, "{stretches:?}");
        }
    }

    #[test]
    fn stretches_cover_every_priority_once_and_the_number_of_levels_is_bounded() {
        let mut bed = Bed::new();
        let priorities = [i16::MAX, 7, 6, 3, 0, -1, -9, -10, -700, i16::MIN, 1000];
        for (n, priority) in priorities.into_iter().enumerate() {
            let position = i64::try_from(n).unwrap() + 1;
            bed.later(Duration::from_millis(1)).claim(2, &[(priority, position)]);
        }
        let stretches = bed.claim(2, &[]);
        let mut next = i32::from(i16::MAX);
        for stretch in &stretches {
            assert_eq!(i32::from(stretch.high), next, "{stretches:?}");
            assert!(stretch.low <= stretch.high);
            next = i32::from(stretch.low) - 1;
        }
        assert_eq!(next, i32::from(i16::MIN) - 1);
        assert!(stretches.len() <= 2 * LEVELS_MAX + 1);
    }
}
