//! Cases about sets, hashes and lists. Their keys begin with `m:` to `p:`.

use super::*;

pub async fn sets_hold_each_member_once<R: Redis>(redis: &R) -> Case {
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

pub async fn hashes_hold_fields<R: Redis>(redis: &R) -> Case {
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

pub async fn lists_grow_at_both_ends<R: Redis>(redis: &R) -> Case {
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

pub async fn lists_are_trimmed<R: Redis>(redis: &R) -> Case {
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
