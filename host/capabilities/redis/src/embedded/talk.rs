//! `PING`, `ECHO`, `PUBLISH`: commands about no key.

use super::arguments::{bytes, count};
use super::keyspace::Keyspace;
use crate::RedisError;
use bytes::Bytes;
use nexus_redis_link::Reply;

type Outcome = Result<Reply, RedisError>;

pub(crate) fn ping(_: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    Ok(arguments.first().map_or_else(|| Reply::Status("PONG".into()), bytes))
}

pub(crate) fn echo(_: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    Ok(bytes(&arguments[0]))
}

pub(crate) fn publish(keyspace: &mut Keyspace, arguments: &[Bytes]) -> Outcome {
    Ok(count(keyspace.publish(&arguments[0], arguments[1].clone())))
}
