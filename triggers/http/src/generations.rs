//! A map that cannot outgrow its bound: what was not touched while the map filled up once is
//! forgotten. Cheaper than an ordered list, and what is in use stays.

use std::collections::HashMap;
use std::hash::Hash;

/// At most twice `half` entries.
pub(crate) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash + Copy, V> Generations<K, V> {
    pub(crate) fn new(half: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: half.max(1) }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if let Some(value) = self.old.remove(key) {
            self.insert(*key, value);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_and_what_is_in_use_stays() {
        let mut map = Generations::new(10);
        map.insert(0, "in use");
        for key in 1..10_000 {
            assert_eq!(map.get_mut(&0), Some(&mut "in use"));
            map.insert(key, "passing by");
            assert!(map.len() <= 20);
        }
        assert_eq!(map.get_mut(&1), None);
        assert!(map.get_mut(&9_999).is_some());
    }
}
