//! A bounded store of entries, a lane for each component: what is too much goes from the lane that
//! takes the most room, its oldest entry first.

use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};

/// What an entry says about itself.
pub(super) trait Entry: Clone {
    fn number(&self) -> u64;
    /// Whose it is; empty for the host itself.
    fn lane(&self) -> &str;
    /// Memory it takes, nearly.
    fn bytes(&self) -> usize;
}

pub(super) struct Lanes<E> {
    /// By names of components, which are not made to meet.
    lanes: HashMap<String, Lane<E>, RandomState>,
    bytes: usize,
    bytes_max: usize,
}

struct Lane<E> {
    /// With the bytes of each; their numbers ascend. One behind the other in memory: an entry that
    /// goes was not looked at for long, and would be waited for.
    entries: VecDeque<(usize, E)>,
    bytes: usize,
}

impl<E: Entry> Lanes<E> {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { lanes: HashMap::default(), bytes: 0, bytes_max }
    }

    /// The number of `entry` is greater than every one before.
    pub(super) fn push(&mut self, entry: E) {
        let bytes = entry.bytes();
        match self.lanes.get_mut(entry.lane()) {
            Some(lane) => {
                lane.bytes += bytes;
                lane.entries.push_back((bytes, entry));
            }
            None => {
                let name = entry.lane().to_owned();
                let lane = Lane { entries: VecDeque::from([(bytes, entry)]), bytes };
                self.lanes.insert(name, lane);
            }
        }
        self.bytes += bytes;
        while self.bytes > self.bytes_max && self.drop_one() {}
    }

    /// False when there is nothing left.
    fn drop_one(&mut self) -> bool {
        let Some(widest) = self.lanes.values_mut().max_by_key(|lane| lane.bytes) else {
            return false;
        };
        let Some((bytes, _oldest)) = widest.entries.pop_front() else { return false };
        widest.bytes -= bytes;
        self.bytes -= bytes;
        if widest.entries.is_empty() {
            self.lanes.retain(|_, lane| !lane.entries.is_empty());
        }
        true
    }

    /// The latest first; of one lane if it is named.
    pub(super) fn latest(
        &self,
        lane: Option<&str>,
        before: Option<u64>,
        rows_max: usize,
        fits: impl Fn(&E) -> bool,
    ) -> Vec<E> {
        let wanted = |name: &str| lane.is_none_or(|lane| lane == name);
        let lanes = self.lanes.iter().filter(|(name, _)| wanted(name));
        let found = lanes.flat_map(|(_, lane)| {
            let older = lane.latest().filter(|entry| before.is_none_or(|n| entry.number() < n));
            older.filter(|entry| fits(entry)).take(rows_max)
        });
        copies(found.collect(), rows_max)
    }

    /// What came after a number, the latest first.
    pub(super) fn since(&self, number: u64, rows_max: usize) -> Vec<E> {
        let found = self.lanes.values().flat_map(|lane| {
            lane.latest().take_while(|entry| entry.number() > number).take(rows_max)
        });
        copies(found.collect(), rows_max)
    }
}

impl<E> Lane<E> {
    fn latest(&self) -> impl Iterator<Item = &E> {
        self.entries.iter().rev().map(|(_, entry)| entry)
    }
}

/// The latest first. Chosen before they are copied: whoever tells something waits meanwhile.
fn copies<E: Entry>(mut found: Vec<&E>, rows_max: usize) -> Vec<E> {
    found.sort_by_key(|entry| std::cmp::Reverse(entry.number()));
    found.into_iter().take(rows_max).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Word(u64, &'static str);

    impl Entry for Word {
        fn number(&self) -> u64 {
            self.0
        }
        fn lane(&self) -> &str {
            self.1
        }
        fn bytes(&self) -> usize {
            10
        }
    }

    fn numbers(found: Vec<Word>) -> Vec<u64> {
        found.iter().map(|word| word.0).collect()
    }

    #[test]
    fn who_says_much_loses_their_own_words_first() {
        let mut lanes = Lanes::new(100);
        lanes.push(Word(1, "quiet"));
        for number in 2..1_000 {
            lanes.push(Word(number, "loud"));
        }
        lanes.push(Word(1_000, "quiet"));
        assert_eq!(lanes.bytes, 100);
        assert_eq!(numbers(lanes.latest(Some("quiet"), None, 9, |_| true)), [1_000, 1]);
        assert_eq!(lanes.latest(Some("loud"), None, 99, |_| true).len(), 8);
    }

    #[test]
    fn the_latest_come_first_whichever_lane_they_are_in() {
        let mut lanes = Lanes::new(1_000);
        for (number, lane) in [(1, "a"), (2, "b"), (3, "a"), (4, "b"), (5, "a")] {
            lanes.push(Word(number, lane));
        }
        assert_eq!(numbers(lanes.latest(None, None, 3, |_| true)), [5, 4, 3]);
        assert_eq!(numbers(lanes.latest(None, Some(4), 9, |_| true)), [3, 2, 1]);
        assert_eq!(numbers(lanes.latest(None, None, 9, |word| word.0 % 2 == 0)), [4, 2]);
        let mut since: Vec<u64> = lanes.since(3, 9).iter().map(|word| word.0).collect();
        since.sort_unstable();
        assert_eq!(since, [4, 5]);
    }

    #[test]
    fn an_entry_that_is_larger_than_all_room_goes_at_once() {
        let mut lanes = Lanes::new(5);
        lanes.push(Word(1, "a"));
        assert_eq!((lanes.bytes, lanes.lanes.len()), (0, 0));
    }
}
