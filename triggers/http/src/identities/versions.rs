//! When what was read last changed, without a lock and in fixed memory: one counter of changes, and
//! for each thing that may change the number of its last change. Things share places by hash, so a
//! change may look like one of a neighbour, which costs a lookup; a change is never overlooked.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Places: 128 KiB.
const PLACES: usize = 1 << 14;

/// The place of the signing keys, which nothing else has.
pub(crate) const KEYS: Place = Place(0);

/// Where one thing's last change is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u32);

/// A moment: all changes up to this number are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AsOf(u64);

/// The changes of one directory.
pub(crate) struct Versions {
    count: AtomicU64,
    /// Everything may have changed then.
    floor: AtomicU64,
    places: Box<[AtomicU64]>,
    hash: RandomState,
}

impl Versions {
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            hash: RandomState::new(),
        }
    }

    pub(crate) fn place(&self, of: impl Hash) -> Place {
        let hash = self.hash.hash_one(of) as usize % (PLACES - 1);
        Place(1 + hash as u32)
    }

    /// To be taken before reading: whatever changes after this is seen by [`Versions::stands`].
    pub(crate) fn now(&self) -> AsOf {
        AsOf(self.count.load(SeqCst))
    }

    /// Whoever reads after this returns must read what the change has made.
    pub(crate) fn changed(&self, place: Place) {
        let number = self.count.fetch_add(1, SeqCst) + 1;
        self.places[place.0 as usize].fetch_max(number, SeqCst);
    }

    pub(crate) fn all_changed(&self) {
        let number = self.count.fetch_add(1, SeqCst) + 1;
        self.floor.fetch_max(number, SeqCst);
    }

    /// Whether nothing at these places has changed since `as_of`.
    pub(crate) fn stands(&self, as_of: AsOf, places: &[Place]) -> bool {
        let since = |place: &Place| self.places[place.0 as usize].load(SeqCst) <= as_of.0;
        self.floor.load(SeqCst) <= as_of.0 && places.iter().all(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_stands_until_it_changes_or_everything_does() {
        let versions = Versions::new();
        let (one, other) = (Place(1), Place(2));
        let read = versions.now();
        assert!(versions.stands(read, &[one, other, KEYS]));
        versions.changed(other);
        assert!(versions.stands(read, &[one]) && !versions.stands(read, &[one, other]));
        let again = versions.now();
        assert!(versions.stands(again, &[one, other]));
        versions.all_changed();
        assert!(!versions.stands(again, &[]));
        assert!(versions.stands(versions.now(), &[one, other]));
    }

    #[test]
    fn nothing_shares_a_place_with_the_keys() {
        let versions = Versions::new();
        assert!((0..100_000).all(|n| versions.place(n) != KEYS));
    }
}
