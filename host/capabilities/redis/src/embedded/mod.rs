//! A small Redis in this process: strings, sets, hashes, lists, sorted sets, expiry, channels,
//! bounded memory. It is gone when the process ends, like a Redis that persists nothing.
//! Refuses to know components: keys arrive with their prefix.

pub(crate) mod arguments;
pub(crate) mod hashes;
pub(crate) mod keys;
pub(crate) mod keyspace;
pub(crate) mod lists;
pub(crate) mod pattern;
pub(crate) mod sets;
pub(crate) mod sorted;
pub(crate) mod sorted_ranges;
pub(crate) mod strings;
pub(crate) mod talk;
pub(crate) mod value;

use crate::commands::{self, Effect};
use crate::{Backend, Messages, RedisError};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use keyspace::Keyspace;
use nexus_redis_link::{Repeat, Reply};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast::error::RecvError;

/// Where the time comes from; tests move it.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The backend. One lock for all keys: commands take microseconds, and commands on many keys are
/// atomic, as on a server.
pub struct Embedded {
    keyspace: Mutex<Keyspace>,
    clock: Clock,
}

impl Embedded {
    /// Holds at most about `bytes_max` bytes; commands that need more are refused as a server
    /// with the policy `noeviction` refuses them.
    pub fn new(bytes_max: usize) -> Self {
        Self::with_clock(bytes_max, Arc::new(SystemTime::now))
    }

    /// As [`Embedded::new`], with another clock: keys expire by it.
    pub fn with_clock(bytes_max: usize, clock: Clock) -> Self {
        Self { keyspace: Mutex::new(Keyspace::new(bytes_max)), clock }
    }

    /// Bytes held now, bookkeeping included.
    pub fn bytes(&self) -> usize {
        self.keyspace().bytes()
    }

    fn keyspace(&self) -> MutexGuard<'_, Keyspace> {
        self.keyspace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, command: &[Bytes]) -> Result<Reply, RedisError> {
        let (name, arguments) =
            command.split_first().ok_or_else(|| RedisError::refused("ERR", "empty command"))?;
        let name = String::from_utf8_lossy(name);
        let command = commands::find(&name).ok_or_else(|| {
            RedisError::refused("ERR", format!("unknown command '{}'", name.escape_debug()))
        })?;
        command.check_count(arguments.len())?;
        let since_epoch = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut keyspace = self.keyspace();
        keyspace.tick(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX));
        if command.effect == Effect::Grows && keyspace.is_full() {
            let text = "command not allowed when used memory > 'maxmemory'.";
            return Err(RedisError::refused("OOM", text));
        }
        (command.run)(&mut keyspace, arguments)
    }
}

#[async_trait]
impl Backend for Embedded {
    async fn run(&self, command: Vec<Bytes>, _repeat: Repeat) -> Result<Reply, RedisError> {
        self.answer(&command)
    }

    async fn subscribe(&self, channel: Bytes) -> Result<Messages, RedisError> {
        let messages = self.keyspace().listen(channel);
        let next = stream::unfold(messages, |mut messages| async move {
            loop {
                match messages.recv().await {
                    Ok(message) => return Some((message, messages)),
                    Err(RecvError::Lagged(lost)) => {
                        tracing::warn!(lost, "a listener was too slow for its channel");
                    }
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        Ok(next.boxed())
    }
}
