//! The shared connection against a real server: answers, refusals, credentials, TLS.
//! (Servers that go away are a subject of the suites of `key_value` and `redis`.)

use nexus_harness::Redis;
use nexus_redis_link::{Address, Link, LinkError, Reach, Repeat, Reply};
use std::process::Command;
use tokio::runtime::Handle;

fn link(url: &str) -> Link {
    Link::new(Address::parse(url).unwrap(), Reach::Anywhere, Handle::current())
}

async fn send(link: &Link, line: &str) -> Result<Reply, LinkError> {
    link.send(&line.split(' ').collect::<Vec<_>>(), Repeat::Unsafe).await
}

#[tokio::test]
async fn answers_keep_their_shapes() {
    let server = Redis::start().await;
    let link = link(&server.url());
    assert_eq!(send(&link, "SET key value").await, Ok(Reply::ok()));
    assert_eq!(send(&link, "GET key").await, Ok(Reply::Bytes(b"value".to_vec())));
    assert_eq!(send(&link, "GET none").await, Ok(Reply::Nil));
    assert_eq!(send(&link, "PING").await, Ok(Reply::Status("PONG".into())));
    let nested = send(&link, "COMMAND INFO get").await.unwrap();
    assert!(matches!(nested, Reply::List(items) if matches!(items[..], [Reply::List(_)])));
}

#[tokio::test]
async fn a_refusal_keeps_the_servers_code_and_words() {
    let server = Redis::start().await;
    let link = link(&server.url());
    send(&link, "SADD key x").await.unwrap();
    for (line, code, text) in [
        ("GET key", "WRONGTYPE", "Operation against a key holding the wrong kind of value"),
        ("INCRBY n x", "ERR", "value is not an integer or out of range"),
    ] {
        let refused = LinkError::Refused { code: code.into(), text: text.into() };
        assert_eq!(send(&link, line).await, Err(refused), "{line}");
    }
}

#[tokio::test]
async fn one_connection_carries_everything() {
    let server = Redis::start().await;
    let link = link(&server.url());
    let all = (0..2000).map(|n| {
        let link = link.clone();
        async move { send(&link, &format!("SET key-{n} x")).await }
    });
    for answer in futures::future::join_all(all).await {
        assert_eq!(answer, Ok(Reply::ok()));
    }
    let Ok(Reply::Bytes(clients)) = send(&link, "CLIENT LIST").await else { panic!() };
    assert_eq!(String::from_utf8(clients).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn user_password_and_database_of_the_address_are_used() {
    let server = Redis::start().await;
    let open = link(&server.tcp_url());
    send(&open, "ACL SETUSER app on >p@ss ~* +@all").await.unwrap();
    let host = server.tcp_url().replace("redis://", "");
    let app = link(&format!("redis://app:p%40ss@{host}/3"));
    assert_eq!(send(&app, "ACL WHOAMI").await, Ok(Reply::Bytes(b"app".to_vec())));
    send(&app, "SET key three").await.unwrap();
    assert_eq!(send(&open, "EXISTS key").await, Ok(Reply::Int(0)));
    let wrong = link(&format!("redis://app:wrong@{host}"));
    let error = send(&wrong, "PING").await.unwrap_err();
    assert!(matches!(error, LinkError::Unavailable { .. }), "{error}");
    assert!(!error.to_string().contains("wrong@"), "{error}");
}

const TLS_URL: &str = "REDIS_LINK_TLS_URL";

/// In a process of its own, because trusted certificates are read once per process.
#[tokio::test]
async fn talks_tls() {
    let Ok(url) = std::env::var(TLS_URL) else { return };
    assert_eq!(send(&link(&url), "PING").await, Ok(Reply::Status("PONG".into())));
}

#[tokio::test]
async fn tls_works_with_a_trusted_certificate_and_only_with_one() {
    let issuer_key = rcgen::KeyPair::generate().unwrap();
    let mut issuer = rcgen::CertificateParams::new(Vec::new()).unwrap();
    issuer.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = rcgen::CertifiedIssuer::self_signed(issuer, issuer_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_string()]).unwrap();
    let certificate = certificate.signed_by(&key, &issuer).unwrap();
    let server = Redis::start().await;
    let port = server.enable_tls(&certificate.pem(), &key.serialize_pem(), &issuer.pem()).await;
    let url = format!("rediss://localhost:{port}");

    let error = send(&link(&url), "PING").await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    let trusting = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "talks_tls"])
        .env(TLS_URL, url)
        .env("SSL_CERT_FILE", server.folder().join("issuer.pem"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&trusting.stdout);
    assert!(trusting.status.success(), "{said}");
}
