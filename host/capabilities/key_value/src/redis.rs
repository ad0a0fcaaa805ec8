//! Stores on a Redis server: one key per entry, `nexus:kv:<label>:<key>`, over the process's one
//! connection. Refuses `KEYS`, which would stop the server for everybody; it scans.

use crate::{Backend, KeyValueError, Keys};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use nexus_redis_link::{Address, Link, LinkError, Reach, Repeat, Reply};
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use tokio::runtime::Handle;

/// Slots the server looks at per `SCAN`: some hundred microseconds of its time.
const SCAN_COUNT: &str = "1000";

/// The backend.
pub struct OnRedis {
    link: Link,
}

impl OnRedis {
    /// Uses the server at `url` (`redis://`, `rediss://` or `unix://`); connects with the first
    /// command. `home` carries the connection: callers come from runtimes that may end before it.
    ///
    /// # Errors
    ///
    /// [`KeyValueError::Unavailable`] when `url` is no Redis address.
    pub fn new(url: &str, home: Handle) -> Result<Self, KeyValueError> {
        let address = Address::parse(url)?;
        Ok(Self { link: Link::new(address, Reach::Anywhere, home) })
    }

    async fn send(&self, command: &[&[u8]]) -> Result<Reply, KeyValueError> {
        // Every command below sets, removes or reads one whole value.
        Ok(self.link.send(command, Repeat::Safe).await?)
    }
}

impl From<LinkError> for KeyValueError {
    fn from(error: LinkError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// `:` ends the label, so a label may not contain it as itself.
fn prefix(label: &str) -> String {
    format!("nexus:kv:{}:", label.replace('%', "%25").replace(':', "%3A"))
}

fn name(label: &str, key: &str) -> String {
    prefix(label) + key
}

#[async_trait]
impl Backend for OnRedis {
    async fn get(&self, label: &str, key: &str) -> Result<Option<Bytes>, KeyValueError> {
        match self.send(&[b"GET", name(label, key).as_bytes()]).await? {
            Reply::Nil => Ok(None),
            Reply::Bytes(value) => Ok(Some(value.into())),
            other => Err(unexpected(&other)),
        }
    }

    async fn set(&self, label: &str, key: &str, value: Bytes) -> Result<(), KeyValueError> {
        self.send(&[b"SET", name(label, key).as_bytes(), &value]).await.map(drop)
    }

    async fn delete(&self, label: &str, key: &str) -> Result<(), KeyValueError> {
        self.send(&[b"DEL", name(label, key).as_bytes()]).await.map(drop)
    }

    async fn exists(&self, label: &str, key: &str) -> Result<bool, KeyValueError> {
        match self.send(&[b"EXISTS", name(label, key).as_bytes()]).await? {
            Reply::Int(n) => Ok(n > 0),
            other => Err(unexpected(&other)),
        }
    }

    fn keys(&self, label: &str) -> Keys {
        let scan = Scan {
            link: self.link.clone(),
            prefix: prefix(label),
            cursor: Some(b"0".to_vec()),
            seen: Seen::default(),
        };
        stream::unfold(scan, |mut scan| async move {
            let batch = scan.next().await?;
            Some((batch, scan))
        })
        .boxed()
    }
}

fn unexpected(reply: &Reply) -> KeyValueError {
    let shape = match reply {
        Reply::Nil => "nothing",
        Reply::Status(_) => "a status",
        Reply::Int(_) => "a number",
        Reply::Bytes(_) => "bytes",
        Reply::List(_) => "a list",
    };
    KeyValueError::Unavailable(format!("Redis answered {shape} where it should not"))
}

struct Scan {
    link: Link,
    prefix: String,
    /// None after the last page, and after an error.
    cursor: Option<Vec<u8>>,
    seen: Seen,
}

impl Scan {
    async fn next(&mut self) -> Option<Result<Vec<String>, KeyValueError>> {
        // Pages without a key of ours are common in a server that others use too.
        while let Some(cursor) = self.cursor.take() {
            let pattern = escaped(&self.prefix) + "*";
            let command: [&[u8]; 6] =
                [b"SCAN", &cursor, b"MATCH", pattern.as_bytes(), b"COUNT", SCAN_COUNT.as_bytes()];
            let page = match self.link.send(&command, Repeat::Safe).await {
                Ok(reply) => page(reply),
                Err(error) => return Some(Err(error.into())),
            };
            let (next, names) = match page {
                Ok(page) => page,
                Err(error) => return Some(Err(error)),
            };
            self.cursor = (next != b"0").then_some(next);
            let keys: Vec<String> = names.into_iter().filter_map(|name| self.key(name)).collect();
            if !keys.is_empty() {
                return Some(Ok(keys));
            }
        }
        None
    }

    /// The key inside a Redis name; none for what this interface cannot have written.
    fn key(&mut self, name: Vec<u8>) -> Option<String> {
        let name = String::from_utf8(name).ok()?;
        let key = name.strip_prefix(&self.prefix)?;
        self.seen.is_new(key).then(|| key.to_string())
    }
}

fn page(reply: Reply) -> Result<(Vec<u8>, Vec<Vec<u8>>), KeyValueError> {
    let Reply::List(parts) = reply else { return Err(unexpected(&reply)) };
    let [Reply::Bytes(cursor), Reply::List(names)] =
        <[Reply; 2]>::try_from(parts).map_err(|parts| unexpected(&Reply::List(parts)))?
    else {
        return Err(unexpected(&Reply::Nil));
    };
    let names = names.into_iter().filter_map(|name| match name {
        Reply::Bytes(name) => Some(name),
        _ => None,
    });
    Ok((cursor, names.collect()))
}

/// A prefix as a pattern that matches only itself.
fn escaped(prefix: &str) -> String {
    prefix.chars().fold(String::new(), |mut out, c| {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

/// A server that resizes its table during a scan may return a key twice. Two independent 64-bit
/// hashes remember a key in 16 bytes, whatever its length.
#[derive(Default)]
struct Seen {
    first: RandomState,
    second: RandomState,
    keys: HashSet<(u64, u64)>,
}

impl Seen {
    fn is_new(&mut self, key: &str) -> bool {
        self.keys.insert((self.first.hash_one(key), self.second.hash_one(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_labels_never_name_the_same_entry() {
        assert_ne!(name("a", "b:c"), name("a:b", "c"));
        assert_ne!(prefix("a:b"), prefix("a%3Ab"));
        assert_eq!(escaped(&prefix("a*?[^]\\")), "nexus:kv:a\\*\\?\\[\\^\\]\\\\:");
    }
}
