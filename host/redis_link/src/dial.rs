//! Opens the socket under a connection: name resolution, TCP, TLS, unix sockets, and which network
//! ranges a destination may lie in. Refuses to know the Redis protocol.

use crate::address::{Address, Endpoint};
use ipnet::{Ipv4Net, Ipv6Net};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// Which networks a destination may lie in, judged after its name is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Somebody named this very destination.
    Anywhere,
    /// Only a wildcard covers it: the host's own network is not meant.
    Public,
}

pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// Quiet connections through a dead router are found after about a minute.
const KEEPALIVE: socket2::TcpKeepalive = socket2::TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10));

pub(crate) async fn dial(address: &Address, reach: Reach) -> io::Result<Box<dyn Socket>> {
    let (host, port, tls) = match &address.endpoint {
        Endpoint::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        Endpoint::Tcp { host, port, tls } => (host, *port, *tls),
    };
    let stream = connect(host, port, reach).await?;
    stream.set_nodelay(true)?;
    socket2::SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE)?;
    if !tls {
        return Ok(Box::new(stream));
    }
    let name = rustls::pki_types::ServerName::try_from(host.clone())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connector = tokio::task::spawn_blocking(connector).await.map_err(io::Error::other)??;
    Ok(Box::new(connector.connect(name, stream).await?))
}

async fn connect(host: &str, port: u16, reach: Reach) -> io::Result<TcpStream> {
    let mut found = false;
    let mut last = None;
    for candidate in tokio::net::lookup_host((host, port)).await? {
        found = true;
        if reach == Reach::Public && !is_public(candidate) {
            last = Some(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{host} resolves to the private address {}", candidate.ip()),
            ));
            continue;
        }
        match TcpStream::connect(candidate).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    let nothing = if found { "no address answers" } else { "the name has no address" };
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, nothing)))
}

/// Reads the machine's trusted roots once; the file is a few hundred kilobytes.
fn connector() -> io::Result<TlsConnector> {
    static CONNECTOR: OnceLock<TlsConnector> = OnceLock::new();
    if let Some(connector) = CONNECTOR.get() {
        return Ok(connector.clone());
    }
    let mut roots = rustls::RootCertStore::empty();
    let loaded = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        return Err(io::Error::other("this machine has no trusted certificates for TLS"));
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(CONNECTOR.get_or_init(|| TlsConnector::from(Arc::new(config))).clone())
}

/// Networks that are not the internet: RFC 6890 and its successors.
const PRIVATE_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];
const PRIVATE_V6: &[(Ipv6Addr, u8)] = &[
    (Ipv6Addr::UNSPECIFIED, 127),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

fn is_public(address: SocketAddr) -> bool {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            !PRIVATE_V4.iter().any(|(net, bits)| Ipv4Net::new_assert(*net, *bits).contains(&ip))
        }
        IpAddr::V6(ip) => {
            !PRIVATE_V6.iter().any(|(net, bits)| Ipv6Net::new_assert(*net, *bits).contains(&ip))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_own_networks_are_not_public() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "192.168.0.1",
            "172.31.255.255",
            "0.0.0.0",
            "100.64.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
        ] {
            assert!(!is_public(SocketAddr::new(ip.parse().unwrap(), 6379)), "{ip}");
        }
        for ip in ["1.1.1.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(is_public(SocketAddr::new(ip.parse().unwrap(), 6379)), "{ip}");
        }
    }
}
