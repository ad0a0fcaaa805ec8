//! Commands on lists.

use super::arguments::{Span, bytes, count, integer, maybe};
use super::keyspace::Keyspace;
use super::value::{End, Items};
use crate::RedisError;
use bytes::Bytes;
use nexus_redis_link::Reply;

type Outcome = Result<Reply, RedisError>;

pub(crate) fn lpush(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    push(keyspace, arguments, End::Left)
}

pub(crate) fn rpush(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    push(keyspace, arguments, End::Right)
}

fn push(keyspace: &mut Keyspace, arguments: &[Bytes], end: End) -> Outcome {
    keyspace.edit(&arguments[0], |items: &mut Items| {
        arguments[1..].iter().for_each(|item| items.push(end, item.clone()));
        Ok(count(items.all().len()))
    })
}

pub(crate) fn lpop(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    pop(keyspace, arguments, End::Left)
}

pub(crate) fn rpop(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    pop(keyspace, arguments, End::Right)
}

fn pop(keyspace: &mut Keyspace, arguments: &[Bytes], end: End) -> Outcome {
    let positive = |n: &Bytes| usize::try_from(integer(n).ok()?).ok();
    let many = match arguments.get(1) {
        None => None,
        Some(n) => Some(positive(n).ok_or_else(|| {
            RedisError::refused("ERR", "value is out of range, must be positive")
        })?),
    };
    if keyspace.read::<Items>(&arguments[0])?.is_none() {
        return Ok(Reply::Nil);
    }
    keyspace.edit(&arguments[0], |items: &mut Items| {
        let Some(many) = many else { return Ok(maybe(items.pop(end).as_ref())) };
        let popped = std::iter::from_fn(|| items.pop(end)).take(many);
        Ok(Reply::List(popped.map(|item| bytes(&item)).collect()))
    })
}

pub(crate) fn llen(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    Ok(count(keyspace.read::<Items>(&arguments[0])?.map_or(0, |items| items.all().len())))
}

pub(crate) fn lrange(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let span = Span::read(&arguments[1], &arguments[2])?;
    let items = keyspace.read::<Items>(&arguments[0])?;
    let (from, to) = span.within(items.map_or(0, |items| items.all().len()));
    let range = items.into_iter().flat_map(|items| items.all().range(from..to));
    Ok(Reply::List(range.map(bytes).collect()))
}

pub(crate) fn ltrim(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let span = Span::read(&arguments[1], &arguments[2])?;
    keyspace.edit(&arguments[0], |items: &mut Items| {
        let (from, to) = span.within(items.all().len());
        items.keep(from, to);
        Ok(Reply::ok())
    })
}
