//! Bodies stream both ways at once, no faster than the slower side.

use crate::servers::*;
use bytes::Bytes;
use capability_outbound_http::Config;
use futures::stream;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use wasmtime_wasi_http::{Error, WasiBody};

const PIECE: usize = 64 << 10;

/// What sockets and HTTP hold on the way, at most: kernel buffers of both ends, windows, queues.
const IN_FLIGHT_MAX: usize = 24 << 20;

/// A body fed through a channel.
fn fed() -> (mpsc::Sender<Bytes>, WasiBody) {
    let (sender, receiver) = mpsc::channel(1);
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let piece: Bytes = receiver.recv().await?;
        Some((Ok::<_, Error>(Frame::data(piece)), receiver))
    });
    (sender, StreamBody::new(pieces).boxed_unsync())
}

/// An endless body that counts what was taken of it.
fn endless(taken: Arc<AtomicUsize>) -> WasiBody {
    let pieces = stream::repeat_with(move || {
        taken.fetch_add(PIECE, Ordering::SeqCst);
        Ok::<_, Error>(Frame::data(Bytes::from(vec![0; PIECE])))
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// Waits until nothing more is taken.
async fn settled(taken: &AtomicUsize) -> usize {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let (mut last, mut quiet) = (0, 0);
    while quiet < 50 {
        assert!(tokio::time::Instant::now() < deadline, "it is still being taken: {last} bytes");
        tokio::time::sleep(Duration::from_millis(4)).await;
        let now = taken.load(Ordering::SeqCst);
        quiet = if now == last && now > 0 { quiet + 1 } else { 0 };
        last = now;
    }
    last
}

async fn talks_both_ways(client: &capability_outbound_http::Client, url: &str, lines: &[&str]) {
    let (sender, body) = fed();
    let sending = client.send(post(url, body), None, &origin(lines)).await;
    let mut echoed = sending.expect("the head comes before the body ends").into_body();
    for turn in 0..50 {
        let piece = Bytes::from(format!("piece {turn}"));
        sender.send(piece.clone()).await.expect("the request takes it");
        let back = echoed.frame().await.expect("there is more").expect("it arrives");
        assert_eq!(back.into_data().expect("data"), piece);
    }
    drop(sender);
    let rest = echoed.collect().await.expect("the echo ends with the request");
    assert!(rest.to_bytes().is_empty(), "the echo is longer than the request");
}

#[tokio::test]
async fn a_request_and_its_response_stream_at_the_same_time() {
    let server = Server::start(echo).await;
    let client = client(Config::default());
    talks_both_ways(&client, &server.url("/"), &[&server.url("")]).await;
}

#[tokio::test]
async fn a_request_and_its_response_stream_at_the_same_time_on_http2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = Authority::new();
    let server = Server::start_tls(authority.acceptor("127.0.0.1", &["h2"]), echo).await;
    let url = format!("https://{}/", server.address);
    let ca_file = Some(authority.write(folder.path()));
    let client = client(Config { ca_file, ..Config::default() });
    talks_both_ways(&client, &url, &[&url]).await;
}

#[tokio::test]
async fn a_server_that_does_not_read_holds_the_guest_back() {
    let server = Server::start(|request| async move {
        // Holding the body without polling it stops the flow.
        let held = request.into_body();
        std::future::pending::<()>().await;
        drop(held);
        Response::new(nexus_runtime::full(""))
    })
    .await;
    let taken = Arc::new(AtomicUsize::new(0));
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let request = post(&server.url("/"), endless(taken.clone()));
    let sending = tokio::spawn(async move { client.send(request, None, &origin).await.is_ok() });
    let bytes = settled(&taken).await;
    assert!(bytes < IN_FLIGHT_MAX, "{bytes} bytes were taken from the guest");
    sending.abort();
}

#[tokio::test]
async fn a_guest_that_does_not_read_holds_the_server_back() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = taken.clone();
    let server = Server::start(move |_request| {
        let body = endless(counted.clone());
        async move { Response::new(body) }
    })
    .await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let response = client.send(get(&server.url("/")), None, &origin).await.expect("granted");
    let bytes = settled(&taken).await;
    assert!(bytes < IN_FLIGHT_MAX, "{bytes} bytes were taken from the server");
    drop(response);
    eventually("the connection is closed", || server.open() == 0).await;
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    let server = Server::start(echo).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let sent: Vec<u8> = (0..8 << 20).map(|i: u32| (i % 251) as u8).collect();
    let request = post(&server.url("/"), nexus_runtime::full(sent.clone()));
    let response = client.send(request, None, &origin).await.expect("granted");
    let back = response.into_body().collect().await.expect("it arrives").to_bytes();
    assert!(back == sent, "the echo differs");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_request_whose_body_turns_out_empty_announces_none() {
    let server = Server::start(mirror).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    // As guests of WASI 0.3 do it: a stream that is open when the request is sent, and then ends.
    for method in [http::Method::GET, http::Method::DELETE] {
        let (sender, body) = fed();
        let mut request = post(&server.url("/"), body);
        *request.method_mut() = method.clone();
        let sending = client.send(request, None, &origin);
        let (sent, ()) = tokio::join!(sending, async { drop(sender) });
        let seen = text(sent.expect("granted")).await;
        assert!(!seen.contains("chunked"), "{method}: {seen}");
    }
}

#[tokio::test]
async fn a_get_with_a_body_keeps_it() {
    let server = Server::start(mirror).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let (sender, body) = fed();
    let mut request = post(&server.url("/search"), body);
    *request.method_mut() = http::Method::GET;
    let feed = async {
        sender.send(Bytes::from_static(b"{\"q\":1}")).await.expect("the request takes it");
        drop(sender);
    };
    let (sent, ()) = tokio::join!(client.send(request, None, &origin), feed);
    let seen = text(sent.expect("granted")).await;
    assert!(seen.contains("body 7 bytes"), "{seen}");
}
