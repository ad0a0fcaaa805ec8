//! Who is at the other end: which addresses may connect, how many connections each may have, and
//! whom we believe about the address behind a proxy.

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::sync::{Arc, Mutex, PoisonError};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Addresses with a meaning.
#[derive(Debug, Clone, Default)]
pub struct PeerConfig {
    /// If not empty, only these networks may connect.
    pub allow: Vec<IpNet>,
    /// These networks may not connect, whatever `allow` says.
    pub deny: Vec<IpNet>,
    /// Proxies whose `x-forwarded-for` and `x-forwarded-proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// Independent parts of the count by address.
const PARTS: usize = 16;

/// Every open connection of this host, counted.
pub(crate) struct Peers {
    config: PeerConfig,
    connections: AtomicUsize,
    connections_max: usize,
    per_ip_max: u32,
    by_ip: Vec<Mutex<HashMap<IpAddr, u32>>>,
    hash: RandomState,
}

/// One connection's place; free again when dropped.
pub(crate) struct Place {
    peers: Arc<Peers>,
    key: IpAddr,
}

/// Why a connection is closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    Denied,
    Full,
    TooManyOfOne,
}

/// One client is one IPv4 address or one IPv6 /64: that is what a household is given.
pub(crate) fn client_key(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

fn is_in(nets: &[IpNet], ip: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&ip))
}

impl Peers {
    pub(crate) fn new(config: PeerConfig, connections_max: usize, per_ip_max: u32) -> Self {
        Self {
            config,
            connections: AtomicUsize::new(0),
            connections_max,
            per_ip_max,
            by_ip: (0..PARTS).map(|_| Mutex::default()).collect(),
            hash: RandomState::new(),
        }
    }

    fn part(&self, key: IpAddr) -> std::sync::MutexGuard<'_, HashMap<IpAddr, u32>> {
        let part = &self.by_ip[self.hash.hash_one(key) as usize % PARTS];
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection from `ip`.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Result<Place, Turned> {
        let ip = ip.to_canonical();
        let listed = self.config.allow.is_empty() || is_in(&self.config.allow, ip);
        if !listed || is_in(&self.config.deny, ip) {
            return Err(Turned::Denied);
        }
        let key = client_key(ip);
        {
            let mut part = self.part(key);
            let count = part.entry(key).or_insert(0);
            if *count >= self.per_ip_max {
                return Err(Turned::TooManyOfOne);
            }
            *count += 1;
        }
        // From here on the place counts, and dropping it uncounts both.
        let place = Place { peers: self.clone(), key };
        let others = self.connections.fetch_add(1, AcqRel);
        if others >= self.connections_max { Err(Turned::Full) } else { Ok(place) }
    }

    pub(crate) fn is_trusted(&self, ip: IpAddr) -> bool {
        is_in(&self.config.trusted_proxies, ip.to_canonical())
    }

    /// The client behind trusted proxies: the last address in `x-forwarded-for` that is no such
    /// proxy itself. Earlier ones are the client's own words.
    pub(crate) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let chain = headers.get_all(FORWARDED_FOR).iter().filter_map(|v| v.to_str().ok());
        let hops: Vec<&str> = chain.flat_map(|value| value.split(',')).map(str::trim).collect();
        let mut client = peer;
        for hop in hops.iter().rev() {
            let Ok(ip) = hop.parse::<IpAddr>() else { break };
            client = SocketAddr::new(ip, 0);
            if !self.is_trusted(ip) {
                break;
            }
        }
        client
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.peers.connections.fetch_sub(1, AcqRel);
        let mut part = self.peers.part(self.key);
        if let Some(count) = part.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                part.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(config: PeerConfig) -> Arc<Peers> {
        Arc::new(Peers::new(config, 3, 2))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_bounded_per_client_and_in_all_and_free_again() {
        let peers = peers(PeerConfig::default());
        let (a, b) = (peers.enter(ip("10.0.0.1")).ok(), peers.enter(ip("10.0.0.1")).ok());
        assert!(a.is_some() && b.is_some());
        assert_eq!(peers.enter(ip("10.0.0.1")).err(), Some(Turned::TooManyOfOne));
        assert_eq!(peers.enter(ip("::ffff:10.0.0.1")).err(), Some(Turned::TooManyOfOne));
        let c = peers.enter(ip("10.0.0.2")).ok();
        assert_eq!(peers.enter(ip("10.0.0.3")).err(), Some(Turned::Full));
        drop((a, b, c));
        for part in &peers.by_ip {
            assert!(part.lock().unwrap().is_empty(), "closed connections are forgotten");
        }
        assert!(peers.enter(ip("10.0.0.3")).is_ok());
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        assert_eq!(client_key(ip("2001:db8::1")), client_key(ip("2001:db8::ffff:1")));
        assert_ne!(client_key(ip("2001:db8::1")), client_key(ip("2001:db8:0:1::1")));
    }

    #[test]
    fn denied_networks_are_denied_even_where_they_are_allowed() {
        let config = PeerConfig {
            allow: vec!["10.0.0.0/8".parse().unwrap()],
            deny: vec!["10.1.0.0/16".parse().unwrap()],
            trusted_proxies: Vec::new(),
        };
        let peers = peers(config);
        assert!(peers.enter(ip("10.0.0.1")).is_ok());
        assert_eq!(peers.enter(ip("10.1.0.1")).err(), Some(Turned::Denied));
        assert_eq!(peers.enter(ip("192.0.2.1")).err(), Some(Turned::Denied));
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_no_trusted_proxy() {
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let peers = peers(PeerConfig { trusted_proxies, ..PeerConfig::default() });
        let peer: SocketAddr = "10.0.0.1:5".parse().unwrap();
        for (sent, client) in [
            ("192.0.2.9", "192.0.2.9:0"),
            ("1.2.3.4, 192.0.2.9, 10.0.0.7", "192.0.2.9:0"),
            ("10.0.0.9, 10.0.0.8", "10.0.0.9:0"),
            ("nonsense", "10.0.0.1:5"),
            ("192.0.2.9, nonsense", "10.0.0.1:5"),
        ] {
            let value = http::HeaderValue::from_static(sent);
            let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), value)]);
            assert_eq!(peers.client(peer, &headers).to_string(), client, "{sent}");
        }
    }
}
