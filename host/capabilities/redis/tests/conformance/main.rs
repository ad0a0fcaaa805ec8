//! The Redis suite on every backend, and what only some of them can show: separation of
//! components, grants, limits, a server that goes away.

mod away;
mod channels;
mod differential;
mod grants;
mod memory;
mod separation;
mod suite;

use bytes::Bytes;
use capability_redis::{
    Backend, Connection, Embedded, OnServer, Redis, RedisError, Reply, Resolve,
};
use nexus_harness::Redis as RedisServer;
use nexus_runtime::{ComponentManifest, Manifest};
use std::path::Path;
use std::sync::Arc;
use suite::{Answer, Failure};
use tokio::runtime::Handle;

const MEMORY: usize = 256 << 20;

/// A native connection, with errors as a guest sees them.
struct Native(Connection);

fn flat(reply: Reply) -> Vec<Answer> {
    match reply {
        Reply::Nil => vec![Answer::Nil],
        Reply::Status(text) => vec![Answer::Status(text)],
        Reply::Int(n) => vec![Answer::Int(n)],
        Reply::Bytes(bytes) => vec![Answer::Bytes(bytes)],
        Reply::List(replies) => replies.into_iter().flat_map(flat).collect(),
    }
}

fn failure(error: RedisError) -> Failure {
    if error.is_type_error() { Failure::Type } else { Failure::Other(error.to_string()) }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

impl suite::Redis for Native {
    async fn execute(&self, command: &str, arguments: &[&[u8]]) -> Result<Vec<Answer>, Failure> {
        let arguments = arguments.iter().map(|bytes| Bytes::copy_from_slice(bytes)).collect();
        self.0.execute(command, arguments).await.map(flat).map_err(failure)
    }
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.0.get(key.into()).await.map_err(failure)
    }
    async fn set(&self, key: &str, value: &[u8]) -> Result<(), Failure> {
        self.0.set(key.into(), Bytes::copy_from_slice(value)).await.map_err(failure)
    }
    async fn incr(&self, key: &str) -> Result<i64, Failure> {
        self.0.incr(key.into()).await.map_err(failure)
    }
    async fn del(&self, keys: &[&str]) -> Result<u32, Failure> {
        self.0.del(owned(keys)).await.map_err(failure)
    }
    async fn sadd(&self, key: &str, values: &[&str]) -> Result<u32, Failure> {
        self.0.sadd(key.into(), owned(values)).await.map_err(failure)
    }
    async fn smembers(&self, key: &str) -> Result<Vec<String>, Failure> {
        self.0.smembers(key.into()).await.map_err(failure)
    }
    async fn srem(&self, key: &str, values: &[&str]) -> Result<u32, Failure> {
        self.0.srem(key.into(), owned(values)).await.map_err(failure)
    }
    async fn publish(&self, channel: &str, payload: &[u8]) -> Result<(), Failure> {
        self.0.publish(channel.into(), Bytes::copy_from_slice(payload)).await.map_err(failure)
    }
}

/// A component whose manifest lists these hosts.
fn component(name: &str, hosts: &[&str]) -> Arc<ComponentManifest> {
    let text = format!(
        "spin_manifest_version = 2\n[application]\nname = \"suite\"\n\
         [component.{name}]\nsource = \"x.wasm\"\nallowed_outbound_hosts = {hosts:?}\n"
    );
    Manifest::parse(&text, Path::new("spin.toml")).unwrap().components[0].clone()
}

fn no_variables() -> Resolve {
    Arc::new(|_, template| Err(format!("no variables for {template}")))
}

fn host(own: impl Backend) -> Redis {
    Redis::new(own, no_variables(), Handle::current())
}

async fn own(redis: &Redis, name: &str) -> Connection {
    let component = component(name, &["redis://nexus.internal"]);
    redis.connect(&component, "redis://nexus.internal").await.unwrap()
}

async fn passes(connection: Connection) {
    let outcomes = suite::suite(&Native(connection)).await;
    let failed: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn the_embedded_store_passes_the_suite() {
    passes(own(&host(Embedded::new(MEMORY)), "catalog").await).await;
}

#[tokio::test]
async fn a_server_as_own_store_passes_the_suite() {
    let server = RedisServer::start().await;
    let backend = OnServer::new(&server.url(), Handle::current()).unwrap();
    passes(own(&host(backend), "catalog").await).await;
}

#[tokio::test]
async fn a_server_of_the_components_own_passes_the_suite() {
    let server = RedisServer::start().await;
    let component = component("catalog", &[&server.tcp_url()]);
    let redis = host(Embedded::new(MEMORY));
    passes(redis.connect(&component, &server.tcp_url()).await.unwrap()).await;
}
