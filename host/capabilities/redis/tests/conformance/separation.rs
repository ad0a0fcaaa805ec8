//! Two components on one store never see each other, whatever the store is.

use crate::{MEMORY, host, own};
use bytes::Bytes;
use capability_redis::{Connection, Embedded, OnServer, Redis, Reply};
use nexus_harness::Redis as RedisServer;
use tokio::runtime::Handle;

async fn run(connection: &Connection, line: &str) -> Reply {
    let mut words = line.split(' ');
    let command = words.next().unwrap();
    let arguments = words.map(|word| Bytes::from(word.to_string())).collect();
    connection.execute(command, arguments).await.unwrap()
}

async fn separates(redis: &Redis) {
    let catalog = own(redis, "catalog").await;
    // The name of one is the beginning of the name of the other.
    let backlog = own(redis, "catalog-backlog").await;
    run(&catalog, "MSET key mine other mine").await;
    assert_eq!(run(&backlog, "MGET key other").await, Reply::List(vec![Reply::Nil, Reply::Nil]));
    assert_eq!(run(&backlog, "DEL key other").await, Reply::Int(0));
    assert_eq!(run(&backlog, "EXISTS key nexus:redis:catalog:key").await, Reply::Int(0));
    run(&backlog, "SET key theirs").await;
    assert_eq!(run(&catalog, "GET key").await, Reply::Bytes(b"mine".to_vec()));
    for (line, expected) in [
        ("SCAN 0 COUNT 100", &["key"][..]),
        ("SCAN 0 MATCH * COUNT 100", &["key"]),
        ("SCAN 0 COUNT 100 match k?y", &["key"]),
        ("SCAN 0 MATCH *other* COUNT 100", &[]),
        ("SCAN 0 MATCH nexus* COUNT 100", &[]),
        ("SCAN 0 COUNT 100 TYPE MATCH", &[]),
        ("SCAN 0 MATCH x MATCH * COUNT 100", &["key"]),
        ("SCAN 0 MATCH * MATCH x COUNT 100", &[]),
    ] {
        let Reply::List(parts) = run(&backlog, line).await else { panic!("{line}") };
        let names = expected.iter().map(|name| Reply::Bytes(name.as_bytes().to_vec())).collect();
        assert_eq!(parts[1], Reply::List(names), "{line}");
    }
}

#[tokio::test]
async fn in_the_embedded_store() {
    separates(&host(Embedded::new(MEMORY))).await;
}

#[tokio::test]
async fn on_a_server() {
    let server = RedisServer::start().await;
    separates(&host(OnServer::new(&server.url(), Handle::current()).unwrap())).await;
}
