//! The prepared statements of one connection, newest use first out of reach of eviction. Refuses
//! to know what the statements say.

use crate::statement::Effect;
use std::collections::HashMap;
use tokio_postgres::Statement;

/// Statements kept per connection. A service has some dozens; each costs the server some tens of
/// kilobytes.
const STATEMENTS_MAX: usize = 128;

/// Longer texts are generated ones, seen once: they are prepared, used and dropped.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// A statement the server has parsed, and what running it leaves behind.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) statement: Statement,
    pub(crate) effect: Effect,
    /// Running it may make work for a queue.
    pub(crate) makes_work: bool,
}

/// Least recently used out.
#[derive(Default)]
pub(crate) struct Cache {
    entries: HashMap<Box<str>, (Prepared, u64)>,
    clock: u64,
}

impl Cache {
    pub(crate) fn get(&mut self, sql: &str) -> Option<Prepared> {
        let (prepared, used) = self.entries.get_mut(sql)?;
        self.clock += 1;
        *used = self.clock;
        Some(prepared.clone())
    }

    pub(crate) fn put(&mut self, sql: &str, prepared: Prepared) {
        if sql.len() > TEXT_BYTES_MAX {
            return;
        }
        if self.entries.len() >= STATEMENTS_MAX {
            // A scan of a hundred entries, beside a round trip to the server.
            let oldest = self.entries.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(sql, _)| sql.clone()) {
                self.entries.remove(&oldest);
            }
        }
        self.clock += 1;
        self.entries.insert(sql.into(), (prepared, self.clock));
    }

    pub(crate) fn forget(&mut self, sql: &str) {
        self.entries.remove(sql);
    }
}
