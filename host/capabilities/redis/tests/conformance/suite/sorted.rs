//! Cases about sorted sets. Their keys begin with `q:` to `s:`.

use super::*;

pub async fn sorted_sets_keep_scores<R: Redis>(redis: &R) -> Case {
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

pub async fn sorted_sets_answer_ranges<R: Redis>(redis: &R) -> Case {
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

pub async fn sorted_sets_obey_the_options_of_zadd<R: Redis>(redis: &R) -> Case {
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
