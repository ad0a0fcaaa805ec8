//! Cases about all commands at once: kinds, arguments, scans, concurrency. Their keys begin
//! with `t:` to `y:`.

use super::*;
use futures::future::join_all;
use std::collections::BTreeSet;

pub async fn empty_collections_do_not_exist<R: Redis>(redis: &R) -> Case {
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

/// Each asks a set or a text for something else.
const WRONG_TYPES: &str = "\
    GET u:set, STRLEN u:set, INCR u:set, DECRBY u:set 1, APPEND u:set x, GETSET u:set x, \
    GETDEL u:set, SET u:set x GET, SADD u:text x, SREM u:text x, SMEMBERS u:text, \
    SISMEMBER u:text x, SCARD u:text, HSET u:text f v, HSETNX u:text f v, HGET u:set f, \
    HMGET u:text f, HGETALL u:text, HDEL u:set f, HINCRBY u:set f 1, HLEN u:text, \
    HKEYS u:text, HVALS u:text, HEXISTS u:text f, LPUSH u:set x, RPUSH u:text x, \
    LPOP u:text, RPOP u:set 2, LRANGE u:set 0 -1, LTRIM u:set 0 1, LLEN u:text, \
    ZADD u:set 1 x, ZINCRBY u:text 1 x, ZRANGE u:text 0 -1, ZRANGEBYSCORE u:set 0 1, \
    ZREM u:set x, ZCARD u:set, ZSCORE u:text x, ZCOUNT u:set 0 1, \
    ZREMRANGEBYSCORE u:text 0 1";

pub async fn every_command_refuses_a_key_of_another_kind<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "SET u:text 1" => ok(),
        "SADD u:set 1" => int(1),
    }
    for line in WRONG_TYPES.split(", ") {
        check(redis, line, WrongType).await?;
    }
    run! { redis:
        "GET u:text" => text("1"),
        "SMEMBERS u:set" => text("1"),
    }
    Ok(())
}

pub async fn wrong_arguments_are_named<R: Redis>(redis: &R) -> Case {
    let lines = "GET, GET a b, SET a, DEL, EXPIRE a, SADD a, HGET a, LRANGE a 0, ZADD a 1, \
        PING a b, ECHO, PUBLISH a, SCAN";
    for line in lines.split(", ") {
        check(redis, line, ErrorWith("wrong number of arguments for '")).await?;
    }
    Ok(())
}

/// Every key that a scan with these options meets.
pub async fn scan<R: Redis>(redis: &R, options: &[&[u8]]) -> Result<Vec<Vec<u8>>, String> {
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

pub async fn a_scan_meets_ten_thousand_keys_once_each<R: Redis>(redis: &R) -> Case {
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

pub async fn a_scan_meets_what_stays_while_others_come_and_go<R: Redis>(redis: &R) -> Case {
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

pub async fn increments_at_the_same_time_are_all_counted<R: Redis>(redis: &R) -> Case {
    let all = join_all((0..500).map(|_| redis.incr("x:count"))).await;
    let counts = all.into_iter().collect::<Result<BTreeSet<i64>, _>>().map_err(failed)?;
    ensure!(counts == (1..=500).collect(), "the counts are {counts:?}");
    Ok(())
}

pub async fn small_talk<R: Redis>(redis: &R) -> Case {
    run! { redis:
        "PING" => status("PONG"),
        "PING hello" => text("hello"),
        "ECHO hello" => text("hello"),
        "PUBLISH y:channel hello" => int(0),
    }
    Ok(())
}
