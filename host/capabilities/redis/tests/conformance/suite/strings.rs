//! Cases about strings and counters. Their keys begin with `a:` to `h:`.

use super::*;

pub async fn the_typed_functions_do_what_their_names_say<R: Redis>(redis: &R) -> Case {
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

pub async fn keys_and_values_are_any_bytes<R: Redis>(redis: &R) -> Case {
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

pub async fn what_is_of_another_type_is_an_error_of_type<R: Redis>(redis: &R) -> Case {
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

pub async fn set_obeys_its_options<R: Redis>(redis: &R) -> Case {
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

pub async fn set_refuses_options_that_contradict_each_other<R: Redis>(redis: &R) -> Case {
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

pub async fn counters_count_and_refuse_to_overflow<R: Redis>(redis: &R) -> Case {
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

pub async fn several_strings_are_read_and_written_at_once<R: Redis>(redis: &R) -> Case {
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

pub async fn strings_grow_and_are_swapped<R: Redis>(redis: &R) -> Case {
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
