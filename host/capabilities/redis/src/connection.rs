//! What a guest holds: a way to one server, or into its own part of this host's store. Knows
//! which commands may travel on a shared connection and where their keys are; refuses to know how
//! they are answered.

use crate::commands::{self, Keys};
use crate::{ARGUMENTS_BYTES_MAX, ARGUMENTS_MAX, Backend, OnServer, RedisError};
use bytes::{BufMut as _, Bytes, BytesMut};
use nexus_redis_link::{Repeat, Reply};
use nexus_runtime::ComponentId;
use std::sync::Arc;

/// An open connection; clones share everything.
#[derive(Clone)]
pub struct Connection {
    backend: Arc<dyn Backend>,
    /// Set in our own store: every key and channel of the component begins with it.
    prefix: Option<Bytes>,
}

/// Where a component's keys are in the own store. Component names hold no `:` and nothing that
/// means something in a pattern.
pub(crate) fn prefix(component: &ComponentId) -> Bytes {
    format!("nexus:redis:{component}:").into()
}

pub(crate) fn prefixed(prefix: &Bytes, name: &[u8]) -> Bytes {
    let mut whole = BytesMut::with_capacity(prefix.len() + name.len());
    whole.put_slice(prefix);
    whole.put_slice(name);
    whole.freeze()
}

impl Connection {
    pub(crate) fn to_own(backend: Arc<dyn Backend>, component: &ComponentId) -> Self {
        Self { backend, prefix: Some(prefix(component)) }
    }

    pub(crate) fn to_server(server: OnServer) -> Self {
        Self { backend: Arc::new(server), prefix: None }
    }

    /// Runs any command that a shared connection can carry.
    ///
    /// # Errors
    ///
    /// [`RedisError::NotOffered`], [`RedisError::TooLarge`], [`RedisError::Refused`],
    /// [`RedisError::Unavailable`].
    pub async fn execute(&self, name: &str, arguments: Vec<Bytes>) -> Result<Reply, RedisError> {
        let bytes: usize = arguments.iter().map(Bytes::len).sum();
        if bytes + name.len() > ARGUMENTS_BYTES_MAX || arguments.len() > ARGUMENTS_MAX {
            return Err(RedisError::TooLarge);
        }
        let name = name.to_ascii_lowercase();
        match &self.prefix {
            Some(prefix) => self.execute_own(prefix, &name, arguments).await,
            None => self.execute_there(name, arguments).await,
        }
    }

    async fn execute_own(
        &self,
        prefix: &Bytes,
        name: &str,
        mut arguments: Vec<Bytes>,
    ) -> Result<Reply, RedisError> {
        let command = commands::find(name).ok_or_else(|| RedisError::NotOffered {
            command: name.chars().take(64).collect(),
            reason: "redis://nexus.internal is shared, so it offers only commands whose keys it \
                     can tell apart",
        })?;
        command.check_count(arguments.len())?;
        match command.keys {
            Keys::None => {}
            Keys::First => arguments[0] = prefixed(prefix, &arguments[0]),
            Keys::All => arguments.iter_mut().for_each(|key| *key = prefixed(prefix, key)),
            Keys::Pairs => {
                arguments.iter_mut().step_by(2).for_each(|key| *key = prefixed(prefix, key));
            }
            Keys::Scan => scan_own(prefix, &mut arguments),
        }
        arguments.insert(0, Bytes::from_static(command.name.as_bytes()));
        let reply = self.backend.run(arguments, command.repeat()).await?;
        Ok(if command.keys == Keys::Scan { without(prefix, reply) } else { reply })
    }

    async fn execute_there(
        &self,
        name: String,
        mut arguments: Vec<Bytes>,
    ) -> Result<Reply, RedisError> {
        if let Some(reason) = commands::disturbs(&name, &arguments) {
            return Err(RedisError::NotOffered { command: name, reason });
        }
        let repeat = commands::find(&name).map_or(Repeat::Unsafe, commands::Command::repeat);
        arguments.insert(0, name.into());
        self.backend.run(arguments, repeat).await
    }

    /// # Errors
    ///
    /// As [`Connection::execute`].
    pub async fn publish(&self, channel: String, payload: Bytes) -> Result<(), RedisError> {
        self.execute("publish", vec![channel.into(), payload]).await.map(drop)
    }

    /// # Errors
    ///
    /// As [`Connection::execute`]; an error of type when the key holds something else.
    pub async fn get(&self, key: String) -> Result<Option<Vec<u8>>, RedisError> {
        match self.execute("get", vec![key.into()]).await? {
            Reply::Nil => Ok(None),
            Reply::Bytes(value) => Ok(Some(value)),
            _ => Err(RedisError::Type),
        }
    }

    /// # Errors
    ///
    /// As [`Connection::execute`].
    pub async fn set(&self, key: String, value: Bytes) -> Result<(), RedisError> {
        self.execute("set", vec![key.into(), value]).await.map(drop)
    }

    /// # Errors
    ///
    /// As [`Connection::get`], also when the value is no integer of 64 bits.
    pub async fn incr(&self, key: String) -> Result<i64, RedisError> {
        number(self.execute("incr", vec![key.into()]).await?)
    }

    /// # Errors
    ///
    /// As [`Connection::execute`].
    pub async fn del(&self, keys: Vec<String>) -> Result<u32, RedisError> {
        if keys.is_empty() {
            return Ok(0);
        }
        count(self.execute("del", keys.into_iter().map(Bytes::from).collect()).await?)
    }

    /// # Errors
    ///
    /// As [`Connection::get`].
    pub async fn sadd(&self, key: String, values: Vec<String>) -> Result<u32, RedisError> {
        self.members("sadd", key, values).await
    }

    /// # Errors
    ///
    /// As [`Connection::get`].
    pub async fn srem(&self, key: String, values: Vec<String>) -> Result<u32, RedisError> {
        self.members("srem", key, values).await
    }

    /// # Errors
    ///
    /// As [`Connection::get`], also when a member is not UTF-8, which this interface cannot carry.
    pub async fn smembers(&self, key: String) -> Result<Vec<String>, RedisError> {
        let Reply::List(members) = self.execute("smembers", vec![key.into()]).await? else {
            return Err(RedisError::Type);
        };
        let text = |member| match member {
            Reply::Bytes(bytes) => String::from_utf8(bytes).map_err(|_| RedisError::Type),
            _ => Err(RedisError::Type),
        };
        members.into_iter().map(text).collect()
    }

    async fn members(
        &self,
        name: &str,
        key: String,
        values: Vec<String>,
    ) -> Result<u32, RedisError> {
        if values.is_empty() {
            return Ok(0);
        }
        let arguments = std::iter::once(key).chain(values).map(Bytes::from).collect();
        count(self.execute(name, arguments).await?)
    }
}

fn number(reply: Reply) -> Result<i64, RedisError> {
    match reply {
        Reply::Int(n) => Ok(n),
        _ => Err(RedisError::Type),
    }
}

fn count(reply: Reply) -> Result<u32, RedisError> {
    number(reply).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// Narrows a scan to the component's own keys. (Of several patterns the last one counts.)
fn scan_own(prefix: &Bytes, arguments: &mut Vec<Bytes>) {
    let mut options = arguments.iter_mut().skip(1);
    let mut narrowed = false;
    while let (Some(option), Some(value)) = (options.next(), options.next()) {
        if option.eq_ignore_ascii_case(b"match") {
            *value = prefixed(prefix, value);
            narrowed = true;
        }
    }
    if !narrowed {
        arguments.push(Bytes::from_static(b"MATCH"));
        arguments.push(prefixed(prefix, b"*"));
    }
}

/// The names in a page of a scan, as the component knows them.
fn without(prefix: &Bytes, mut reply: Reply) -> Reply {
    if let Reply::List(parts) = &mut reply
        && let Some(Reply::List(names)) = parts.get_mut(1)
    {
        names.retain_mut(|name| match name {
            Reply::Bytes(name) if name.starts_with(prefix) => {
                name.drain(..prefix.len());
                true
            }
            _ => false,
        });
    }
    reply
}
