//! TLS: who is believed, and which protocol is spoken.

use crate::servers::*;
use capability_outbound_http::{Bounds, Client, Config, Origin, OutboundError};
use futures::future::join_all;
use std::path::PathBuf;
use std::time::Duration;

const NAME: &str = "api.example.test";

struct Place {
    server: Server,
    url: String,
    origin: Origin,
    client: Client,
    _folder: tempfile::TempDir,
}

/// A server for `name` with a certificate for `certified`, and a client that trusts its authority.
async fn place(certified: &str, alpn: &[&str]) -> Place {
    place_with(certified, alpn, Bounds::default()).await
}

async fn place_with(certified: &str, alpn: &[&str], bounds: Bounds) -> Place {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = Authority::new();
    let server = Server::start_tls(authority.acceptor(certified, alpn), mirror).await;
    let port = server.address.port();
    let url = format!("https://{NAME}:{port}/x");
    let lines = [format!("https://{NAME}:{port}"), format!("https://127.0.0.1:{port}")];
    let origin = origin(&[&lines[0], &lines[1]]);
    let ca_file = Some(authority.write(folder.path()));
    let client = client(Config { ca_file, resolver: loopback(), bounds, ..Config::default() });
    Place { server, url, origin, client, _folder: folder }
}

#[tokio::test]
async fn http2_is_spoken_where_the_server_offers_it() {
    let place = place(NAME, &["h2", "http/1.1"]).await;
    let sent = place.client.send(get(&place.url), None, &place.origin).await;
    let seen = text(sent.expect("the authority is trusted")).await;
    assert!(seen.starts_with(&format!("GET {} HTTP/2.0\n", place.url)), "{seen}");
    assert!(!seen.contains("\nhost:"), "{seen}");
}

#[tokio::test]
async fn http1_is_spoken_otherwise() {
    for alpn in [&["http/1.1"][..], &[]] {
        let place = place(NAME, alpn).await;
        let sent = place.client.send(get(&place.url), None, &place.origin).await;
        let seen = text(sent.expect("the authority is trusted")).await;
        assert!(seen.starts_with("GET /x HTTP/1.1\n"), "{seen}");
    }
}

#[tokio::test]
async fn many_requests_share_one_http2_connection() {
    let place = place(NAME, &["h2"]).await;
    let send = || async {
        let sent = place.client.send(get(&place.url), None, &place.origin).await;
        text(sent.expect("the request is granted")).await
    };
    send().await;
    join_all((0..40).map(|_| send())).await;
    assert_eq!((place.server.accepted(), place.server.requests()), (1, 41));
}

#[tokio::test]
async fn an_unused_http2_connection_is_closed_after_a_while() {
    let bounds = Bounds { idle: Duration::from_millis(40), ..Bounds::default() };
    let place = place_with(NAME, &["h2"], bounds).await;
    let sent = place.client.send(get(&place.url), None, &place.origin).await;
    text(sent.expect("the authority is trusted")).await;
    eventually("the unused connection is closed", || place.server.open() == 0).await;
    let sent = place.client.send(get(&place.url), None, &place.origin).await;
    text(sent.expect("a new connection is opened")).await;
    assert_eq!(place.server.accepted(), 2);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_not_believed() {
    let place = place(NAME, &["h2"]).await;
    let stranger = client(Config { resolver: loopback(), ..Config::default() });
    let sent = stranger.send(get(&place.url), None, &place.origin).await;
    let refusal = refusal(sent);
    // A machine without any authority of its own cannot even begin.
    let refused = ["TlsCertificateError", "ConfigurationError"].contains(&refusal.as_str());
    assert!(refused, "{refusal}");
    assert_eq!(place.server.requests(), 0);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_believed() {
    let place = place("other.example.test", &["h2"]).await;
    let sent = place.client.send(get(&place.url), None, &place.origin).await;
    assert_eq!(refusal(sent), "TlsCertificateError");
    assert_eq!(place.server.requests(), 0);
}

#[tokio::test]
async fn a_server_without_tls_is_a_protocol_error() {
    let place = place(NAME, &[]).await;
    let plain = Server::raw(|mut stream, _counted| async move {
        use tokio::io::AsyncWriteExt as _;
        // The client may have closed already; either way it sees no TLS.
        let _written = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let url = format!("https://{}/", plain.address);
    let sent = place.client.send(get(&url), None, &origin(&[&url])).await;
    assert_eq!(refusal(sent), "TlsProtocolError");
}

#[test]
fn a_ca_file_that_cannot_be_used_is_known_at_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let junk = folder.path().join("junk.pem");
    std::fs::write(&junk, "no certificate at all").expect("the folder is writable");
    for path in [folder.path().join("absent.pem"), junk] {
        let made =
            Client::new(&Config { ca_file: Some(PathBuf::from(&path)), ..Config::default() });
        let error = made.err().expect("the file is of no use");
        assert!(matches!(error, OutboundError::CertificateAuthorities { .. }), "{error}");
    }
}
