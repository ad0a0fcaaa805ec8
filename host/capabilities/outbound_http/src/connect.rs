//! From a name to a connection: resolve, check every address, connect to one that was checked,
//! shake hands. The name is never asked for a second time, so it cannot change its answer in
//! between (DNS rebinding). Refuses to know about pools.

use crate::config::Bounds;
use crate::connection::{Connection, Http1, Http2};
use crate::destination::{Destination, Scheme};
use crate::egress::Egress;
use crate::error::{self, OutboundError};
use crate::tls::Tls;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Host;
use wasmtime_wasi_http::Error;

/// Head start of one address before the next is tried beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Where addresses of names come from.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, best first.
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The machine's resolver: `/etc/hosts`, DNS, whatever it is set up with.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

/// Opens connections.
pub(crate) struct Connector {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) tls: Tls,
    pub(crate) bounds: Bounds,
}

/// Why no connection was opened: a refusal of ours, or the network's failure.
pub(crate) enum OpenError {
    Refused(OutboundError),
    Failed(Error),
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<OutboundError> for OpenError {
    fn from(error: OutboundError) -> Self {
        Self::Refused(error)
    }
}

impl Connector {
    /// The addresses a component may connect to for this destination.
    pub(crate) async fn addresses(
        &self,
        destination: &Destination,
        egress: &Egress,
    ) -> Result<Vec<SocketAddr>, OpenError> {
        let found = match &destination.host {
            Host::Ipv4(ip) => vec![IpAddr::V4(*ip)],
            Host::Ipv6(ip) => vec![IpAddr::V6(*ip)],
            Host::Domain(name) => self.lookup(name.clone(), egress).await?,
        };
        let Some(first) = found.first().copied() else {
            let rcode = Some("the name has no address".to_owned());
            return Err(Error::DnsError { rcode, info_code: None }.into());
        };
        let allowed = |ip: &IpAddr| egress.grants.allows_address(destination, *ip);
        let allowed: Vec<SocketAddr> = interleave(found.into_iter().filter(allowed))
            .map(|ip| SocketAddr::new(ip, destination.port))
            .take(ADDRESSES_MAX)
            .collect();
        if allowed.is_empty() {
            return Err(not_public(egress, destination, first).into());
        }
        Ok(allowed)
    }

    /// Asks for a name. The question runs on its own: who stops waiting for the answer still
    /// occupies one of the component's lookups until it comes.
    async fn lookup(&self, name: String, egress: &Egress) -> Result<Vec<IpAddr>, Error> {
        const OPEN: &str = "a revision's semaphores are never closed";
        let slot = egress.lookups.clone().acquire_owned().await.expect(OPEN);
        let resolver = self.resolver.clone();
        let question = tokio::spawn(async move {
            let answer = resolver.resolve(&name).await;
            drop(slot);
            answer
        });
        match question.await {
            Ok(answer) => answer.map_err(|e| error::of_lookup(&e)),
            Err(broken) => Err(Error::InternalError(Some(broken.to_string()))),
        }
    }

    /// Connects to one of the addresses, which the caller has checked.
    pub(crate) async fn open(
        &self,
        destination: &Destination,
        addresses: &[SocketAddr],
    ) -> Result<Connection, OpenError> {
        let stream = race(addresses).await.map_err(|e| error::of_connect(&e))?;
        // A failure only delays small requests.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot switch off Nagle's algorithm");
        }
        if destination.scheme == Scheme::Http {
            let connection = Http1::shake(stream, &self.bounds).await.map_err(error::of_hyper)?;
            return Ok(Connection::Http1(connection));
        }
        let connector = TlsConnector::from(self.tls.config().await?);
        let stream = connector
            .connect(server_name(destination)?, stream)
            .await
            .map_err(|e| error::of_tls(&e))?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let connection = if http2 {
            Http2::shake(stream, &self.bounds).await.map(Connection::Http2)
        } else {
            Http1::shake(stream, &self.bounds).await.map(Connection::Http1)
        };
        Ok(connection.map_err(error::of_hyper)?)
    }
}

/// Names the line that would let this address through.
fn not_public(egress: &Egress, destination: &Destination, address: IpAddr) -> OutboundError {
    let host = match address {
        IpAddr::V4(ip) => Host::Ipv4(ip),
        IpAddr::V6(ip) => Host::Ipv6(ip),
    };
    let literal = Destination { host, ..destination.clone() };
    OutboundError::NotPublic {
        component: egress.component().clone(),
        destination: destination.to_string(),
        address,
        line: egress.grants.line_with(&literal.to_string()),
    }
}

fn server_name(destination: &Destination) -> Result<ServerName<'static>, OutboundError> {
    match &destination.host {
        Host::Ipv4(ip) => Ok(ServerName::from(IpAddr::V4(*ip))),
        Host::Ipv6(ip) => Ok(ServerName::from(IpAddr::V6(*ip))),
        Host::Domain(name) => ServerName::try_from(name.clone())
            .map_err(|_invalid| OutboundError::Unsendable("no certificate can name this host")),
    }
}

/// Alternates between the address families, beginning with the resolver's favourite
/// (RFC 8305 §4).
fn interleave(addresses: impl Iterator<Item = IpAddr>) -> impl Iterator<Item = IpAddr> {
    let addresses: Vec<IpAddr> = addresses.collect();
    let favourite = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (mut these, mut those): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|ip| ip.is_ipv6() == favourite);
    these.reverse();
    those.reverse();
    let mut turn = false;
    std::iter::from_fn(move || {
        turn = !turn;
        if turn { these.pop().or_else(|| those.pop()) } else { those.pop().or_else(|| these.pop()) }
    })
}

/// The first address that takes a connection wins (RFC 8305, in short).
async fn race(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    attempts.extend(waiting.next().map(TcpStream::connect));
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let head_start = async {
            match waiting.len() {
                0 => std::future::pending().await,
                _ => tokio::time::sleep(HEAD_START).await,
            }
        };
        tokio::select! {
            biased;
            done = attempts.next() => match done {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failure = error,
                None if waiting.len() == 0 => return Err(failure),
                None => {}
            },
            () = head_start => {}
        }
        attempts.extend(waiting.next().map(TcpStream::connect));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_from_the_favourite_on() {
        let order = |list: &[&str]| -> Vec<String> {
            let parsed = list.iter().map(|ip| ip.parse().expect(ip));
            interleave(parsed).map(|ip: IpAddr| ip.to_string()).collect()
        };
        assert_eq!(order(&["::1", "::2", "1.1.1.1", "::3"]), ["::1", "1.1.1.1", "::2", "::3"]);
        assert_eq!(order(&["1.1.1.1", "::1", "2.2.2.2"]), ["1.1.1.1", "::1", "2.2.2.2"]);
        assert!(order(&[]).is_empty());
    }
}
