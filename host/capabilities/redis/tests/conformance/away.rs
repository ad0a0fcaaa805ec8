//! A server that goes away, comes back, or stops answering.

use crate::{MEMORY, component, host};
use capability_redis::{Connection, Embedded, RedisError};
use nexus_harness::Redis as RedisServer;
use std::time::{Duration, Instant};

async fn connection(server: &RedisServer) -> Connection {
    let component = component("catalog", &[&server.tcp_url()]);
    host(Embedded::new(MEMORY)).connect(&component, &server.tcp_url()).await.unwrap()
}

#[tokio::test]
async fn an_open_connection_works_again_when_the_server_does() {
    let mut server = RedisServer::start().await;
    let connection = connection(&server).await;
    connection.incr("count".into()).await.unwrap();
    server.kill();
    let start = Instant::now();
    for _ in 0..20 {
        let error = connection.incr("count".into()).await.unwrap_err();
        assert!(matches!(&error, RedisError::Unavailable(text) if text.contains("unavailable")));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    server.restart().await;
    let deadline = Instant::now() + Duration::from_secs(5);
    let count = loop {
        match connection.incr("count".into()).await {
            Ok(count) => break count,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(count, 1);
}

#[tokio::test]
async fn opening_an_address_where_nobody_listens_fails_at_once() {
    let mut server = RedisServer::start().await;
    let url = server.tcp_url();
    server.kill();
    let redis = host(Embedded::new(MEMORY));
    let error = redis.connect(&component("catalog", &[&url]), &url).await.err().unwrap();
    assert!(matches!(error, RedisError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_and_connected_anew() {
    let server = RedisServer::start().await;
    let connection = connection(&server).await;
    connection.set("key".into(), "value".into()).await.unwrap();
    server.pause();
    let start = Instant::now();
    let error = connection.get("key".into()).await.unwrap_err().to_string();
    assert!(error.contains("no answer within 5s"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let error = connection.get("key".into()).await.unwrap_err().to_string();
    assert!(error.contains("no connection within 2s"), "{error}");
    server.resume();
    let deadline = Instant::now() + Duration::from_secs(5);
    while let Err(error) = connection.get("key".into()).await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
