//! Deny by default, and say which line would allow it.

use crate::servers::*;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no writer panicked")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panicked").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

fn listen(log: &Log) -> tracing::subscriber::DefaultGuard {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .finish();
    tracing::subscriber::set_default(subscriber)
}

#[tokio::test]
async fn what_no_line_grants_is_refused_with_the_line_that_would() {
    let log = Log::default();
    let _listening = listen(&log);
    let client = client(Default::default());
    let nothing = origin(&[]);
    for _again in 0..3 {
        let sent = client.send(get("https://api.example.com/v1?key=secret"), None, &nothing).await;
        assert_eq!(refusal(sent), "HttpRequestDenied");
    }
    let text = log.text();
    let line = r#"`allowed_outbound_hosts = ["https://api.example.com"]` in [component.shop]"#;
    assert!(text.contains(line), "{text}");
    assert!(!text.contains("secret"), "a refusal repeats the query: {text}");
    assert_eq!(text.matches("WARN").count(), 1, "a repeated refusal warns again: {text}");
}

#[tokio::test]
async fn an_address_that_is_not_public_is_refused_with_the_line_that_would() {
    let log = Log::default();
    let _listening = listen(&log);
    let client = client(Default::default());
    let sent = client.send(get("http://0x7f.1:8080/"), None, &origin(&["*://*:*"])).await;
    assert_eq!(refusal(sent), "DestinationIpProhibited");
    let line = r#"`allowed_outbound_hosts = ["*://*:*", "http://127.0.0.1:8080"]`"#;
    assert!(log.text().contains(line), "{}", log.text());
}

#[tokio::test]
async fn a_granted_host_answers_and_its_other_port_does_not() {
    let server = Server::start(hello).await;
    let other = Server::start(hello).await;
    let client = client(Default::default());
    let origin = origin(&[&server.url("")]);
    let response = client.send(get(&server.url("/")), None, &origin).await.expect("it is granted");
    assert_eq!(text(response).await, "hello");
    let sent = client.send(get(&other.url("/")), None, &origin).await;
    assert_eq!(refusal(sent), "HttpRequestDenied");
    assert_eq!(other.accepted(), 0);
}

#[tokio::test]
async fn what_is_no_request_is_refused_before_anything_is_asked() {
    let client = client(Default::default());
    let script = loopback();
    let asking = self::client(capability_outbound_http::Config {
        resolver: script.clone(),
        ..Default::default()
    });
    for uri in [
        "http://user:pw@example.com/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "ftp://example.com/",
        "file://example.com/etc/passwd",
    ] {
        let sent = asking.send(get(uri), None, &origin(&["*://*:*"])).await;
        assert_eq!(refusal(sent), "HttpRequestUriInvalid", "{uri}");
    }
    assert_eq!(script.asked(), 0);
    let mut connect = get("http://example.com/");
    *connect.method_mut() = http::Method::CONNECT;
    let sent = client.send(connect, None, &origin(&["*://*:*"])).await;
    assert_eq!(refusal(sent), "HttpRequestMethodInvalid");
}

#[tokio::test]
async fn a_redirect_is_handed_to_the_guest_and_not_followed() {
    let elsewhere = Server::start(hello).await;
    let location = elsewhere.url("/");
    let server = Server::start(move |_request| {
        let location = location.clone();
        async move {
            let redirect = http::Response::builder().status(302).header("location", location);
            redirect.body(nexus_runtime::full("")).expect("a sound redirect")
        }
    })
    .await;
    let client = client(Default::default());
    let origin = origin(&["http://127.0.0.1:*"]);
    let response = client.send(get(&server.url("/")), None, &origin).await.expect("an answer");
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], elsewhere.url("/"));
    assert_eq!(elsewhere.accepted(), 0);
}
