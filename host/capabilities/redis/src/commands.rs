//! The one table of Redis commands this host understands: where their keys are, how many
//! arguments they take, what they do to the store, and how the embedded store runs them.
//! Refuses to know connections.
//! Source: the Redis 7.0 command reference.

use crate::RedisError;
use crate::embedded::keyspace::Keyspace;
use crate::embedded::{hashes, keys, lists, sets, sorted, sorted_ranges, strings, talk};
use bytes::Bytes;
use nexus_redis_link::{Repeat, Reply};
use std::collections::HashMap;
use std::sync::LazyLock;

pub(crate) type Run = fn(&mut Keyspace, &[Bytes]) -> Result<Reply, RedisError>;

/// Which arguments are keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    None,
    /// The first; the channel of `publish` counts as one.
    First,
    All,
    /// Every other one, beginning with the first.
    Pairs,
    /// None, but the answer holds keys.
    Scan,
}

/// What a command does to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Reads,
    /// May need memory: refused when there is none.
    Grows,
    /// Changes, but never needs more memory.
    Changes,
}

pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) keys: Keys,
    pub(crate) effect: Effect,
    /// Fewest and most arguments, the name not counted.
    least: usize,
    most: usize,
    pub(crate) run: Run,
}

const MANY: usize = usize::MAX;

/// Columns: name, keys, effect, fewest and most arguments, implementation.
const COMMANDS: &[Command] = {
    use Effect::{Changes, Grows, Reads};
    use Keys::{All, First, None, Pairs, Scan};
    &[
        row("append", First, Grows, 2, 2, strings::append),
        row("decr", First, Grows, 1, 1, strings::decr),
        row("decrby", First, Grows, 2, 2, strings::decrby),
        row("del", All, Changes, 1, MANY, keys::del),
        row("echo", None, Reads, 1, 1, talk::echo),
        row("exists", All, Reads, 1, MANY, keys::exists),
        row("expire", First, Changes, 2, MANY, keys::expire),
        row("expireat", First, Changes, 2, MANY, keys::expireat),
        row("get", First, Reads, 1, 1, strings::get),
        row("getdel", First, Changes, 1, 1, strings::getdel),
        row("getset", First, Grows, 2, 2, strings::getset),
        row("hdel", First, Changes, 2, MANY, hashes::hdel),
        row("hexists", First, Reads, 2, 2, hashes::hexists),
        row("hget", First, Reads, 2, 2, hashes::hget),
        row("hgetall", First, Reads, 1, 1, hashes::hgetall),
        row("hincrby", First, Grows, 3, 3, hashes::hincrby),
        row("hkeys", First, Reads, 1, 1, hashes::hkeys),
        row("hlen", First, Reads, 1, 1, hashes::hlen),
        row("hmget", First, Reads, 2, MANY, hashes::hmget),
        row("hset", First, Grows, 3, MANY, hashes::hset),
        row("hsetnx", First, Grows, 3, 3, hashes::hsetnx),
        row("hvals", First, Reads, 1, 1, hashes::hvals),
        row("incr", First, Grows, 1, 1, strings::incr),
        row("incrby", First, Grows, 2, 2, strings::incrby),
        row("llen", First, Reads, 1, 1, lists::llen),
        row("lpop", First, Changes, 1, 2, lists::lpop),
        row("lpush", First, Grows, 2, MANY, lists::lpush),
        row("lrange", First, Reads, 3, 3, lists::lrange),
        row("ltrim", First, Changes, 3, 3, lists::ltrim),
        row("mget", All, Reads, 1, MANY, strings::mget),
        row("mset", Pairs, Grows, 2, MANY, strings::mset),
        row("persist", First, Changes, 1, 1, keys::persist),
        row("pexpire", First, Changes, 2, MANY, keys::pexpire),
        row("pexpireat", First, Changes, 2, MANY, keys::pexpireat),
        row("ping", None, Reads, 0, 1, talk::ping),
        row("psetex", First, Grows, 3, 3, strings::psetex),
        row("pttl", First, Reads, 1, 1, keys::pttl),
        row("publish", First, Changes, 2, 2, talk::publish),
        row("rpop", First, Changes, 1, 2, lists::rpop),
        row("rpush", First, Grows, 2, MANY, lists::rpush),
        row("sadd", First, Grows, 2, MANY, sets::sadd),
        row("scan", Scan, Reads, 1, 7, keys::scan),
        row("scard", First, Reads, 1, 1, sets::scard),
        row("set", First, Grows, 2, MANY, strings::set),
        row("setex", First, Grows, 3, 3, strings::setex),
        row("setnx", First, Grows, 2, 2, strings::setnx),
        row("sismember", First, Reads, 2, 2, sets::sismember),
        row("smembers", First, Reads, 1, 1, sets::smembers),
        row("srem", First, Changes, 2, MANY, sets::srem),
        row("strlen", First, Reads, 1, 1, strings::strlen),
        row("ttl", First, Reads, 1, 1, keys::ttl),
        row("type", First, Reads, 1, 1, keys::kind),
        row("unlink", All, Changes, 1, MANY, keys::del),
        row("zadd", First, Grows, 3, MANY, sorted::zadd),
        row("zcard", First, Reads, 1, 1, sorted::zcard),
        row("zcount", First, Reads, 3, 3, sorted_ranges::zcount),
        row("zincrby", First, Grows, 3, 3, sorted::zincrby),
        row("zrange", First, Reads, 3, MANY, sorted_ranges::zrange),
        row("zrangebyscore", First, Reads, 3, 7, sorted_ranges::zrangebyscore),
        row("zrem", First, Changes, 2, MANY, sorted::zrem),
        row("zremrangebyscore", First, Changes, 3, 3, sorted_ranges::zremrangebyscore),
        row("zscore", First, Reads, 2, 2, sorted::zscore),
    ]
};

const fn row(
    name: &'static str,
    keys: Keys,
    effect: Effect,
    least: usize,
    most: usize,
    run: Run,
) -> Command {
    Command { name, keys, effect, least, most, run }
}

/// A command by its lower-case name.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    static BY_NAME: LazyLock<HashMap<&str, &Command>> =
        LazyLock::new(|| COMMANDS.iter().map(|command| (command.name, command)).collect());
    BY_NAME.get(name).copied()
}

impl Command {
    pub(crate) fn check_count(&self, arguments: usize) -> Result<(), RedisError> {
        let pairs = self.keys != Keys::Pairs || arguments.is_multiple_of(2);
        if pairs && (self.least..=self.most).contains(&arguments) {
            return Ok(());
        }
        let text = format!("wrong number of arguments for '{}' command", self.name);
        Err(RedisError::refused("ERR", text))
    }

    /// Only what reads may run twice without anybody noticing.
    pub(crate) fn repeat(&self) -> Repeat {
        if self.effect == Effect::Reads { Repeat::Safe } else { Repeat::Unsafe }
    }
}

/// Why a command may not travel on a connection that others share; none when it may.
pub(crate) fn disturbs(name: &str, arguments: &[Bytes]) -> Option<&'static str> {
    match name {
        "multi" | "exec" | "discard" | "watch" | "unwatch" => Some(
            "a transaction belongs to one connection, and connections are shared; use a script",
        ),
        "subscribe" | "unsubscribe" | "psubscribe" | "punsubscribe" | "ssubscribe"
        | "sunsubscribe" | "monitor" => Some("it turns the connection into a stream of messages"),
        "blpop" | "brpop" | "brpoplpush" | "blmove" | "blmpop" | "bzpopmin" | "bzpopmax"
        | "bzmpop" | "wait" | "waitaof" => Some("it would hold up everybody on the connection"),
        "xread" | "xreadgroup" if arguments.iter().any(|a| a.eq_ignore_ascii_case(b"block")) => {
            Some("BLOCK would hold up everybody on the connection")
        }
        "select" | "auth" | "hello" | "reset" | "quit" | "client" | "asking" | "readonly"
        | "readwrite" => Some(
            "it would change the connection for everybody; user, password and database are part \
             of the address",
        ),
        "sync" | "psync" | "replconf" | "shutdown" | "debug" => Some("it is for operators"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_name_twice() {
        assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn no_command_of_ours_disturbs_a_shared_connection() {
        for command in COMMANDS {
            assert_eq!(disturbs(command.name, &[]), None, "{}", command.name);
            assert!(command.keys == Keys::None || command.least >= 1, "{}", command.name);
        }
    }
}
