//! TLS: both protocols, versions, certificates that change while the host serves.

use crate::clients::{Answer, Raw, get, http2, send_over, whole};
use crate::host::{Host, until, within};
use bytes::Bytes;
use http_body_util::Full;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use trigger_http::TlsConfig;

/// A certificate of `nexus.example` and its key, in files.
struct Pair {
    folder: tempfile::TempDir,
    pem: String,
}

impl Pair {
    fn new() -> Self {
        let mut pair = Self { folder: tempfile::tempdir().unwrap(), pem: String::new() };
        pair.renew();
        pair
    }

    fn renew(&mut self) {
        let made = rcgen::generate_simple_self_signed(["nexus.example".to_owned()]).unwrap();
        self.pem = made.cert.pem();
        std::fs::write(self.path("cert.pem"), &self.pem).unwrap();
        std::fs::write(self.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn host(&self) -> Host {
        let any = "127.0.0.1:0".parse().unwrap();
        let tls = TlsConfig {
            check_every: Duration::from_millis(20),
            ..TlsConfig::new(any, self.path("cert.pem"), self.path("key.pem"))
        };
        Host::with(|config| {
            config.tls = Some(tls);
            config.limits.handshake_timeout = Duration::from_millis(300);
        })
    }
}

/// Connects, trusting only the certificate in `pem`.
async fn connect(
    address: SocketAddr,
    pem: &str,
    alpn: &[&str],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("nexus.example").unwrap();
    let stream = TcpStream::connect(address).await?;
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

const BOTH: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS12, &rustls::version::TLS13];

async fn ask(address: SocketAddr, pem: &str) -> std::io::Result<Answer> {
    let stream = connect(address, pem, &["http/1.1"], BOTH).await?;
    Ok(send_over(stream, get("/echo/x"), "").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_are_spoken_over_tls_1_3_and_1_2() {
    let pair = Pair::new();
    let host = pair.host();
    let address = host.addresses[1];
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = connect(address, &pair.pem, &["h2", "http/1.1"], &[version]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        let (mut sender, driver) = http2(stream).await;
        let request = http::Request::get("https://nexus.example/echo/x");
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let answer = whole(within(sender.send_request(request)).await.unwrap()).await;
        assert_eq!(answer.json()["uri"], "https://nexus.example/echo/x");
        driver.abort();
    }
    let answer = ask(address, &pair.pem).await.unwrap();
    assert_eq!(answer.json()["headers"]["spin-full-url"], "https://nexus.example/echo/x");
    assert_eq!(answer.field("strict-transport-security"), "max-age=31536000");
    let cleartext = crate::clients::ask(host.address(), get("/echo/x")).await;
    assert_eq!(cleartext.field("strict-transport-security"), "", "only where it is true");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_version_is_preferred_and_no_alpn_means_http_1() {
    let pair = Pair::new();
    let host = pair.host();
    let stream = connect(host.addresses[1], &pair.pem, &[], BOTH).await.unwrap();
    let version = stream.get_ref().1.protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(send_over(stream, get("/echo/x"), "").await.status, 200);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_served_and_a_broken_one_is_not() {
    let mut pair = Pair::new();
    let host = pair.host();
    let address = host.addresses[1];
    let old = pair.pem.clone();
    let stream = connect(address, &old, &["http/1.1"], BOTH).await.unwrap();
    let mut kept = Raw::over(stream);

    std::fs::write(pair.path("key.pem"), "garbage").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(ask(address, &old).await.unwrap().status, 200, "the old pair stays");

    pair.renew();
    let began = std::time::Instant::now();
    while ask(address, &pair.pem).await.is_err() {
        assert!(began.elapsed() < crate::host::DEADLINE, "the new certificate is never served");
    }
    assert!(ask(address, &old).await.is_err(), "the old one is gone");
    kept.say("GET /echo/ignore HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(kept.answer().await.unwrap().text(), "ignored", "open connections go on");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_broken_handshakes_hold_up_nobody() {
    let pair = Pair::new();
    let host = pair.host();
    let address = host.addresses[1];
    let mut stuck = Vec::new();
    for _ in 0..20 {
        stuck.push(Raw::open(address).await);
    }
    assert_eq!(ask(address, &pair.pem).await.unwrap().status, 200, "while others hang");
    let mut cleartext = Raw::open(address).await;
    cleartext.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let _alert = cleartext.rest().await;
    until("every bad handshake is counted", || host.snapshot().tls_errors == 21).await;
    drop(stuck);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_heads_are_answered_over_tls_too() {
    let pair = Pair::new();
    let host = pair.host();
    let stream = connect(host.addresses[1], &pair.pem, &["http/1.1"], BOTH).await.unwrap();
    let mut raw = Raw::over(stream);
    raw.say("GET /echo/x HTTP/1.1\nHost: a\r\n\r\n").await;
    raw.answer().await.unwrap().is_problem(400, "malformed-request");
    raw.is_closed().await;
    host.stop().await;
}
