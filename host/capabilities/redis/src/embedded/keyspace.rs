//! Every key of the embedded store: its value, when it expires, how much memory it takes, and the
//! order in which a scan meets it. Refuses to know commands.

use super::value::{Kind, Value};
use crate::RedisError;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::sync::broadcast;

/// What a key costs besides its bytes and its value: three table entries.
const KEY_BYTES: usize = 160;

/// Expired keys removed with one command; the rest follows with the next ones. A key is expired
/// for readers the moment it is, removed or not.
const SWEEP: usize = 64;

/// Messages held for a slow listener before it loses the oldest.
const BACKLOG: usize = 1024;

/// Channels with a listener; more than any host has triggers.
const CHANNELS_MAX: usize = 10_000;

pub(crate) struct Keyspace {
    entries: HashMap<Bytes, Entry>,
    /// Serial numbers never change while a key lives, so a scan that remembers the last one meets
    /// every key that was there all along exactly once.
    by_serial: BTreeMap<u64, Bytes>,
    deadlines: BTreeSet<(u64, u64)>,
    serial: u64,
    bytes: usize,
    bytes_max: usize,
    /// Milliseconds since 1970, as of the running command.
    now: u64,
    channels: HashMap<Bytes, broadcast::Sender<Bytes>>,
}

pub(crate) struct Entry {
    serial: u64,
    pub(crate) value: Value,
    pub(crate) deadline: Option<u64>,
}

impl Keyspace {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_serial: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            serial: 0,
            bytes: 0,
            bytes_max,
            now: 0,
            channels: HashMap::new(),
        }
    }

    /// Begins a command.
    pub(crate) fn tick(&mut self, now: u64) {
        self.now = now;
        for _ in 0..SWEEP {
            match self.deadlines.first() {
                Some(&(deadline, serial)) if deadline <= now => {
                    let key = self.by_serial.get(&serial).cloned();
                    self.remove(&key.expect("every deadline has its key"));
                }
                _ => return,
            }
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max
    }

    /// The entry, unless it has expired.
    pub(crate) fn entry(&self, key: &[u8]) -> Option<&Entry> {
        let entry = self.entries.get(key)?;
        entry.deadline.is_none_or(|deadline| deadline > self.now).then_some(entry)
    }

    /// The value as one kind.
    pub(crate) fn read<K: Kind>(&self, key: &[u8]) -> Result<Option<&K>, RedisError> {
        let Some(entry) = self.entry(key) else { return Ok(None) };
        K::of(&entry.value).map(Some).ok_or_else(wrong_type)
    }

    /// Changes a collection in place, making it if missing and removing it when left empty.
    /// `change` must leave the value as it was when it fails.
    pub(crate) fn edit<K: Kind, R>(
        &mut self,
        key: &Bytes,
        change: impl FnOnce(&mut K) -> Result<R, RedisError>,
    ) -> Result<R, RedisError> {
        if self.entry(key).is_none() {
            let mut value = K::default();
            let outcome = change(&mut value)?;
            if !value.is_empty() {
                self.put(key, value.into_value(), None);
            }
            return Ok(outcome);
        }
        let entry = self.entries.get_mut(key).expect("looked up above");
        let value = K::of_mut(&mut entry.value).ok_or_else(wrong_type)?;
        let before = value.bytes();
        let outcome = change(value)?;
        self.bytes = self.bytes - before + value.bytes();
        if value.is_empty() {
            self.remove(key);
        }
        Ok(outcome)
    }

    /// Puts a value in place of whatever was there.
    pub(crate) fn put(&mut self, key: &Bytes, value: Value, deadline: Option<u64>) {
        if self.entry(key).is_none() {
            self.remove(key);
        }
        let serial = match self.entries.get(key) {
            Some(old) => {
                self.bytes -= old.value.bytes();
                if let Some(deadline) = old.deadline {
                    self.deadlines.remove(&(deadline, old.serial));
                }
                old.serial
            }
            None => {
                self.serial += 1;
                self.by_serial.insert(self.serial, key.clone());
                self.bytes += key.len() + KEY_BYTES;
                self.serial
            }
        };
        self.bytes += value.bytes();
        self.deadlines.extend(deadline.map(|deadline| (deadline, serial)));
        self.entries.insert(key.clone(), Entry { serial, value, deadline });
    }

    /// Removes a key; true when it was there and had not expired.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let was_there = self.entry(key).is_some();
        if let Some(entry) = self.entries.remove(key) {
            self.by_serial.remove(&entry.serial);
            if let Some(deadline) = entry.deadline {
                self.deadlines.remove(&(deadline, entry.serial));
            }
            self.bytes -= key.len() + KEY_BYTES + entry.value.bytes();
        }
        was_there
    }

    /// Sets when a key expires; false when there is no such key.
    pub(crate) fn set_deadline(&mut self, key: &[u8], deadline: Option<u64>) -> bool {
        if self.entry(key).is_none() {
            return false;
        }
        let entry = self.entries.get_mut(key).expect("looked up above");
        if let Some(old) = entry.deadline {
            self.deadlines.remove(&(old, entry.serial));
        }
        self.deadlines.extend(deadline.map(|deadline| (deadline, entry.serial)));
        entry.deadline = deadline;
        true
    }

    /// Up to `count` keys after a cursor, and the cursor after them; 0 begins and ends.
    pub(crate) fn page(&self, cursor: u64, count: usize) -> (Vec<&Bytes>, u64) {
        let from = cursor.saturating_add(1);
        let page: Vec<_> = self.by_serial.range(from..).take(count).collect();
        let next = match page.last() {
            Some((serial, _)) if page.len() == count => **serial,
            _ => 0,
        };
        (page.into_iter().map(|(_, key)| key).collect(), next)
    }

    /// Sends to whoever listens now; answers how many they are.
    pub(crate) fn publish(&mut self, channel: &[u8], message: Bytes) -> usize {
        let Some(listeners) = self.channels.get(channel) else { return 0 };
        listeners.send(message).unwrap_or_else(|_| {
            self.channels.remove(channel);
            0
        })
    }

    pub(crate) fn listen(&mut self, channel: Bytes) -> broadcast::Receiver<Bytes> {
        if self.channels.len() >= CHANNELS_MAX {
            self.channels.retain(|_, listeners| listeners.receiver_count() > 0);
        }
        let listeners = self.channels.entry(channel);
        listeners.or_insert_with(|| broadcast::Sender::new(BACKLOG)).subscribe()
    }
}

pub(crate) fn wrong_type() -> RedisError {
    RedisError::refused("WRONGTYPE", "Operation against a key holding the wrong kind of value")
}
