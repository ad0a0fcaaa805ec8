//! Which addresses a component reaches, which commands travel there, and what the others are told.

use crate::{MEMORY, component, host, no_variables, own};
use capability_redis::{Embedded, Redis, RedisError, Resolve};
use nexus_harness::Redis as RedisServer;
use nexus_runtime::Capability as _;
use std::sync::Arc;
use tokio::runtime::Handle;

#[tokio::test]
async fn a_component_without_a_grant_is_told_the_line_to_add() {
    let redis = host(Embedded::new(MEMORY));
    let denied = redis.admit(&component("catalog", &["https://example.com"])).unwrap_err();
    let denied = denied.to_string();
    assert!(denied.contains("allowed_outbound_hosts = [\"redis://nexus.internal\"]"), "{denied}");
    for hosts in [["redis://nexus.internal"], ["rediss://cache.example:6380"], ["*://*:*"]] {
        assert_eq!(redis.admit(&component("catalog", &hosts)), Ok(()), "{hosts:?}");
    }
    let broken = redis.admit(&component("catalog", &["redis://{{ host }}"])).unwrap_err();
    assert!(broken.to_string().contains("redis://{{ host }}"), "{broken}");
}

#[tokio::test]
async fn an_address_that_is_not_listed_is_refused_with_its_line() {
    let redis = host(Embedded::new(MEMORY));
    let own_only = component("catalog", &["redis://nexus.internal"]);
    let other_only = component("catalog", &["redis://cache.example"]);
    for (component, address, line) in [
        (&own_only, "redis://cache.example:7000/2", "\"redis://cache.example:7000\""),
        (&own_only, "rediss://u:s3cret@cache.example", "\"rediss://cache.example:6379\""),
        (&own_only, "redis://nexus.internal/orders", "\"redis://nexus.internal\""),
        (&own_only, "unix:///run/redis.sock", "/run/redis.sock"),
        (&other_only, "redis://nexus.internal", "\"redis://nexus.internal\""),
    ] {
        let error = redis.connect(component, address).await.err().unwrap();
        assert!(matches!(error, RedisError::Ungranted { .. }), "{address}: {error}");
        let text = error.to_string();
        assert!(text.contains(line) && text.contains("[component.catalog]"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
    for address in ["http://x", "redis://", &format!("redis://{}", "x".repeat(3000))] {
        let invalid = redis.connect(&own_only, address).await.err().unwrap();
        assert!(matches!(invalid, RedisError::Address(_)), "{invalid}");
    }
}

#[tokio::test]
async fn every_spelling_of_the_own_store_is_the_own_store() {
    let redis = host(Embedded::new(MEMORY));
    let catalog = component("catalog", &["redis://nexus.internal"]);
    own(&redis, "catalog").await.set("key".into(), "value".into()).await.unwrap();
    for address in [
        "redis://nexus.internal/",
        "redis://nexus.internal:6379",
        "redis://nexus.internal/catalog",
        "redis://nexus.internal:6379/catalog/",
        "redis://NEXUS.Internal.",
        "redis://user:password@nexus.internal",
    ] {
        let connection = redis.connect(&catalog, address).await.unwrap();
        assert_eq!(connection.get("key".into()).await.unwrap().unwrap(), b"value", "{address}");
    }
}

#[tokio::test]
async fn a_wildcard_does_not_reach_the_hosts_own_network() {
    let server = RedisServer::start().await;
    let redis = host(Embedded::new(MEMORY));
    let wildcard = component("catalog", &["redis://*:*"]);
    let error = redis.connect(&wildcard, &server.tcp_url()).await.err().unwrap().to_string();
    assert!(error.contains("private address 127.0.0.1"), "{error}");
    let network = component("catalog", &["redis://127.0.0.0/8:*"]);
    redis.connect(&network, &server.tcp_url()).await.unwrap();
}

#[tokio::test]
async fn a_grant_may_hold_variables() {
    let server = RedisServer::start().await;
    let url = server.tcp_url();
    let resolve: Resolve = Arc::new(move |component, template| {
        assert_eq!(component.as_str(), "catalog");
        Ok(template.replace("{{ cache }}", &url))
    });
    let redis = Redis::new(Embedded::new(MEMORY), resolve, Handle::current());
    let catalog = component("catalog", &["{{ cache }}"]);
    redis.connect(&catalog, &server.tcp_url()).await.unwrap();
}

#[tokio::test]
async fn commands_that_would_disturb_a_shared_connection_are_refused_by_name() {
    let server = RedisServer::start().await;
    let redis = Redis::new(Embedded::new(MEMORY), no_variables(), Handle::current());
    let catalog = component("catalog", &[&server.tcp_url()]);
    let connection = redis.connect(&catalog, &server.tcp_url()).await.unwrap();
    for command in ["MULTI", "subscribe", "Select", "CLIENT", "BLPOP", "monitor", "QUIT", "AUTH"] {
        let error = connection.execute(command, vec!["0".into()]).await.unwrap_err();
        assert!(matches!(error, RedisError::NotOffered { .. }), "{command}: {error}");
    }
    let script = ["return redis.call('incr', KEYS[1])", "1", "counter"].map(Into::into);
    let reply = connection.execute("EVAL", script.to_vec()).await.unwrap();
    assert_eq!(reply, capability_redis::Reply::Int(1));
    let error = connection.execute("NOSUCH", vec![]).await.unwrap_err();
    assert!(matches!(error, RedisError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn the_own_store_offers_only_commands_whose_keys_it_knows() {
    let connection = own(&host(Embedded::new(MEMORY)), "catalog").await;
    for command in ["EVAL", "KEYS", "FLUSHALL", "CONFIG", "RANDOMKEY", "SORT", "MULTI", "", "x y"] {
        let error = connection.execute(command, vec!["x".into()]).await.unwrap_err();
        assert!(matches!(error, RedisError::NotOffered { .. }), "{command}: {error}");
    }
}

#[tokio::test]
async fn arguments_beyond_the_limit_are_refused() {
    let connection = own(&host(Embedded::new(MEMORY)), "catalog").await;
    let error = connection.set("key".into(), vec![0; 9 << 20].into()).await.unwrap_err();
    assert_eq!(error, RedisError::TooLarge);
    let error = connection.del(vec![String::new(); 20_000]).await.unwrap_err();
    assert_eq!(error, RedisError::TooLarge);
}
