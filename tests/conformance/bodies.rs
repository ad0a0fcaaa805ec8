//! Bodies of every kind reach a guest and come back as they were sent, whether the host hands them
//! over whole or as they come.

use nexus_harness::prelude::*;
use std::time::Duration;

/// Far longer than it takes, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Sends bodies of all sizes around `bounds` to `path`, which gives them back.
pub(crate) async fn come_back(nexus: &Nexus, path: &str, bounds: &[usize]) {
    let client = nexus.anonymous();
    let around = bounds.iter().flat_map(|bound| [bound - 1, *bound, bound + 1]);
    for bytes in [0, 1, 4_096, 300_000, 1_200_000].into_iter().chain(around) {
        let sent = pattern(bytes);
        let echo = client.request(http::Method::POST, path).body(sent.clone());
        let answer = echo.send().await.ok();
        assert!(answer.body == sent, "{} bytes came back, of {bytes}", answer.body.len());
    }
}

/// Many clients at once send bodies of their own to `path`, which gives them back.
pub(crate) async fn stay_apart(nexus: &Nexus, path: &'static str, step: usize) {
    let clients: Vec<_> = (0..8_u8)
        .map(|own| {
            let client = nexus.anonymous();
            tokio::spawn(async move {
                for turn in 0..25 {
                    let sent = vec![own; 1 + step * turn];
                    let echo = client.request(http::Method::POST, path).body(sent.clone());
                    assert!(echo.send().await.ok().body == sent, "client {own}, turn {turn}");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

/// `path` counts the bytes of a body that its client sends once it is asked for.
pub(crate) async fn is_asked_for(nexus: &Nexus, path: &str) {
    let mut raw = nexus.connect().await;
    assert!(raw.send(expecting(path)).await);
    let asked = raw.response().await;
    assert!(asked.starts_with("HTTP/1.1 100 "), "{asked}");
    assert!(raw.send("hello").await);
    let answer = raw.response().await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with('5'), "{answer}");
}

fn expecting(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
}

/// `path` never comes to an end, and its client leaves.
pub(crate) async fn ends_with_its_client(nexus: &Nexus, path: &str, component: &str) {
    let client = nexus.anonymous();
    let mut body = client.request(http::Method::GET, path).stream().await.status(200);
    assert!(body.next().await.unwrap().is_some());
    drop(body);
    let found = || {
        let all = nexus.runtime().snapshot();
        all.into_iter().find(|one| one.component.as_str() == component).unwrap()
    };
    eventually("the call ends with its client", LIMIT, async || found().inflight == 0).await;
    assert_eq!(found().counts.traps, 0);
}

async fn host() -> Nexus {
    let (spin, hostile) = (probe("spin"), probe("hostile"));
    let manifest = format!(
        r#"
spin_manifest_version = 2
[application]
name = "bodies"
version = "0.0.0"
[[trigger.http]]
route = "/..."
component = "spin"
[[trigger.http]]
route = "/hostile/..."
component = "hostile"
[component.spin]
source = "{}"
key_value_stores = ["default"]
variables = {{ pg_url = "{{{{ pg_url }}}}" }}
allowed_outbound_hosts = ["redis://nexus.internal", "postgres://nexus.internal"]
[component.hostile]
source = "{}"
variables = {{ pg_url = "{{{{ pg_url }}}}" }}
allowed_outbound_hosts = ["postgres://nexus.internal"]
"#,
        spin.display(),
        hostile.display(),
    );
    Nexus::setup().manifest(manifest).without_database().start().await
}

/// Bytes that differ from place to place.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_comes_back_as_it_went_on_both_sides_of_every_bound() {
    come_back(&host().await, "/echo", &[64 << 10, 128 << 10]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_bodies_at_once_are_not_mixed_up() {
    stay_apart(&host().await, "/echo", 977).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_is_read_as_it_comes() {
    let nexus = host().await;
    let mut raw = nexus.connect().await;
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    assert!(raw.send(format!("{head}5\r\nhello\r\n")).await);
    assert!(raw.send("7\r\n, world\r\n0\r\n\r\n").await);
    let answer = raw.response().await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello, world"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_through_a_guest() {
    let nexus = host().await;
    let mut raw = nexus.connect().await;
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\nte: trailers\r\nconnection: close\r\n\
        transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n";
    assert!(raw.send(format!("{head}5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n")).await);
    let answer = raw.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("5\r\nhello\r\n0\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_in_pieces_is_whole_for_the_guest() {
    let nexus = host().await;
    let mut raw = nexus.connect().await;
    assert!(raw.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhel").await);
    assert!(raw.send("lo wo").await);
    assert!(raw.send("rl").await);
    let answer = raw.response().await;
    assert!(answer.ends_with("hello worl"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_within_its_body_is_no_request() {
    let nexus = host().await;
    nexus.expects_log("hyper error");
    let mut raw = nexus.connect().await;
    let head = "POST /hostile/drinks-the-request-body HTTP/1.1\r\nhost: x\r\n\
                content-length: 10\r\n\r\nhel";
    assert!(raw.send(head).await);
    raw.end_of_input().await;
    let answer = raw.read_to_end().await;
    assert!(!answer.contains(" 200 "), "{answer}");
    assert_eq!(nexus.anonymous().get("/hello").await.ok().text(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_body_that_is_wanted_is_asked_for() {
    let nexus = host().await;
    let mut raw = nexus.connect().await;
    assert!(raw.send(expecting("/hostile/ignores-the-request-body")).await);
    let answer = raw.response().await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ignored"), "{answer}");
    is_asked_for(&nexus, "/hostile/drinks-the-request-body").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_answered_without_a_body_and_the_connection_goes_on() {
    let nexus = host().await;
    let mut raw = nexus.connect().await;
    assert!(raw.send("HEAD /hello HTTP/1.1\r\nhost: x\r\n\r\n").await);
    assert!(raw.send("GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await);
    let both = raw.read_to_end().await;
    assert_eq!(both.matches("HTTP/1.1 200 ").count(), 2, "{both}");
    assert_eq!(both.matches("hello").count(), 1, "{both}");
    assert!(both.ends_with("\r\n\r\nhello"), "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_writes_more_than_its_client_takes_waits_and_stops_with_it() {
    ends_with_its_client(&host().await, "/hostile/never-ending-body", "hostile").await;
}
