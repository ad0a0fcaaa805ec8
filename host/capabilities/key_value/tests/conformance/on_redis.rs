//! What a store on Redis does when the server goes away, and beside other users of the server.

use capability_key_value::{Backend, KeyValueError, OnRedis, Store};
use futures::TryStreamExt as _;
use nexus_harness::Redis;
use nexus_redis_link::{Address, Link, Reach, Repeat};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

fn store(server: &Redis) -> Store {
    let backend: Arc<dyn Backend> =
        Arc::new(OnRedis::new(&server.url(), Handle::current()).unwrap());
    Store::new(backend, "default")
}

#[tokio::test]
async fn while_the_server_is_away_errors_are_quick_and_afterwards_there_are_none() {
    let mut server = Redis::start().await;
    let store = store(&server);
    store.set("key", "value".into()).await.unwrap();
    for _ in 0..2 {
        server.kill();
        let start = Instant::now();
        for _ in 0..20 {
            let error = store.get("key").await.unwrap_err();
            assert!(
                matches!(&error, KeyValueError::Unavailable(text)
                if text.contains("is unavailable")),
                "{error}"
            );
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        server.restart().await;
        let deadline = Instant::now() + Duration::from_secs(5);
        while let Err(error) = store.set("key", "again".into()).await {
            assert!(Instant::now() < deadline, "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(store.get("key").await.unwrap().unwrap(), "again");
    }
}

#[tokio::test]
async fn a_restart_between_two_commands_is_not_noticed() {
    let mut server = Redis::start().await;
    let store = store(&server);
    store.set("key", "value".into()).await.unwrap();
    server.restart().await;
    store.set("key", "value".into()).await.unwrap();
    assert!(store.exists("key").await.unwrap());
}

#[tokio::test]
async fn a_store_outlives_the_runtime_that_used_it_first() {
    let server = Redis::start().await;
    let store = store(&server);
    let shards = [(); 2].map(|()| {
        let store = store.clone();
        std::thread::spawn(move || {
            let shard = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            shard.block_on(async { store.set("key", "value".into()).await })
        })
    });
    for shard in shards {
        let done = tokio::task::spawn_blocking(|| shard.join().unwrap()).await.unwrap();
        done.unwrap();
    }
    assert!(store.exists("key").await.unwrap());
}

#[tokio::test]
async fn other_users_keys_are_neither_listed_nor_touched() {
    let server = Redis::start().await;
    let store = store(&server);
    let address = Address::parse(&server.url()).unwrap();
    let link = Link::new(address, Reach::Anywhere, Handle::current());
    for n in 0..3_000 {
        link.send(&["SET", &format!("theirs:{n}"), "x"], Repeat::Safe).await.unwrap();
    }
    store.set("mine", "x".into()).await.unwrap();
    let batches: Vec<Vec<String>> = store.keys().try_collect().await.unwrap();
    assert_eq!(batches, [["mine"]]);
}
