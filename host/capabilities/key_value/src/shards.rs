//! The entries of every embedded store, in memory, cut into shards so that cores rarely wait for
//! each other. Refuses to know files.

use crate::KeyValueError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

const SHARDS: usize = 16;

/// What one entry costs besides its bytes: tree node, reference counts, allocator.
const ENTRY_BYTES: u64 = 96;

/// Sorted, so that a listing can go on where it stopped whatever changed in between.
type Shard = BTreeMap<Box<[u8]>, Bytes>;

pub(crate) struct Shards {
    shards: [RwLock<Shard>; SHARDS],
    hasher: RandomState,
    bytes: AtomicU64,
}

/// Where a listing goes on: a shard, and the last name seen in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Position {
    shard: usize,
    after: Option<Box<[u8]>>,
}

impl Shards {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::new(),
            bytes: AtomicU64::new(0),
        }
    }

    /// What all entries cost, bookkeeping included.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, label: &str, key: &str) -> Option<Bytes> {
        let name = name(label, key);
        let shard = self.shard(&name).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(&name).cloned()
    }

    /// Puts an entry, unless that makes the total grow beyond `limit` bytes. Calls `before` under
    /// the shard's lock: what it writes down is in the order in which readers see it.
    pub(crate) fn set<R>(
        &self,
        label: &str,
        key: &str,
        value: Bytes,
        limit: u64,
        before: impl FnOnce() -> Result<R, KeyValueError>,
    ) -> Result<R, KeyValueError> {
        let name = name(label, key);
        let mut shard = self.shard(&name).write().unwrap_or_else(PoisonError::into_inner);
        let old = shard.get(&name).map_or(0, |value| cost(&name, value));
        let new = cost(&name, &value);
        if new > old {
            // Reserved first, so that shards filling up at once do not overshoot together.
            let total = self.bytes.fetch_add(new - old, Ordering::Relaxed) + (new - old);
            if total > limit {
                self.bytes.fetch_sub(new - old, Ordering::Relaxed);
                return Err(KeyValueError::Full { limit });
            }
        }
        let outcome = before();
        match &outcome {
            Ok(_) => {
                shard.insert(name, value);
                self.bytes.fetch_sub(old.saturating_sub(new), Ordering::Relaxed);
            }
            Err(_) => {
                self.bytes.fetch_sub(new.saturating_sub(old), Ordering::Relaxed);
            }
        }
        outcome
    }

    /// Removes an entry; `before` as in [`Shards::set`], not called when there is none.
    pub(crate) fn delete<R>(
        &self,
        label: &str,
        key: &str,
        before: impl FnOnce() -> Result<R, KeyValueError>,
    ) -> Result<Option<R>, KeyValueError> {
        let name = name(label, key);
        let mut shard = self.shard(&name).write().unwrap_or_else(PoisonError::into_inner);
        let Some(old) = shard.get(&name).map(|value| cost(&name, value)) else { return Ok(None) };
        let outcome = before()?;
        shard.remove(&name);
        self.bytes.fetch_sub(old, Ordering::Relaxed);
        Ok(Some(outcome))
    }

    /// Up to `count` keys of a label, and where the next call goes on; none after the last.
    pub(crate) fn keys(
        &self,
        label: &str,
        from: Position,
        count: usize,
    ) -> (Vec<String>, Option<Position>) {
        let prefix = name(label, "");
        let mut keys = Vec::new();
        let mut position = from;
        while position.shard < SHARDS {
            let shard = &self.shards[position.shard];
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let start = match &position.after {
                Some(last) => Bound::Excluded(last.clone()),
                None => Bound::Included(prefix.clone()),
            };
            let own = shard.range((start, Bound::Unbounded));
            for (name, _) in own.take_while(|(name, _)| name.starts_with(&prefix)) {
                let key = &name[prefix.len()..];
                keys.push(String::from_utf8_lossy(key).into_owned());
                if keys.len() == count {
                    position.after = Some(name.clone());
                    return (keys, Some(position));
                }
            }
            position = Position { shard: position.shard + 1, after: None };
        }
        (keys, None)
    }

    /// Calls `each` with every entry, shard by shard; entries changed meanwhile may come in their
    /// old or their new state.
    pub(crate) fn copy<E>(
        &self,
        mut each: impl FnMut(&str, &str, &Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        for shard in &self.shards {
            // Cloned, because the disk is slower than those who wait for the lock. Values are
            // reference counts, names are copied.
            let entries: Vec<_> = {
                let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
                shard.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
            };
            for (name, value) in &entries {
                let (label, key) = parts(name);
                each(&label, &key, value)?;
            }
        }
        Ok(())
    }

    fn shard(&self, name: &[u8]) -> &RwLock<Shard> {
        let hash = self.hasher.hash_one(name);
        &self.shards[(hash % SHARDS as u64) as usize]
    }
}

/// A label cannot contain the zero byte that ends it here: see [`crate::Embedded`].
fn name(label: &str, key: &str) -> Box<[u8]> {
    [label.as_bytes(), &[0], key.as_bytes()].concat().into()
}

fn parts(name: &[u8]) -> (String, String) {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&name[..end]), text(name.get(end + 1..).unwrap_or_default()))
}

fn cost(name: &[u8], value: &Bytes) -> u64 {
    (name.len() + value.len()) as u64 + ENTRY_BYTES
}
