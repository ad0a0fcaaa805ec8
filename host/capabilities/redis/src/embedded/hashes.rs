//! Commands on hashes.

use super::arguments::{bytes, count, flag, integer, maybe, sum};
use super::keyspace::Keyspace;
use super::value::Fields;
use crate::RedisError;
use bytes::Bytes;
use nexus_redis_link::Reply;

type Outcome = Result<Reply, RedisError>;

pub(crate) fn hset(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let pairs = arguments[1..].chunks_exact(2);
    if !pairs.remainder().is_empty() {
        let text = "wrong number of arguments for 'hset' command";
        return Err(RedisError::refused("ERR", text));
    }
    keyspace.edit(&arguments[0], |fields: &mut Fields| {
        Ok(count(pairs.filter(|pair| fields.insert(pair[0].clone(), pair[1].clone())).count()))
    })
}

pub(crate) fn hsetnx(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    keyspace.edit(&arguments[0], |fields: &mut Fields| {
        let missing = !fields.all().contains_key(&arguments[1]);
        if missing {
            fields.insert(arguments[1].clone(), arguments[2].clone());
        }
        Ok(flag(missing))
    })
}

pub(crate) fn hdel(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    keyspace.edit(&arguments[0], |fields: &mut Fields| {
        Ok(count(arguments[1..].iter().filter(|field| fields.remove(field)).count()))
    })
}

pub(crate) fn hincrby(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let by = integer(&arguments[2])?;
    keyspace.edit(&arguments[0], |fields: &mut Fields| {
        let old = fields.all().get(&arguments[1]).map_or(Ok(0), |value| integer(value));
        let old = old.map_err(|_| RedisError::refused("ERR", "hash value is not an integer"))?;
        let new = sum(old, by)?;
        fields.insert(arguments[1].clone(), new.to_string().into());
        Ok(Reply::Int(new))
    })
}

pub(crate) fn hget(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let fields = keyspace.read::<Fields>(&arguments[0])?;
    Ok(maybe(fields.and_then(|fields| fields.all().get(&arguments[1]))))
}

pub(crate) fn hmget(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let fields = keyspace.read::<Fields>(&arguments[0])?;
    let value = |field: &Bytes| maybe(fields.and_then(|fields| fields.all().get(field)));
    Ok(Reply::List(arguments[1..].iter().map(value).collect()))
}

pub(crate) fn hexists(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let fields = keyspace.read::<Fields>(&arguments[0])?;
    Ok(flag(fields.is_some_and(|fields| fields.all().contains_key(&arguments[1]))))
}

pub(crate) fn hlen(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let fields = keyspace.read::<Fields>(&arguments[0])?;
    Ok(count(fields.map_or(0, |fields| fields.all().len())))
}

pub(crate) fn hgetall(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let fields = keyspace.read::<Fields>(&arguments[0])?;
    let all = fields.into_iter().flat_map(Fields::all);
    Ok(Reply::List(all.flat_map(|(field, value)| [bytes(field), bytes(value)]).collect()))
}

pub(crate) fn hkeys(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let fields = keyspace.read::<Fields>(&arguments[0])?;
    Ok(Reply::List(fields.into_iter().flat_map(|f| f.all().keys()).map(bytes).collect()))
}

pub(crate) fn hvals(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let fields = keyspace.read::<Fields>(&arguments[0])?;
    Ok(Reply::List(fields.into_iter().flat_map(|f| f.all().values()).map(bytes).collect()))
}
