//! What is published in the own store reaches the host's listeners, and only the right ones.

use crate::{MEMORY, host, own};
use bytes::Bytes;
use capability_redis::{Embedded, Messages, OnServer, Redis};
use futures::StreamExt as _;
use nexus_harness::Redis as RedisServer;
use nexus_runtime::ComponentId;
use std::time::Duration;
use tokio::runtime::Handle;

const LIMIT: Duration = Duration::from_secs(10);

async fn next(messages: &mut Messages) -> Bytes {
    tokio::time::timeout(LIMIT, messages.next()).await.expect("a message in time").unwrap()
}

async fn delivers(redis: &Redis) {
    let catalog = own(redis, "catalog").await;
    let orders = own(redis, "orders").await;
    let id = ComponentId::new("catalog").unwrap();
    let mut first = redis.subscribe(&id, "changes").await.unwrap();
    let mut second = redis.subscribe(&id, "changes").await.unwrap();
    let mut other = redis.subscribe(&id, "other").await.unwrap();
    orders.publish("changes".into(), "from another component".into()).await.unwrap();
    for n in 0..100u8 {
        catalog.publish("changes".into(), vec![n, 0xff].into()).await.unwrap();
    }
    catalog.publish("other".into(), "last".into()).await.unwrap();
    for n in 0..100u8 {
        assert_eq!(next(&mut first).await, vec![n, 0xff]);
        assert_eq!(next(&mut second).await, vec![n, 0xff]);
    }
    assert_eq!(next(&mut other).await, "last");
}

#[tokio::test]
async fn in_the_embedded_store() {
    delivers(&host(Embedded::new(MEMORY))).await;
}

#[tokio::test]
async fn on_a_server() {
    let server = RedisServer::start().await;
    delivers(&host(OnServer::new(&server.url(), Handle::current()).unwrap())).await;
}

#[tokio::test]
async fn a_listener_hears_again_after_the_server_was_restarted() {
    let mut server = RedisServer::start().await;
    let redis = host(OnServer::new(&server.url(), Handle::current()).unwrap());
    let catalog = own(&redis, "catalog").await;
    let id = ComponentId::new("catalog").unwrap();
    let mut messages = redis.subscribe(&id, "changes").await.unwrap();
    server.restart().await;
    let publish = async {
        loop {
            // Lost until the listener is back; that is what channels are.
            catalog.publish("changes".into(), "again".into()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        heard = next(&mut messages) => assert_eq!(heard, "again"),
        () = publish => {}
    }
}
