//! Going down: what runs finishes, what is idle leaves, what is stuck is cut off.

use crate::clients::{Raw, http2};
use crate::host::{Host, until, within};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn running_requests_finish_idle_connections_close_and_nobody_new_comes_in() {
    let host = Host::start();
    let mut idle = Raw::open(host.address()).await;
    idle.say("GET /echo/ignore HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    let mut untouched = Raw::open(host.address()).await;
    let mut busy = Raw::open(host.address()).await;
    busy.say("GET /echo/hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (mut sender, driver) = http2(TcpStream::connect(host.address()).await.unwrap()).await;
    let held = Request::get("http://a/echo/hold").body(Full::new(Bytes::new())).unwrap();
    let held = tokio::spawn(async move { sender.send_request(held).await });
    until("both calls wait", || host.echo.holding() == 2).await;

    host.request_shutdown();
    idle.is_closed().await;
    untouched.is_closed().await;
    let began = Instant::now();
    while TcpStream::connect(host.address()).await.is_ok() {
        assert!(began.elapsed() < crate::host::DEADLINE, "still accepting");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(host.is_running(), "it waits for the running requests");
    host.echo.release();
    let answer = busy.answer().await.unwrap();
    assert_eq!((answer.text(), answer.field("connection")), ("released", "close"));
    busy.is_closed().await;
    let response = within(held).await.unwrap().unwrap();
    let body = within(response.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(body, "released");
    within(driver).await.unwrap().unwrap();
    host.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_end_is_cut_after_the_drain_limit() {
    let host = Host::with(|config| config.limits.drain = Duration::from_millis(200));
    let mut raw = Raw::open(host.address()).await;
    raw.say("GET /echo/events HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.head().await.unwrap();
    let began = Instant::now();
    host.stop().await;
    assert!(began.elapsed() >= Duration::from_millis(190));
    assert!(began.elapsed() < Duration::from_secs(5));
    raw.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_free_again_after_the_end_and_taken_before() {
    let host = Host::start();
    let address = host.address();
    let taken = trigger_http::HttpConfig { listen: vec![address], ..Default::default() };
    let error = <trigger_http::HttpTrigger as nexus_runtime::Trigger>::new(taken);
    assert!(error.is_err(), "a second host would take half of the traffic");
    host.stop().await;
    let again = Host::with(|config| config.listen = vec![address]);
    assert_eq!(again.address(), address);
    again.stop().await;
}
