//! A guest's patience, and ours where the guest has more.

use crate::servers::*;
use bytes::Bytes;
use capability_outbound_http::{Bounds, Config, Resolve};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use nexus_runtime::full;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use wasmtime_wasi_http::{Error, WasiBody};

struct Silent;

impl Resolve for Silent {
    fn resolve(&self, _name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::pending())
    }
}

/// Some pieces, each after a pause, and then `last`.
fn paced(pieces: usize, pause: Duration, last: bool) -> WasiBody {
    let piece = move |_| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, Error>(Frame::data(Bytes::from_static(b"piece")))
    };
    let pieces = futures::stream::iter(0..pieces).then(piece);
    if last {
        StreamBody::new(pieces).boxed_unsync()
    } else {
        StreamBody::new(pieces.chain(futures::stream::pending())).boxed_unsync()
    }
}

#[tokio::test]
async fn a_name_server_that_is_silent_is_a_dns_timeout() {
    let client = client(Config { resolver: Arc::new(Silent), ..Config::default() });
    let origin = origin(&["*://*:*"]);
    let sent = client.send(get("http://a.example/"), options(Some(40), None, None), &origin).await;
    assert_eq!(refusal(sent), "DnsTimeout");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_a_connection_timeout() {
    let server = Server::raw(|stream, _counted| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let url = format!("https://{}/", server.address);
    let client = client(Config::default());
    let origin = origin(&[&url]);
    let sent = client.send(get(&url), options(Some(60), None, None), &origin).await;
    assert_eq!(refusal(sent), "ConnectionTimeout");
}

#[tokio::test]
async fn nobody_listening_is_a_refused_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    drop(listener);
    let sent = client(Config::default()).send(get(&url), None, &origin(&[&url])).await;
    assert_eq!(refusal(sent), "ConnectionRefused");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_a_read_timeout() {
    let server = Server::start(|_request| std::future::pending()).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let sent = client.send(get(&server.url("/")), options(None, Some(60), None), &origin).await;
    assert_eq!(refusal(sent), "ConnectionReadTimeout");
    eventually("the connection is closed", || server.open() == 0).await;
}

#[tokio::test]
async fn no_guest_waits_longer_than_the_host_allows() {
    let server = Server::start(|_request| std::future::pending()).await;
    let cap = Duration::from_millis(60);
    let client = bounded(Bounds { first_byte_max: cap, ..Bounds::default() });
    let origin = origin(&[&server.url("")]);
    let patient = options(None, Some(3_600_000), None);
    let sent = client.send(get(&server.url("/")), patient, &origin).await;
    assert_eq!(refusal(sent), "ConnectionReadTimeout");
}

#[tokio::test]
async fn a_long_upload_is_not_a_slow_answer() {
    let server = Server::start(mirror).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let body = paced(8, Duration::from_millis(50), true);
    let request = post(&server.url("/"), body);
    let sent = client.send(request, options(None, Some(200), None), &origin).await;
    let seen = text(sent.expect("every piece moved the deadline")).await;
    assert!(seen.contains("body 40 bytes"), "{seen}");
}

#[tokio::test]
async fn a_guest_that_falls_silent_in_its_upload_loses_the_connection() {
    let server = Server::start(|request| async {
        let body = request.into_body().collect().await;
        let status = if body.is_ok() { 200 } else { 400 };
        let response = http::Response::builder().status(status);
        response.body(full("")).expect("a sound response")
    })
    .await;
    let bounds = Bounds { between_bytes_max: Duration::from_millis(60), ..Bounds::default() };
    let client = bounded(bounds);
    let origin = origin(&[&server.url("")]);
    let body = paced(1, Duration::ZERO, false);
    let sent = client.send(post(&server.url("/"), body), None, &origin).await;
    let refusal = refusal(sent);
    assert!(refusal.contains("ConnectionWriteTimeout"), "{refusal}");
    eventually("the connection is closed", || server.open() == 0).await;
}

#[tokio::test]
async fn a_response_that_stops_halfway_is_a_read_timeout() {
    let server = Server::start(|_request| async {
        http::Response::new(paced(2, Duration::from_millis(5), false))
    })
    .await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let sent = client.send(get(&server.url("/")), options(None, None, Some(80)), &origin).await;
    let mut body = sent.expect("the head arrives").into_body();
    for _piece in 0..2 {
        body.frame().await.expect("there is more").expect("the piece arrives");
    }
    let error = body.frame().await.expect("there is an error").expect_err("nothing came");
    assert!(matches!(error, Error::ConnectionReadTimeout), "{error:?}");
    assert!(body.frame().await.is_none(), "a body ends after its error");
    eventually("the connection is closed", || server.open() == 0).await;
}

#[tokio::test]
async fn pieces_that_keep_coming_are_no_timeout() {
    let server = Server::start(|_request| async {
        http::Response::new(paced(8, Duration::from_millis(40), true))
    })
    .await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let sent = client.send(get(&server.url("/")), options(None, None, Some(160)), &origin).await;
    assert_eq!(text(sent.expect("the head arrives")).await, "piece".repeat(8));
}

#[tokio::test]
async fn an_answer_before_the_upload_ends_reaches_the_guest() {
    let server = Server::start(hello).await;
    let client = client(Config::default());
    let origin = origin(&[&server.url("")]);
    let endless = paced(1, Duration::ZERO, false);
    let sent = client.send(post(&server.url("/"), endless), None, &origin).await;
    assert_eq!(text(sent.expect("the server did not wait")).await, "hello");
    // The next request does not wait for the unfinished one.
    let sent = client.send(post(&server.url("/"), full("x")), None, &origin).await;
    assert_eq!(text(sent.expect("another connection")).await, "hello");
}
