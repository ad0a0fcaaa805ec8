//! Commands on sets.

use super::arguments::{bytes, count, flag};
use super::keyspace::Keyspace;
use super::value::Members;
use crate::RedisError;
use bytes::Bytes;
use nexus_redis_link::Reply;

type Outcome = Result<Reply, RedisError>;

pub(crate) fn sadd(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    keyspace.edit(&arguments[0], |members: &mut Members| {
        let added = arguments[1..].iter().filter(|member| members.insert((*member).clone()));
        Ok(count(added.count()))
    })
}

pub(crate) fn srem(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    keyspace.edit(&arguments[0], |members: &mut Members| {
        Ok(count(arguments[1..].iter().filter(|member| members.remove(member)).count()))
    })
}

pub(crate) fn smembers(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let members = keyspace.read::<Members>(&arguments[0])?;
    let all = members.into_iter().flat_map(Members::all);
    Ok(Reply::List(all.map(bytes).collect()))
}

pub(crate) fn sismember(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let members = keyspace.read::<Members>(&arguments[0])?;
    Ok(flag(members.is_some_and(|members| members.all().contains(&arguments[1]))))
}

pub(crate) fn scard(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    let members = keyspace.read::<Members>(&arguments[0])?;
    Ok(count(members.map_or(0, |members| members.all().len())))
}
