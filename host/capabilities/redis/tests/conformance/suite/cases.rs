//! The cases. Each uses keys that begin with its own letter, so their order does not matter.

use super::*;
use futures::future::join_all;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

type Case = Result<(), String>;

macro_rules! suite {
    ($($case:ident)*) => {
        /// Runs every case on an empty store.
        pub async fn suite<R: Redis>(redis: &R) -> Vec<Outcome> {
            vec![$((stringify!($case), $case(redis).await)),*]
        }
    };
}

suite! {
    the_typed_functions_do_what_their_names_say
    keys_and_values_are_any_bytes
    what_is_of_another_type_is_an_error_of_type
    set_obeys_its_options
    set_refuses_options_that_contradict_each_other
    counters_count_and_refuse_to_overflow
    several_strings_are_read_and_written_at_once
    strings_grow_and_are_swapped
    keys_exist_have_a_type_and_are_deleted
    deadlines_are_set_shown_and_lifted
    deadlines_obey_their_conditions
    a_key_is_gone_when_its_time_is_over
    sets_hold_each_member_once
    hashes_hold_fields
    lists_grow_at_both_ends
    lists_are_trimmed
    sorted_sets_keep_scores
    sorted_sets_answer_ranges
    sorted_sets_obey_the_options_of_zadd
    empty_collections_do_not_exist
    every_command_refuses_a_key_of_another_kind
    wrong_arguments_are_named
    a_scan_meets_ten_thousand_keys_once_each
    a_scan_meets_what_stays_while_others_come_and_go
    increments_at_the_same_time_are_all_counted
    small_talk
}

macro_rules! run {
    ($redis:ident: $($line:literal => $expected:expr,)*) => {
        $(check($redis, $line, $expected).await?;)*
    };
}

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

fn failed(failure: Failure) -> String {
    format!("{failure:?}")
}

async fn the_typed_functions_do_what_their_names_say<R: Redis>(redis: &R) -> Case {
    ensure!(redis.get("a:missing").await == Ok(None), "a missing key is there");
    redis.set("a:key", b"value").await.map_err(failed)?;
    ensure!(redis.get("a:key").await == Ok(Some(b"value".to_vec())), "another value");
    ensure!(redis.incr("a:count").await == Ok(1), "the first count is not 1");
    ensure!(redis.incr("a:count").await == Ok(2), "the second count is not 2");
    ensure!(redis.sadd("a:set", &["x", "y", "x"]).await == Ok(2), "sadd counts otherwise");
    ensure!(redis.sadd("a:set", &["y", "z"]).await == Ok(1), "sadd counts old members");
    let mut members = redis.smembers("a:set").await.map_err(failed)?;
    members.sort();
    ensure!(members == ["x", "y", "z"], "the members are {members:?}");
    ensure!(redis.srem("a:set", &["x", "q"]).await == Ok(1), "srem counts otherwise");
    ensure!(redis.smembers("a:none").await == Ok(vec![]), "a missing set has members");
    ensure!(redis.del(&["a:key", "a:count", "a:none"]).await == Ok(2), "del counts otherwise");
    ensure!(redis.del(&[]).await == Ok(0), "deleting nothing is not 0");
    redis.publish("a:channel", b"heard by nobody").await.map_err(failed)
}

async fn keys_and_values_are_any_bytes<R: Redis>(redis: &R) -> Case {
    let every_byte: Vec<u8> = (0..=255).collect();
    for bytes in [&b""[..], b"\0", b"\r\n$3\r\nabc", &every_byte] {
        let key = [b"b:", bytes].concat();
        redis.execute("SET", &[&key, bytes]).await.map_err(failed)?;
        let read = redis.execute("GET", &[&key]).await;
        ensure!(read == Ok(vec![Answer::Bytes(bytes.into())]), "{bytes:?} became {read:?}");
        redis.execute("HSET", &[b"b:hash", bytes, bytes]).await.map_err(failed)?;
        redis.execute("RPUSH", &[b"b:list", bytes]).await.map_err(failed)?;
    }
    let list = redis.execute("LRANGE", &[b"b:list", b"3", b"3"]).await;
    ensure!(list == Ok(vec![Answer::Bytes(every_byte)]), "the list holds {list:?}");
    Ok(())
}

async fn what_is_of_another_type_is_an_error_of_type<R: Redis>(redis: &R) -> Case {
    redis.set("c:text", b"not a number").await.map_err(failed)?;
    redis.sadd("c:set", &["x"]).await.map_err(failed)?;
    redis.execute("SADD", &[b"c:bytes", b"\xff\xfe"]).await.map_err(failed)?;
    ensure!(redis.incr("c:text").await == Err(Failure::Type), "incr of text");
    ensure!(redis.incr("c:set").await == Err(Failure::Type), "incr of a set");
    ensure!(redis.get("c:set").await == Err(Failure::Type), "get of a set");
    ensure!(redis.sadd("c:text", &["x"]).await == Err(Failure::Type), "sadd to text");
    ensure!(redis.srem("c:text", &["x"]).await == Err(Failure::Type), "srem from text");
    ensure!(redis.smembers("c:text").await == Err(Failure::Type), "smembers of text");
    ensure!(redis.smembers("c:bytes").await == Err(Failure::Type), "smembers that are no text");
    Ok(())
}

async fn set_obeys_its_options<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "SET d:1 one NX" => ok(),
        "SET d:1 two NX" => nil(),
        "GET d:1" => text("one"),
        "SET d:2 one XX" => nil(),
        "EXISTS d:2" => int(0),
        "SET d:1 two XX" => ok(),
        "set d:1 three get" => text("two"),
        "SET d:3 new GET" => nil(),
        "SET d:1 four NX GET" => text("three"),
        "GET d:1" => text("three"),
        "SET d:1 five EX 100" => ok(),
        "PTTL d:1" => IntBetween(90_000, 100_000),
        "SET d:1 six KEEPTTL" => ok(),
        "TTL d:1" => IntBetween(90, 100),
        "SET d:1 seven" => ok(),
        "TTL d:1" => int(-1),
        "SET d:1 eight PX 50000" => ok(),
        "TTL d:1" => IntBetween(40, 50),
        "SET d:1 nine EXAT 4102444800" => ok(),
        "TTL d:1" => IntBetween(1_000_000, 4_102_444_800),
        "SET d:1 ten PXAT 4102444800000 XX" => ok(),
        "TTL d:1" => IntBetween(1_000_000, 4_102_444_800),
        "SETNX d:1 x" => int(0),
        "SETNX d:4 x" => int(1),
        "SETEX d:4 60 y" => ok(),
        "TTL d:4" => IntBetween(50, 60),
        "PSETEX d:4 60000 y" => ok(),
        "TTL d:4" => IntBetween(50, 60),
    }
    Ok(())
}

async fn set_refuses_options_that_contradict_each_other<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "SET e:1 x NX XX" => ErrorWith("syntax error"),
        "SET e:1 x EX 1 PX 1" => ErrorWith("syntax error"),
        "SET e:1 x EX 1 KEEPTTL" => ErrorWith("syntax error"),
        "SET e:1 x EX" => ErrorWith("syntax error"),
        "SET e:1 x SOON" => ErrorWith("syntax error"),
        "SET e:1 x EX 0" => ErrorWith("invalid expire time in 'set' command"),
        "SET e:1 x PX -5" => ErrorWith("invalid expire time in 'set' command"),
        "SET e:1 x EX 9223372036854775807" => ErrorWith("invalid expire time in 'set' command"),
        "SETEX e:1 0 x" => ErrorWith("invalid expire time in 'setex' command"),
        "EXISTS e:1" => int(0),
    }
    Ok(())
}

async fn counters_count_and_refuse_to_overflow<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "INCR f:1" => int(1),
        "INCRBY f:1 41" => int(42),
        "DECR f:1" => int(41),
        "DECRBY f:1 50" => int(-9),
        "GET f:1" => text("-9"),
        "INCRBY f:1 1.5" => WrongType,
        "SET f:1 9223372036854775806" => ok(),
        "INCR f:1" => int(i64::MAX),
        "INCR f:1" => ErrorWith("would overflow"),
        "DECRBY f:1 -9223372036854775808" => ErrorWith("would overflow"),
        "GET f:1" => text("9223372036854775807"),
        "SET f:2 5 EX 100" => ok(),
        "INCR f:2" => int(6),
        "TTL f:2" => IntBetween(90, 100),
        "SET f:3 01" => ok(),
        "INCR f:3" => WrongType,
    }
    Ok(())
}

async fn several_strings_are_read_and_written_at_once<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "MSET g:1 one g:2 two" => ok(),
        "SADD g:set x" => int(1),
        "MGET g:1 g:2" => texts(["one", "two"]),
        "MSET g:1" => ErrorWith("wrong number of arguments"),
        "MSET g:1 one g:2" => ErrorWith("wrong number of arguments"),
        "EXPIRE g:1 100" => int(1),
        "MSET g:1 again g:3 three" => ok(),
        "TTL g:1" => int(-1),
    }
    let read = redis.execute("MGET", &[b"g:none", b"g:set", b"g:3"]).await;
    let expected = vec![Answer::Nil, Answer::Nil, Answer::Bytes(b"three".to_vec())];
    ensure!(read == Ok(expected), "MGET answers {read:?}");
    Ok(())
}

async fn strings_grow_and_are_swapped<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "APPEND h:1 ab" => int(2),
        "APPEND h:1 cd" => int(4),
        "STRLEN h:1" => int(4),
        "STRLEN h:none" => int(0),
        "GETSET h:1 new" => text("abcd"),
        "GETSET h:2 first" => nil(),
        "GETDEL h:1" => text("new"),
        "GETDEL h:1" => nil(),
        "EXISTS h:1" => int(0),
    }
    Ok(())
}

async fn keys_exist_have_a_type_and_are_deleted<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "SET i:text x" => ok(),
        "SADD i:set x" => int(1),
        "HSET i:hash f v" => int(1),
        "RPUSH i:list x" => int(1),
        "ZADD i:zset 1 x" => int(1),
        "TYPE i:text" => status("string"),
        "TYPE i:set" => status("set"),
        "TYPE i:hash" => status("hash"),
        "TYPE i:list" => status("list"),
        "TYPE i:zset" => status("zset"),
        "TYPE i:none" => status("none"),
        "EXISTS i:text i:text i:none i:set" => int(3),
        "SET i:set replaced" => ok(),
        "TYPE i:set" => status("string"),
        "DEL i:text i:text i:none" => int(1),
        "UNLINK i:set i:hash i:list i:zset" => int(4),
        "EXISTS i:set i:hash i:list i:zset" => int(0),
    }
    Ok(())
}

async fn deadlines_are_set_shown_and_lifted<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "TTL j:none" => int(-2),
        "PTTL j:none" => int(-2),
        "EXPIRE j:none 10" => int(0),
        "PERSIST j:none" => int(0),
        "HSET j:1 f v" => int(1),
        "TTL j:1" => int(-1),
        "PERSIST j:1" => int(0),
        "EXPIRE j:1 100" => int(1),
        "TTL j:1" => IntBetween(90, 100),
        "HSET j:1 f w" => int(0),
        "TTL j:1" => IntBetween(90, 100),
        "PEXPIRE j:1 5000000" => int(1),
        "PTTL j:1" => IntBetween(4_900_000, 5_000_000),
        "PERSIST j:1" => int(1),
        "PTTL j:1" => int(-1),
        "EXPIREAT j:1 4102444800" => int(1),
        "PEXPIREAT j:1 4102444800000" => int(1),
        "TTL j:1" => IntBetween(1_000_000, 4_102_444_800),
        "EXPIRE j:1 soon" => WrongType,
        "EXPIRE j:1 9223372036854775807" => ErrorWith("invalid expire time in 'expire' command"),
        "EXPIRE j:1 0" => int(1),
        "EXISTS j:1" => int(0),
        "SET j:2 x" => ok(),
        "EXPIREAT j:2 1000" => int(1),
        "EXISTS j:2" => int(0),
        "SET j:3 x" => ok(),
        "PEXPIRE j:3 -1" => int(1),
        "EXISTS j:3" => int(0),
    }
    Ok(())
}

async fn deadlines_obey_their_conditions<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "SET k:1 x" => ok(),
        "EXPIRE k:1 100 XX" => int(0),
        "EXPIRE k:1 100 GT" => int(0),
        "EXPIRE k:1 100 NX" => int(1),
        "EXPIRE k:1 200 NX" => int(0),
        "EXPIRE k:1 200 LT" => int(0),
        "EXPIRE k:1 200 GT" => int(1),
        "EXPIRE k:1 100 GT" => int(0),
        "EXPIRE k:1 50 LT" => int(1),
        "EXPIRE k:1 60 XX" => int(1),
        "TTL k:1" => IntBetween(50, 60),
        "PERSIST k:1" => int(1),
        "EXPIRE k:1 60 LT" => int(1),
        "EXPIRE k:1 60 ODD" => ErrorWith("Unsupported option ODD"),
    }
    Ok(())
}

async fn a_key_is_gone_when_its_time_is_over<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "SET l:text x PX 80" => ok(),
        "SADD l:set x" => int(1),
        "PEXPIRE l:set 80" => int(1),
        "SET l:stays x" => ok(),
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    for key in ["l:text", "l:set"] {
        while redis.execute("EXISTS", &[key.as_bytes()]).await != Ok(vec![Answer::Int(0)]) {
            ensure!(Instant::now() < deadline, "{key} is still there");
        }
    }
    run! { redis:
        "GET l:text" => nil(),
        "TTL l:text" => int(-2),
        "TYPE l:set" => status("none"),
        "SCARD l:set" => int(0),
        "DEL l:text l:set" => int(0),
        "INCR l:text" => int(1),
        "TTL l:text" => int(-1),
        "GET l:stays" => text("x"),
    }
    Ok(())
}

async fn sets_hold_each_member_once<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "SADD m:1 a b c a" => int(3),
        "SADD m:1 c d" => int(1),
        "SCARD m:1" => int(4),
        "SISMEMBER m:1 a" => int(1),
        "SISMEMBER m:1 q" => int(0),
        "SISMEMBER m:none q" => int(0),
        "SREM m:1 a q b" => int(2),
        "SMEMBERS m:1" => any_order(["c", "d"]),
        "SMEMBERS m:none" => nothing(),
        "SCARD m:none" => int(0),
        "SREM m:none a" => int(0),
    }
    Ok(())
}

async fn hashes_hold_fields<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "HSET n:1 a 1 b 2" => int(2),
        "HSET n:1 a 3 c 4" => int(1),
        "HSET n:1 a 3 c" => ErrorWith("wrong number of arguments"),
        "HGET n:1 a" => text("3"),
        "HGET n:1 q" => nil(),
        "HGET n:none q" => nil(),
        "HGETALL n:1" => any_order(["a", "3", "b", "2", "c", "4"]),
        "HGETALL n:none" => nothing(),
        "HKEYS n:1" => any_order(["a", "b", "c"]),
        "HVALS n:1" => any_order(["3", "2", "4"]),
        "HLEN n:1" => int(3),
        "HEXISTS n:1 b" => int(1),
        "HEXISTS n:1 q" => int(0),
        "HMGET n:1 a b" => texts(["3", "2"]),
        "HMGET n:none a" => nil(),
        "HINCRBY n:1 a 10" => int(13),
        "HINCRBY n:1 new -1" => int(-1),
        "HSET n:1 text x" => int(1),
        "HINCRBY n:1 text 1" => ErrorWith("hash value is not an integer"),
        "HINCRBY n:1 a 9223372036854775807" => ErrorWith("would overflow"),
        "HSETNX n:1 a 1" => int(0),
        "HSETNX n:1 d 1" => int(1),
        "HDEL n:1 a b q" => int(2),
        "HDEL n:none a" => int(0),
        "HLEN n:1" => int(4),
    }
    Ok(())
}

async fn lists_grow_at_both_ends<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "RPUSH o:1 c d" => int(2),
        "LPUSH o:1 b a" => int(4),
        "LLEN o:1" => int(4),
        "LLEN o:none" => int(0),
        "LRANGE o:1 0 -1" => texts(["a", "b", "c", "d"]),
        "LRANGE o:1 -2 -1" => texts(["c", "d"]),
        "LRANGE o:1 1 1" => text("b"),
        "LRANGE o:1 -100 100" => texts(["a", "b", "c", "d"]),
        "LRANGE o:1 3 1" => nothing(),
        "LRANGE o:1 9 10" => nothing(),
        "LRANGE o:none 0 -1" => nothing(),
        "LRANGE o:1 a b" => WrongType,
        "LPOP o:1" => text("a"),
        "RPOP o:1" => text("d"),
        "LPOP o:none" => nil(),
        "LPOP o:none 2" => nil(),
        "RPUSH o:1 d e" => int(4),
        "LPOP o:1 2" => texts(["b", "c"]),
        "RPOP o:1 9" => texts(["e", "d"]),
        "RPUSH o:1 x" => int(1),
        "LPOP o:1 0" => nothing(),
        "LPOP o:1 -1" => ErrorWith("must be positive"),
    }
    Ok(())
}

async fn lists_are_trimmed<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "RPUSH p:1 a b c d e" => int(5),
        "LTRIM p:1 1 -2" => ok(),
        "LRANGE p:1 0 -1" => texts(["b", "c", "d"]),
        "LTRIM p:1 -2 100" => ok(),
        "LRANGE p:1 0 -1" => texts(["c", "d"]),
        "LTRIM p:1 5 6" => ok(),
        "EXISTS p:1" => int(0),
        "LTRIM p:none 0 1" => ok(),
        "EXISTS p:none" => int(0),
    }
    Ok(())
}

async fn sorted_sets_keep_scores<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "ZADD q:1 1 a 2.5 b -3 c" => int(3),
        "ZADD q:1 4 a 5 d" => int(1),
        "ZCARD q:1" => int(4),
        "ZCARD q:none" => int(0),
        "ZSCORE q:1 b" => text("2.5"),
        "ZSCORE q:1 c" => text("-3"),
        "ZSCORE q:1 none" => nil(),
        "ZSCORE q:none a" => nil(),
        "ZINCRBY q:1 0.5 b" => text("3"),
        "ZINCRBY q:1 7 new" => text("7"),
        "ZADD q:1 inf top" => int(1),
        "ZSCORE q:1 top" => text("inf"),
        "ZINCRBY q:1 -inf top" => ErrorWith("not a number"),
        "ZADD q:1 nan x" => ErrorWith("not a valid float"),
        "ZADD q:1 one x" => ErrorWith("not a valid float"),
        "ZADD q:1 1 x 2" => ErrorWith("syntax error"),
        "ZREM q:1 a none d" => int(2),
        "ZREM q:none a" => int(0),
        "ZCARD q:1" => int(4),
    }
    Ok(())
}

async fn sorted_sets_answer_ranges<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "ZADD r:1 1 a 2 b 2 bb 3 c 4 d" => int(5),
        "ZRANGE r:1 0 -1" => texts(["a", "b", "bb", "c", "d"]),
        "ZRANGE r:1 -2 -1 WITHSCORES" => texts(["c", "3", "d", "4"]),
        "ZRANGE r:1 0 1 REV" => texts(["d", "c"]),
        "ZRANGE r:1 3 1" => nothing(),
        "ZRANGE r:none 0 -1" => nothing(),
        "ZRANGE r:1 2 3 BYSCORE" => texts(["b", "bb", "c"]),
        "ZRANGE r:1 3 2 BYSCORE" => nothing(),
        "ZRANGE r:1 3 2 BYSCORE REV" => texts(["c", "bb", "b"]),
        "ZRANGE r:1 +inf (2 BYSCORE REV LIMIT 1 5" => text("c"),
        "ZRANGE r:1 0 1 LIMIT 0 1" => ErrorWith("LIMIT is only supported"),
        "ZRANGE r:1 a 1" => WrongType,
        "ZRANGEBYSCORE r:1 -inf +inf" => texts(["a", "b", "bb", "c", "d"]),
        "ZRANGEBYSCORE r:1 (1 (3" => texts(["b", "bb"]),
        "ZRANGEBYSCORE r:1 (1 (1" => nothing(),
        "ZRANGEBYSCORE r:1 2 inf WITHSCORES LIMIT 1 2" => texts(["bb", "2", "c", "3"]),
        "ZRANGEBYSCORE r:1 0 9 LIMIT 2 -1" => texts(["bb", "c", "d"]),
        "ZRANGEBYSCORE r:1 0 9 LIMIT -1 2" => nothing(),
        "ZRANGEBYSCORE r:1 one two" => ErrorWith("min or max is not a float"),
        "ZRANGEBYSCORE r:1 0 9 REV" => ErrorWith("syntax error"),
        "ZCOUNT r:1 2 3" => int(3),
        "ZCOUNT r:none 2 3" => int(0),
        "ZREMRANGEBYSCORE r:1 -inf (3" => int(3),
        "ZRANGE r:1 0 -1" => texts(["c", "d"]),
        "ZREMRANGEBYSCORE r:1 0 9" => int(2),
        "EXISTS r:1" => int(0),
    }
    Ok(())
}

async fn sorted_sets_obey_the_options_of_zadd<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "ZADD s:1 NX 1 a" => int(1),
        "ZADD s:1 NX 9 a 2 b" => int(1),
        "ZSCORE s:1 a" => text("1"),
        "ZADD s:1 XX 5 a 5 none" => int(0),
        "ZCARD s:1" => int(2),
        "ZADD s:1 XX CH 6 a 2 b" => int(1),
        "ZADD s:1 GT 5 a 7 c" => int(1),
        "ZSCORE s:1 a" => text("6"),
        "ZADD s:1 LT CH 5 a 9 c" => int(1),
        "ZADD s:1 INCR 10 a" => text("15"),
        "ZADD s:1 NX INCR 10 a" => nil(),
        "ZADD s:1 INCR 1 a 2 b" => ErrorWith("INCR option supports a single"),
        "ZADD s:1 NX XX 1 a" => ErrorWith("not compatible"),
        "ZADD s:1 NX GT 1 a" => ErrorWith("not compatible"),
        "ZADD s:none XX 1 a" => int(0),
        "EXISTS s:none" => int(0),
    }
    Ok(())
}

async fn empty_collections_do_not_exist<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "SADD t:1 x" => int(1),
        "SREM t:1 x" => int(1),
        "EXISTS t:1" => int(0),
        "HSET t:2 f v" => int(1),
        "HDEL t:2 f" => int(1),
        "EXISTS t:2" => int(0),
        "RPUSH t:3 x" => int(1),
        "LPOP t:3" => text("x"),
        "EXISTS t:3" => int(0),
        "ZADD t:4 1 x" => int(1),
        "ZREM t:4 x" => int(1),
        "EXISTS t:4" => int(0),
        "HSET t:1 f v" => int(1),
        "TYPE t:1" => status("hash"),
    }
    Ok(())
}

async fn every_command_refuses_a_key_of_another_kind<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "SET u:text 1" => ok(),
        "SADD u:set 1" => int(1),
    }
    for line in [
        "GET u:set", "STRLEN u:set", "INCR u:set", "DECRBY u:set 1", "APPEND u:set x",
        "GETSET u:set x", "GETDEL u:set", "SET u:set x GET", "SADD u:text x", "SREM u:text x",
        "SMEMBERS u:text", "SISMEMBER u:text x", "SCARD u:text", "HSET u:text f v",
        "HSETNX u:text f v", "HGET u:set f", "HMGET u:text f", "HGETALL u:text", "HDEL u:set f",
        "HINCRBY u:set f 1", "HLEN u:text", "HKEYS u:text", "HVALS u:text", "HEXISTS u:text f",
        "LPUSH u:set x", "RPUSH u:text x", "LPOP u:text", "RPOP u:set 2", "LRANGE u:set 0 -1",
        "LTRIM u:set 0 1", "LLEN u:text", "ZADD u:set 1 x", "ZINCRBY u:text 1 x",
        "ZRANGE u:text 0 -1", "ZRANGEBYSCORE u:set 0 1", "ZREM u:set x", "ZCARD u:set",
        "ZSCORE u:text x", "ZCOUNT u:set 0 1", "ZREMRANGEBYSCORE u:text 0 1",
    ] {
        check(redis, line, WrongType).await?;
    }
    run! { redis:
        "GET u:text" => text("1"),
        "SMEMBERS u:set" => text("1"),
    }
    Ok(())
}

async fn wrong_arguments_are_named<R: Redis>(redis: &R) -> Case {
    for line in [
        "GET", "GET a b", "SET a", "DEL", "EXPIRE a", "SADD a", "HGET a", "LRANGE a 0", "ZADD a 1",
        "PING a b", "ECHO", "PUBLISH a", "SCAN",
    ] {
        check(redis, line, ErrorWith("wrong number of arguments for '")).await?;
    }
    Ok(())
}

/// Every key that a scan with these options meets.
async fn scan<R: Redis>(redis: &R, options: &[&[u8]]) -> Result<Vec<Vec<u8>>, String> {
    let mut keys = Vec::new();
    let mut cursor = b"0".to_vec();
    loop {
        let arguments = [&[&cursor[..]], options].concat();
        let mut page = redis.execute("SCAN", &arguments).await.map_err(failed)?.into_iter();
        let Some(Answer::Bytes(next)) = page.next() else { return Err("no cursor".into()) };
        for key in page {
            let Answer::Bytes(key) = key else { return Err(format!("{key:?} is no key")) };
            keys.push(key);
        }
        if next == b"0" {
            return Ok(keys);
        }
        cursor = next;
    }
}

async fn a_scan_meets_ten_thousand_keys_once_each<R: Redis>(redis: &R) -> Case {
    let keys: BTreeSet<Vec<u8>> = (0..10_000).map(|n| format!("v:{n}").into_bytes()).collect();
    let all: Vec<&Vec<u8>> = keys.iter().collect();
    for page in all.chunks(1000) {
        let pairs: Vec<&[u8]> = page.iter().flat_map(|key| [&key[..], b"x"]).collect();
        redis.execute("MSET", &pairs).await.map_err(failed)?;
    }
    let met = scan(redis, &[b"MATCH", b"v:*", b"COUNT", b"1000"]).await?;
    ensure!(met.len() == keys.len(), "{} keys are met", met.len());
    ensure!(met.into_iter().collect::<BTreeSet<_>>() == keys, "other keys are met");
    let some = scan(redis, &[b"COUNT", b"500", b"MATCH", b"v:123?"]).await?;
    ensure!(some.len() == 10, "the pattern meets {}", some.len());
    redis.execute("SADD", &[b"v:set", b"x"]).await.map_err(failed)?;
    let sets = scan(redis, &[b"MATCH", b"v:*", b"TYPE", b"set", b"COUNT", b"1000"]).await?;
    ensure!(sets == [b"v:set"], "the type meets {sets:?}");
    run! { redis:
        "SCAN x" => ErrorWith("invalid cursor"),
        "SCAN 0 COUNT 0" => ErrorWith("syntax error"),
        "SCAN 0 MATCH" => ErrorWith("syntax error"),
        "SCAN 0 ODD x" => ErrorWith("syntax error"),
    }
    for page in all.chunks(1000) {
        let page: Vec<&[u8]> = page.iter().map(|key| &key[..]).collect();
        redis.execute("DEL", &page).await.map_err(failed)?;
    }
    Ok(())
}

async fn a_scan_meets_what_stays_while_others_come_and_go<R: Redis>(redis: &R) -> Case {
    let staying: Vec<Vec<u8>> = (0..1000).map(|n| format!("w:stay:{n}").into_bytes()).collect();
    for key in &staying {
        redis.execute("SET", &[key, b"x"]).await.map_err(failed)?;
    }
    let disturb = async {
        for n in 0..1000 {
            let key = format!("w:pass:{n}").into_bytes();
            redis.execute("SET", &[&key, b"x"]).await.map_err(failed)?;
            redis.execute("SET", &[&staying[n], b"again"]).await.map_err(failed)?;
            redis.execute("DEL", &[&key]).await.map_err(failed)?;
        }
        Ok::<_, String>(())
    };
    let (disturbed, met) =
        futures::join!(disturb, scan(redis, &[b"MATCH", b"w:stay:*", b"COUNT", b"7"]));
    disturbed?;
    let met: BTreeSet<Vec<u8>> = met?.into_iter().collect();
    let lost = staying.iter().find(|key| !met.contains(*key));
    ensure!(lost.is_none(), "{lost:?} is not met");
    Ok(())
}

async fn increments_at_the_same_time_are_all_counted<R: Redis>(redis: &R) -> Case {
    let all = join_all((0..500).map(|_| redis.incr("x:count"))).await;
    let counts = all.into_iter().collect::<Result<BTreeSet<i64>, _>>().map_err(failed)?;
    ensure!(counts == (1..=500).collect(), "the counts are {counts:?}");
    Ok(())
}

async fn small_talk<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "PING" => status("PONG"),
        "PING hello" => text("hello"),
        "ECHO hello" => text("hello"),
        "PUBLISH y:channel hello" => int(0),
    }
    Ok(())
}
