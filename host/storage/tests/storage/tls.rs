//! What `sslmode` promises, behind a door that speaks TLS for a server that does not.

use crate::server::{Fresh, brisk, empty};
use nexus_storage::{Database, Error, Server};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};

/// A port that leads to the server's socket; with a certificate for `localhost`, encrypted.
struct Door {
    port: u16,
    certificate: tempfile::NamedTempFile,
}

async fn door(fresh: &Fresh, encrypted: bool) -> Door {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
    let ring = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = encrypted.then(|| TlsAcceptor::from(Arc::new(config)));
    let socket = fresh.socket();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, socket.clone(), acceptor.clone()));
        }
    });
    let certificate = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(certificate.path(), made.cert.pem()).unwrap();
    Door { port, certificate }
}

/// Answers an SSLRequest (PostgreSQL manual, "SSL Session Encryption") and passes the rest on.
async fn pass(mut client: TcpStream, socket: PathBuf, acceptor: Option<TlsAcceptor>) {
    let mut server = UnixStream::connect(socket).await.unwrap();
    let mut first = [0; 8];
    if client.read_exact(&mut first).await.is_err() {
        return;
    }
    let asked = first == [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    match acceptor {
        Some(acceptor) if asked => {
            client.write_all(b"S").await.unwrap();
            if let Ok(mut client) = acceptor.accept(client).await {
                tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
            }
        }
        Some(_) => {}
        None => {
            match asked {
                true => client.write_all(b"N").await.unwrap(),
                false => server.write_all(&first).await.unwrap(),
            }
            tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
        }
    }
}

async fn open(
    host: &str,
    door: &Door,
    rest: &str,
    role: &str,
    database: &str,
) -> Result<(), Error> {
    let url = format!("postgres://{role}:secret@{host}:{}/{database}?{rest}", door.port);
    Database::open(Server::from_url(&url)?, brisk()).await.map(drop)
}

#[tokio::test]
async fn each_mode_keeps_its_promise() {
    let fresh = empty(brisk()).await;
    let role = format!("tls{}", uuid::Uuid::new_v4().simple());
    let owner = fresh.first.host().await.unwrap();
    let name = fresh.database.name();
    let make = format!(
        "create role {role} login password 'secret'; \
                        grant connect on database {name} to {role}"
    );
    owner.batch(&make).await.unwrap();
    let (tls, plain) = (door(&fresh, true).await, door(&fresh, false).await);
    let root = format!("sslrootcert={}", tls.certificate.path().display());
    for (host, door, rest, good) in [
        ("localhost", &tls, "sslmode=require".to_owned(), true),
        ("localhost", &tls, "sslmode=prefer".to_owned(), true),
        ("localhost", &tls, "sslmode=disable".to_owned(), false),
        ("localhost", &tls, "sslmode=verify-full".to_owned(), false),
        ("localhost", &tls, "sslmode=verify-ca".to_owned(), false),
        ("localhost", &tls, format!("sslmode=verify-full&{root}"), true),
        ("127.0.0.1", &tls, format!("sslmode=verify-full&{root}"), false),
        ("127.0.0.1", &tls, format!("sslmode=verify-ca&{root}"), true),
        ("127.0.0.1", &tls, format!("sslmode=require&{root}"), true),
        ("localhost", &plain, "sslmode=prefer".to_owned(), true),
        ("localhost", &plain, "sslmode=disable".to_owned(), true),
        ("localhost", &plain, "sslmode=require".to_owned(), false),
        ("localhost", &plain, format!("sslmode=verify-full&{root}"), false),
    ] {
        let opened = open(host, door, &rest, &role, fresh.database.name()).await;
        assert_eq!(opened.is_ok(), good, "{host} {rest}: {opened:?}");
    }
    let other = door(&fresh, true).await;
    let wrong = format!("sslmode=require&sslrootcert={}", other.certificate.path().display());
    assert!(open("localhost", &tls, &wrong, &role, fresh.database.name()).await.is_err());
    fresh.first.drop_database(fresh.database.name()).await.unwrap();
    owner.batch(&format!("drop role {role}")).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_told_from_a_server_that_is_away() {
    let fresh = empty(brisk()).await;
    let plain = door(&fresh, false).await;
    let refused = open("localhost", &plain, "", "nobody", fresh.database.name()).await.unwrap_err();
    assert!(matches!(&refused, Error::Credentials { role, .. } if role == "nobody"), "{refused:?}");
    assert!(!refused.is_unavailable());
    fresh.end().await;
}
