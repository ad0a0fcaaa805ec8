//! What the embedded store holds: bounded, accounted for, and gone when its time is over.

use crate::{component, host};
use bytes::Bytes;
use capability_redis::{Backend, Connection, Embedded, Messages, RedisError, Reply};
use nexus_redis_link::Repeat;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

/// The store is looked at from the side while a component uses it.
#[derive(Clone)]
struct Seen(Arc<Embedded>);

#[async_trait::async_trait]
impl Backend for Seen {
    async fn run(&self, command: Vec<Bytes>, repeat: Repeat) -> Result<Reply, RedisError> {
        self.0.run(command, repeat).await
    }
    async fn subscribe(&self, channel: Bytes) -> Result<Messages, RedisError> {
        self.0.subscribe(channel).await
    }
}

async fn open(store: &Seen) -> Connection {
    let component = component("catalog", &["redis://nexus.internal"]);
    host(store.clone()).connect(&component, "redis://nexus.internal").await.unwrap()
}

async fn run(connection: &Connection, line: &str) -> Result<Reply, RedisError> {
    let mut words = line.split(' ');
    let command = words.next().unwrap();
    let arguments = words.map(|word| Bytes::from(word.to_string())).collect();
    connection.execute(command, arguments).await
}

#[tokio::test]
async fn a_full_store_refuses_what_grows_and_serves_what_does_not() {
    let store = Seen(Arc::new(Embedded::new(1 << 20)));
    let connection = open(&store).await;
    let mut written = 0;
    let full = loop {
        let outcome = connection.set(format!("key-{written}"), vec![0; 10_000].into()).await;
        match outcome {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(full.to_string().starts_with("OOM command not allowed"), "{full}");
    assert!((90..=110).contains(&written), "{written}");
    assert!(store.0.bytes() < (1 << 20) + 20_000);
    for line in ["SADD set x", "HSET hash f v", "RPUSH list x", "ZADD zset 1 x", "APPEND key-0 x"] {
        assert!(run(&connection, line).await.is_err(), "{line}");
    }
    assert_eq!(connection.get("key-0".into()).await.unwrap().unwrap().len(), 10_000);
    assert_eq!(run(&connection, "EXPIRE key-0 100").await, Ok(Reply::Int(1)));
    assert_eq!(connection.del(vec!["key-0".into(), "key-1".into()]).await, Ok(2));
    run(&connection, "SADD set x").await.unwrap();
}

#[tokio::test]
async fn an_emptied_store_holds_nothing() {
    let store = Seen(Arc::new(Embedded::new(64 << 20)));
    let connection = open(&store).await;
    for line in [
        "SET a 1",
        "SET a 22 EX 100",
        "INCR a",
        "APPEND a xyz",
        "SADD b x y z",
        "SREM b x",
        "HSET c f v g w",
        "HSET c f longer",
        "HINCRBY c n 5",
        "HDEL c g",
        "RPUSH d 1 2 3 4",
        "LPUSH d 0",
        "LPOP d",
        "RPOP d 2",
        "LTRIM d 0 0",
        "ZADD e 1 x 2 y 3 z",
        "ZADD e 9 x",
        "ZINCRBY e 1 y",
        "ZREMRANGEBYSCORE e 3 3",
        "SET f x PX 100000",
        "PERSIST f",
        "EXPIRE f 5",
        "GETDEL f",
        "MSET g 1 h 2",
        "SET b text",
        "GETSET g new",
    ] {
        run(&connection, line).await.unwrap();
    }
    assert!(store.0.bytes() > 0);
    run(&connection, "DEL a b c d e f g h").await.unwrap();
    assert_eq!(store.0.bytes(), 0);
}

#[tokio::test]
async fn keys_expire_by_the_stores_clock_and_give_their_memory_back() {
    let seconds = Arc::new(AtomicU64::new(1_000_000));
    let clock = seconds.clone();
    let store = Embedded::with_clock(
        64 << 20,
        Arc::new(move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed))),
    );
    let store = Seen(Arc::new(store));
    let connection = open(&store).await;
    for n in 0..500 {
        run(&connection, &format!("SET key-{n} x EX {}", 10 + n % 2)).await.unwrap();
    }
    run(&connection, "SET stays x").await.unwrap();
    seconds.fetch_add(10, Ordering::Relaxed);
    assert_eq!(run(&connection, "EXISTS key-0 key-1 key-2").await, Ok(Reply::Int(1)));
    assert_eq!(run(&connection, "TTL key-1").await, Ok(Reply::Int(1)));
    seconds.fetch_add(2 * 86_400, Ordering::Relaxed);
    for _ in 0..20 {
        assert_eq!(run(&connection, "GET key-1").await, Ok(Reply::Nil));
    }
    let stays = "nexus:redis:catalog:stays".len() + 1;
    assert!(store.0.bytes() < stays + 500, "{}", store.0.bytes());
}
