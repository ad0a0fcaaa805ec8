//! Connections are used again, are bounded, and are not missed when they die.

use crate::servers::*;
use capability_outbound_http::{Bounds, Client, Config};
use futures::future::join_all;
use http_body_util::BodyExt as _;
use nexus_runtime::full;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn fetch(client: &Client, uri: &str, origin: &capability_outbound_http::Origin) -> String {
    text(client.send(get(uri), None, origin).await.expect("the request is granted")).await
}

#[tokio::test]
async fn requests_in_turn_share_one_connection() {
    let server = Server::start(hello).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    for _turn in 0..20 {
        assert_eq!(fetch(&client, &server.url("/"), &origin).await, "hello");
    }
    assert_eq!((server.accepted(), server.requests()), (1, 20));
}

#[tokio::test]
async fn requests_at_once_open_what_they_need_and_leave_it_to_the_next() {
    let server = Server::start(hello).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let url = server.url("/");
    join_all((0..4).map(|_| fetch(&client, &url, &origin))).await;
    assert!(server.accepted() <= 4);
    let opened = server.accepted();
    for _turn in 0..8 {
        fetch(&client, &url, &origin).await;
    }
    assert_eq!(server.accepted(), opened);
}

#[tokio::test]
async fn an_unused_connection_is_closed_after_a_while() {
    let server = Server::start(hello).await;
    let client = bounded(Bounds { idle: Duration::from_millis(40), ..Bounds::default() });
    let origin = origin(&[&server.url("")]);
    fetch(&client, &server.url("/"), &origin).await;
    eventually("the idle connection is closed", || server.open() == 0).await;
    fetch(&client, &server.url("/"), &origin).await;
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn no_more_unused_connections_are_kept_than_allowed() {
    let server = Server::start(hello).await;
    let bounds = Bounds { idle_per_host_max: 2, ..Bounds::default() };
    let client = bounded(bounds);
    let origin = origin(&[&server.url("")]);
    let url = server.url("/");
    let heads = join_all((0..6).map(|_| client.send(get(&url), None, &origin))).await;
    let responses: Vec<_> = heads.into_iter().map(|r| r.expect("it is granted")).collect();
    join_all(responses.into_iter().map(text)).await;
    eventually("two connections are left", || server.open() == 2).await;
}

#[tokio::test]
async fn a_response_dropped_unread_closes_its_connection() {
    let server =
        Server::start(|_request| async { http::Response::new(full(vec![0; 1 << 20])) }).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let response = client.send(get(&server.url("/")), None, &origin).await.expect("granted");
    drop(response);
    eventually("the connection is closed", || server.open() == 0).await;
}

#[tokio::test]
async fn a_request_given_up_closes_its_connection() {
    let server = Server::start(|_request| std::future::pending()).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let request = client.send(get(&server.url("/")), None, &origin);
    let given_up = tokio::time::timeout(Duration::from_millis(50), request).await;
    assert!(given_up.is_err());
    eventually("the connection is closed", || server.open() == 0).await;
}

#[tokio::test]
async fn slots_are_waited_for_and_come_back() {
    let server = Server::start(drip).await;
    let client = bounded(Bounds { exchanges_per_host_max: 2, ..Bounds::default() });
    let origin = origin(&[&server.url("")]);
    let url = server.url("/");
    let first = client.send(get(&url), None, &origin).await.expect("the first slot is free");
    let second = client.send(get(&url), None, &origin).await.expect("the second slot is free");
    let third = client.send(get(&url), options(Some(60), None, None), &origin).await;
    assert_eq!(refusal(third), "ConnectionLimitReached");
    let waiting = client.send(get(&url), None, &origin);
    let (fourth, ()) = tokio::join!(waiting, async { drop(first) });
    fourth.expect("the slot of the first came back");
    drop(second);
}

/// One piece of a body that never ends.
async fn drip(
    _request: http::Request<hyper::body::Incoming>,
) -> http::Response<wasmtime_wasi_http::WasiBody> {
    use futures::StreamExt as _;
    let piece = futures::stream::iter([Ok(http_body::Frame::data("x".into()))]);
    let body = http_body_util::StreamBody::new(piece.chain(futures::stream::pending()));
    http::Response::new(body.boxed_unsync())
}

#[tokio::test]
async fn a_component_has_only_so_many_requests_under_way() {
    let server = Server::start(drip).await;
    let client = client(Config::default());
    let origin = origin(&["http://127.0.0.1:*"]);
    let mut held = Vec::new();
    let servers = join_all((0..8).map(|_| Server::start(drip))).await;
    for turn in 0..256 {
        let url = servers[turn % servers.len()].url("/");
        held.push(client.send(get(&url), None, &origin).await.expect("within the bound"));
    }
    let sent = client.send(get(&server.url("/")), None, &origin).await;
    assert_eq!(refusal(sent), "ConnectionLimitReached");
    let neighbour = self::origin(&["http://127.0.0.1:*"]);
    client.send(get(&server.url("/")), None, &neighbour).await.expect("others are not concerned");
    drop(held);
    client.send(get(&server.url("/")), None, &origin).await.expect("the slots came back");
}

/// Answers `keep` requests of a connection, then reads one more and closes without a word.
async fn closes_after(mut stream: TcpStream, counted: Counted, keep: usize) {
    let mut answered = 0;
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        seen.extend_from_slice(&buffer[..read]);
        if !seen.windows(4).any(|end| end == b"\r\n\r\n") {
            continue;
        }
        seen.clear();
        counted.request();
        if answered == keep {
            return;
        }
        answered += 1;
        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(ok).await.expect("the client reads");
    }
}

#[tokio::test]
async fn a_request_without_a_body_survives_a_connection_that_died_in_the_pool() {
    let server = Server::raw(|stream, counted| closes_after(stream, counted, 1)).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    for _turn in 0..4 {
        assert_eq!(fetch(&client, &server.url("/"), &origin).await, "ok");
    }
    assert_eq!(server.accepted(), 4);
}

#[tokio::test]
async fn a_request_that_may_not_be_repeated_is_not() {
    let server = Server::raw(|stream, counted| closes_after(stream, counted, 1)).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    assert_eq!(fetch(&client, &server.url("/"), &origin).await, "ok");
    let sent = client.send(post(&server.url("/"), full("pay")), None, &origin).await;
    assert_eq!(refusal(sent), "ConnectionTerminated");
    assert_eq!((server.accepted(), server.requests()), (1, 2));
}

#[tokio::test]
async fn a_new_connection_that_dies_is_not_tried_again() {
    let server = Server::raw(|stream, counted| closes_after(stream, counted, 0)).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let sent = client.send(get(&server.url("/")), None, &origin).await;
    assert_eq!(refusal(sent), "ConnectionTerminated");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn revisions_do_not_share_connections() {
    let server = Server::start(hello).await;
    let client = client(Config::default());
    for revision in [origin(&[&server.url("")]), origin(&[&server.url("")])] {
        fetch(&client, &server.url("/"), &revision).await;
        fetch(&client, &server.url("/"), &revision).await;
    }
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn each_thread_keeps_its_own_connections() {
    let server = Server::start(hello).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let url = server.url("/");
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (client, origin, url) = (client.clone(), origin.clone(), url.clone());
            tokio::task::spawn_blocking(move || {
                let thread = std::thread::spawn(move || {
                    let shard = tokio::runtime::Builder::new_current_thread().enable_all().build();
                    shard.expect("a runtime starts").block_on(async {
                        for _turn in 0..3 {
                            fetch(&client, &url, &origin).await;
                        }
                    });
                });
                thread.join().expect("the shard's requests succeed");
            })
        })
        .collect();
    for thread in join_all(threads).await {
        thread.expect("the shard ended well");
    }
    assert_eq!((server.accepted(), server.requests()), (2, 6));
}
