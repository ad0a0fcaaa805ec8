//! Commands on keys of any kind: existence, expiry, type, scan.

use super::arguments::{count, flag, integer, is, syntax};
use super::keyspace::Keyspace;
use super::pattern;
use crate::RedisError;
use bytes::Bytes;
use nexus_redis_link::Reply;

type Outcome = Result<Reply, RedisError>;

/// Keys one page of a scan looks at; more would hold the lock for others.
const PAGE_MAX: i64 = 10_000;

pub(crate) fn del(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    Ok(count(arguments.iter().filter(|key| keyspace.remove(key)).count()))
}

/// A key named twice counts twice, as in Redis.
pub(crate) fn exists(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    Ok(count(arguments.iter().filter(|key| keyspace.entry(key).is_some()).count()))
}

pub(crate) fn kind(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let kind = keyspace.entry(&arguments[0]).map_or("none", |entry| entry.value.kind());
    Ok(Reply::Status(kind.into()))
}

pub(crate) fn ttl(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    Ok(remaining(keyspace, &arguments[0], |ms| (ms + 500) / 1000))
}

pub(crate) fn pttl(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    Ok(remaining(keyspace, &arguments[0], |ms| ms))
}

/// -2 without the key, -1 without a deadline.
fn remaining(keyspace: &Keyspace, key: &[u8], unit: fn(u64) -> u64) -> Reply {
    let Some(entry) = keyspace.entry(key) else { return Reply::Int(-2) };
    let left = entry.deadline.map(|deadline| unit(deadline.saturating_sub(keyspace.now())));
    Reply::Int(left.map_or(-1, |left| i64::try_from(left).unwrap_or(i64::MAX)))
}

pub(crate) fn persist(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let timed = keyspace.entry(&arguments[0]).is_some_and(|entry| entry.deadline.is_some());
    Ok(flag(timed && keyspace.set_deadline(&arguments[0], None)))
}

pub(crate) fn expire(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let from = keyspace.now();
    set_deadline(keyspace, arguments, 1000, from, "expire")
}

pub(crate) fn pexpire(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let from = keyspace.now();
    set_deadline(keyspace, arguments, 1, from, "pexpire")
}

pub(crate) fn expireat(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    set_deadline(keyspace, arguments, 1000, 0, "expireat")
}

pub(crate) fn pexpireat(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    set_deadline(keyspace, arguments, 1, 0, "pexpireat")
}

/// A deadline in the past removes the key at once.
fn set_deadline(
    keyspace: &mut Keyspace,
    arguments: &[Bytes],
    unit: i64,
    from: u64,
    command: &str,
) -> Outcome {
    let key = &arguments[0];
    let conditions = Conditions::read(&arguments[2..])?;
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let end = integer(&arguments[1])?.checked_mul(unit).and_then(|ms| ms.checked_add(from));
    let end = end.ok_or_else(|| {
        RedisError::refused("ERR", format!("invalid expire time in '{command}' command"))
    })?;
    let end = u64::try_from(end).unwrap_or(0);
    let Some(entry) = keyspace.entry(key) else { return Ok(flag(false)) };
    if !conditions.allow(entry.deadline, end) {
        return Ok(flag(false));
    }
    match end > keyspace.now() {
        true => _ = keyspace.set_deadline(key, Some(end)),
        false => _ = keyspace.remove(key),
    }
    Ok(flag(true))
}

/// When `EXPIRE` and its kin may change a deadline.
#[derive(Default)]
struct Conditions {
    only_without: bool,
    only_with: bool,
    only_later: bool,
    only_earlier: bool,
}

impl Conditions {
    fn read(words: &[Bytes]) -> Result<Self, RedisError> {
        let mut this = Self::default();
        for word in words {
            match word {
                w if is(w, "nx") => this.only_without = true,
                w if is(w, "xx") => this.only_with = true,
                w if is(w, "gt") => this.only_later = true,
                w if is(w, "lt") => this.only_earlier = true,
                word => {
                    let word = String::from_utf8_lossy(word);
                    return Err(RedisError::refused("ERR", format!("Unsupported option {word}")));
                }
            }
        }
        let others = this.only_with || this.only_later || this.only_earlier;
        if this.only_without && others {
            let text = "NX and XX, GT or LT options at the same time are not compatible";
            return Err(RedisError::refused("ERR", text));
        }
        if this.only_later && this.only_earlier {
            let text = "GT and LT options at the same time are not compatible";
            return Err(RedisError::refused("ERR", text));
        }
        Ok(this)
    }

    /// No deadline counts as the latest of all.
    fn allow(&self, current: Option<u64>, end: u64) -> bool {
        let refused = self.only_without && current.is_some()
            || self.only_with && current.is_none()
            || self.only_later && current.is_none_or(|current| end <= current)
            || self.only_earlier && current.is_some_and(|current| end >= current);
        !refused
    }
}

pub(crate) fn scan(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let cursor = integer(&arguments[0]).ok().and_then(|cursor| u64::try_from(cursor).ok());
    let cursor = cursor.ok_or_else(|| RedisError::refused("ERR", "invalid cursor"))?;
    let (mut page, mut wanted, mut kind) = (10, None, None);
    let mut options = arguments[1..].iter();
    while let Some(option) = options.next() {
        let value = options.next().ok_or_else(syntax)?;
        if is(option, "match") {
            wanted = Some(value);
        } else if is(option, "type") {
            kind = Some(String::from_utf8_lossy(value).to_ascii_lowercase());
        } else if is(option, "count") {
            page = integer(value)?;
        } else {
            return Err(syntax());
        }
    }
    if page < 1 {
        return Err(syntax());
    }
    let page = usize::try_from(page.min(PAGE_MAX)).expect("between 1 and the maximum");
    let (keys, next) = keyspace.page(cursor, page);
    let names = keys.into_iter().filter(|key| {
        wanted.is_none_or(|wanted| pattern::matches(wanted, key))
            && keyspace
                .entry(key)
                .is_some_and(|entry| kind.as_ref().is_none_or(|kind| kind == entry.value.kind()))
    });
    let names = names.map(|key| Reply::Bytes(key.to_vec())).collect();
    Ok(Reply::List(vec![Reply::Bytes(next.to_string().into_bytes()), Reply::List(names)]))
}
