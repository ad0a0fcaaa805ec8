//! Cases about keys of any kind and their deadlines. Their keys begin with `i:` to `l:`.

use super::*;
use std::time::{Duration, Instant};

pub async fn keys_exist_have_a_type_and_are_deleted<R: Redis>(redis: &R) -> Case {
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

pub async fn deadlines_are_set_shown_and_lifted<R: Redis>(redis: &R) -> Case {
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

pub async fn deadlines_obey_their_conditions<R: Redis>(redis: &R) -> Case {
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
        "EXPIRE k:1 90 XX GT" => int(1),
        "EXPIRE k:1 90 NX GT" => ErrorWith("not compatible"),
        "EXPIRE k:1 90 LT GT" => ErrorWith("not compatible"),
        "EXPIRE k:1 60 ODD" => ErrorWith("Unsupported option ODD"),
    }
    Ok(())
}

pub async fn a_key_is_gone_when_its_time_is_over<R: Redis>(redis: &R) -> Case {
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
