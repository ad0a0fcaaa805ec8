//! The embedded store and a real server are asked the same thousands of things and must answer
//! the same. The commands are drawn from a fixed seed: a failure can be run again.

use crate::{MEMORY, host, own};
use bytes::Bytes;
use capability_redis::{Embedded, OnServer, RedisError, Reply};
use nexus_harness::Redis as RedisServer;
use tokio::runtime::Handle;

/// Xorshift; good enough to choose words.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len())]
    }
}

/// Shapes of commands. Negative zero is left out: as a score it is plain zero in the embedded
/// store, while a server keeps its sign. `K` is a key, `M` a member, `N` a number, `S` a score,
/// `L` a limit of a range of scores, `T` a time to live that is over at once or not before the end.
const SHAPES: &str = "\
    SET K M, SET K N, SET K M NX, SET K M XX GET, SET K N KEEPTTL, SET K M EX 1000, GET K, \
    GETDEL K, GETSET K M, SETNX K M, STRLEN K, APPEND K M, INCR K, DECR K, INCRBY K N, \
    DECRBY K N, MGET K K K, MSET K M K N, DEL K, DEL K K, UNLINK K, EXISTS K K, TYPE K, \
    EXPIRE K 1000, EXPIRE K T, EXPIRE K T NX, EXPIRE K 1000 XX, EXPIRE K T LT GT, \
    PEXPIRE K 1000000 NX, EXPIRE K 1000 x, PERSIST K, TTL K, SADD K M, SADD K M M N, \
    SREM K M M, SISMEMBER K M, SCARD K, SMEMBERS K, HSET K M N, HSET K M M N N, HSETNX K M N, \
    HGET K M, HMGET K M N, HDEL K M, HINCRBY K M N, HLEN K, HEXISTS K M, HKEYS K, HVALS K, \
    HGETALL K, LPUSH K M, RPUSH K M N, LPOP K, RPOP K, LPOP K 2, LLEN K, LRANGE K N N, \
    LTRIM K N N, ZADD K S M, ZADD K S M S N, ZADD K NX S M, ZADD K XX CH S M, ZADD K GT S M, \
    ZADD K LT CH S M, ZADD K INCR S M, ZINCRBY K S M, ZREM K M M, ZCARD K, ZSCORE K M, \
    ZRANGE K N N, ZRANGE K N N WITHSCORES, ZRANGE K N N REV, ZRANGE K L L BYSCORE, \
    ZRANGE K L L BYSCORE REV LIMIT 1 2, ZRANGEBYSCORE K L L, \
    ZRANGEBYSCORE K L L WITHSCORES LIMIT N 2, ZCOUNT K L L, ZREMRANGEBYSCORE K L L, ECHO M, \
    PING M, GET, ZADD K S, HSET K M, LPOP K N, ZADD K NX GT S M, ZADD K NX XX S M, \
    ZADD K GT LT S M, ZADD K INCR S M S M, ZRANGE K L L BYSCORE LIMIT N N, \
    ZRANGE K N N BYSCORE REV WITHSCORES";

fn command(dice: &mut Dice) -> String {
    let shapes: Vec<&str> = SHAPES.split(", ").collect();
    let words = dice.pick(&shapes).split(' ').map(|word| match word {
        "K" => dice.pick(&["a", "b", "c", "d", "e"]),
        "M" => dice.pick(&["x", "y", "z", "", "10"]),
        "N" => dice.pick(&["0", "1", "2", "-1", "-3", "7", "9223372036854775807", "1.5", "x"]),
        "S" => dice.pick(&["0", "1", "-2", "2.5", "1e3", "inf", "-inf", "7", "x"]),
        "L" => dice.pick(&["0", "1", "(1", "-inf", "+inf", "(2.5", "1000", "(-2", "x"]),
        "T" => dice.pick(&["0", "-1", "5000", "9223372036854775807", "x"]),
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Lists whose order no client may rely on are compared sorted.
fn comparable(line: &str, reply: Result<Reply, RedisError>) -> Result<Reply, String> {
    let unordered = ["SMEMBERS", "HKEYS", "HVALS", "HGETALL"];
    match reply {
        Ok(Reply::List(mut items)) if unordered.iter().any(|name| line.starts_with(name)) => {
            items.sort_by_key(|item| format!("{item:?}"));
            Ok(Reply::List(items))
        }
        Ok(reply) => Ok(reply),
        Err(error) => Err(error.to_string()),
    }
}

/// Times to live may fall on two sides of a second: they are asked one after the other.
fn equal(got: &Result<Reply, String>, expected: &Result<Reply, String>) -> bool {
    match (got, expected) {
        (Ok(Reply::Int(a)), Ok(Reply::Int(b))) if *a > 100 => (a - b).abs() <= 1,
        _ => got == expected,
    }
}

#[tokio::test]
async fn the_embedded_store_answers_as_a_server_does() {
    let server = RedisServer::start().await;
    let real =
        own(&host(OnServer::new(&server.url(), Handle::current()).unwrap()), "catalog").await;
    let ours = own(&host(Embedded::new(MEMORY)), "catalog").await;
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut history = Vec::new();
    let mut different = Vec::new();
    for _ in 0..40_000 {
        let line = command(&mut dice);
        let mut words = line.split(' ').map(|word| Bytes::from(word.to_string()));
        let name = String::from_utf8(words.next().unwrap().to_vec()).unwrap();
        let arguments: Vec<Bytes> = words.collect();
        let expected = comparable(&line, real.execute(&name, arguments.clone()).await);
        let got = comparable(&line, ours.execute(&name, arguments).await);
        if !equal(&got, &expected) {
            let before = history[history.len().saturating_sub(20_usize)..].join(", ");
            different.push(format!("{line:?} is {got:?}, not {expected:?}, after {before}"));
            // What went apart must not be reported again and again.
            let keys: Vec<Bytes> = ["a", "b", "c", "d", "e"].map(Bytes::from).to_vec();
            for store in [&real, &ours] {
                store.execute("DEL", keys.clone()).await.unwrap();
            }
        }
        history.push(line);
    }
    let first = &different[..different.len().min(9)];
    assert!(first.is_empty(), "{} times: {first:#?}", different.len());
}
