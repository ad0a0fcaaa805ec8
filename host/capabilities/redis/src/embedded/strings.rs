//! Commands on strings. Their argument counts are checked by the table of commands.

use super::arguments::{count, flag, integer, is, maybe, sum, syntax};
use super::keyspace::{Keyspace, wrong_type};
use super::value::Value;
use crate::RedisError;
use bytes::Bytes;
use nexus_redis_link::Reply;

type Outcome = Result<Reply, RedisError>;

/// A string grown by `APPEND` stays below this; each append copies it.
const APPENDED_MAX: usize = 8 << 20;

fn text<'a>(keyspace: &'a Keyspace, key: &[u8]) -> Result<Option<&'a Bytes>, RedisError> {
    match keyspace.entry(key).map(|entry| &entry.value) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_type()),
    }
}

fn deadline(keyspace: &Keyspace, key: &[u8]) -> Option<u64> {
    keyspace.entry(key)?.deadline
}

pub(crate) fn get(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    Ok(maybe(text(keyspace, &arguments[0])?))
}

pub(crate) fn strlen(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    Ok(count(text(keyspace, &arguments[0])?.map_or(0, Bytes::len)))
}

/// Keys of other kinds count as missing here, as in Redis.
pub(crate) fn mget(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let value = |key: &Bytes| maybe(text(keyspace, key).ok().flatten());
    Ok(Reply::List(arguments.iter().map(value).collect()))
}

pub(crate) fn mset(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    for pair in arguments.chunks_exact(2) {
        keyspace.put(&pair[0], Value::Text(pair[1].clone()), None);
    }
    Ok(Reply::ok())
}

/// The options of `SET`, read from left to right.
#[derive(Default)]
struct Options {
    deadline: Option<u64>,
    keep_deadline: bool,
    only_missing: bool,
    only_present: bool,
    answer_old: bool,
}

impl Options {
    fn read(keyspace: &Keyspace, arguments: &[Bytes]) -> Result<Self, RedisError> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            let timed = options.deadline.is_some() || options.keep_deadline;
            if is(word, "nx") && !options.only_present {
                options.only_missing = true;
            } else if is(word, "xx") && !options.only_missing {
                options.only_present = true;
            } else if is(word, "get") {
                options.answer_old = true;
            } else if is(word, "keepttl") && !timed {
                options.keep_deadline = true;
            } else if !timed && ["ex", "px", "exat", "pxat"].iter().any(|unit| is(word, unit)) {
                let amount = integer(rest.next().ok_or_else(syntax)?)?;
                let seconds = is(word, "ex") || is(word, "exat");
                let absolute = is(word, "exat") || is(word, "pxat");
                let from = if absolute { 0 } else { keyspace.now() };
                options.deadline = Some(moment(amount, seconds, from, "set")?);
            } else {
                return Err(syntax());
            }
        }
        Ok(options)
    }
}

/// A time to live must be positive and end before time does.
fn moment(amount: i64, seconds: bool, from: u64, command: &str) -> Result<u64, RedisError> {
    let amount = u64::try_from(amount).ok().filter(|amount| *amount > 0);
    let end = amount
        .and_then(|amount| amount.checked_mul(if seconds { 1000 } else { 1 }))
        .and_then(|ms| ms.checked_add(from))
        .filter(|end| i64::try_from(*end).is_ok());
    let text = || format!("invalid expire time in '{command}' command");
    end.ok_or_else(|| RedisError::refused("ERR", text()))
}

pub(crate) fn set(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let (key, value) = (&arguments[0], &arguments[1]);
    let options = Options::read(keyspace, &arguments[2..])?;
    let old = match options.answer_old {
        true => Some(maybe(text(keyspace, key)?)),
        false => None,
    };
    let present = keyspace.entry(key).is_some();
    if options.only_missing && present || options.only_present && !present {
        return Ok(old.unwrap_or(Reply::Nil));
    }
    let kept = deadline(keyspace, key).filter(|_| options.keep_deadline);
    keyspace.put(key, Value::Text(value.clone()), options.deadline.or(kept));
    Ok(old.unwrap_or_else(Reply::ok))
}

pub(crate) fn setnx(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let missing = keyspace.entry(&arguments[0]).is_none();
    if missing {
        keyspace.put(&arguments[0], Value::Text(arguments[1].clone()), None);
    }
    Ok(flag(missing))
}

pub(crate) fn setex(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    set_timed(keyspace, arguments, true, "setex")
}

pub(crate) fn psetex(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    set_timed(keyspace, arguments, false, "psetex")
}

fn set_timed(k: &mut Keyspace, arguments: &[Bytes], seconds: bool, name: &str) -> Outcome {
    let end = moment(integer(&arguments[1])?, seconds, k.now(), name)?;
    k.put(&arguments[0], Value::Text(arguments[2].clone()), Some(end));
    Ok(Reply::ok())
}

pub(crate) fn getset(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let old = maybe(text(keyspace, &arguments[0])?);
    keyspace.put(&arguments[0], Value::Text(arguments[1].clone()), None);
    Ok(old)
}

pub(crate) fn getdel(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let old = maybe(text(keyspace, &arguments[0])?);
    keyspace.remove(&arguments[0]);
    Ok(old)
}

pub(crate) fn append(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let key = &arguments[0];
    let old = text(keyspace, key)?.cloned().unwrap_or_default();
    let whole = match old.len() + arguments[1].len() {
        length if length > APPENDED_MAX => {
            return Err(RedisError::refused("ERR", "string exceeds maximum allowed size"));
        }
        _ => Bytes::from([&old[..], &arguments[1][..]].concat()),
    };
    let (length, kept) = (whole.len(), deadline(keyspace, key));
    keyspace.put(key, Value::Text(whole), kept);
    Ok(count(length))
}

pub(crate) fn incr(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    add(keyspace, &arguments[0], 1)
}

pub(crate) fn decr(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    add(keyspace, &arguments[0], -1)
}

pub(crate) fn incrby(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    add(keyspace, &arguments[0], integer(&arguments[1])?)
}

pub(crate) fn decrby(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let by = integer(&arguments[1])?.checked_neg();
    let by = by.ok_or_else(|| RedisError::refused("ERR", "decrement would overflow"))?;
    add(keyspace, &arguments[0], by)
}

fn add(keyspace: &mut Keyspace, key: &Bytes, by: i64) -> Outcome {
    let old = text(keyspace, key)?.map_or(Ok(0), |text| integer(text))?;
    let new = sum(old, by)?;
    let kept = deadline(keyspace, key);
    keyspace.put(key, Value::Text(new.to_string().into()), kept);
    Ok(Reply::Int(new))
}
