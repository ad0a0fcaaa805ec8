//! Which PostgreSQL servers `allowed_outbound_hosts` lets a component reach. Refuses to know
//! addresses of any other scheme; their capabilities read the same lines for themselves.
//! Source: the Spin manifest reference, "allowed_outbound_hosts"; a port range excludes its end.

use crate::{PostgresError, Resolve};
use ipnet::IpNet;
use nexus_runtime::ComponentManifest;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

const PORT: u16 = 5432;
const ANY_PORT: Range<u32> = 0..65_536;

/// The lines of one manifest that are about PostgreSQL.
#[derive(Debug)]
pub(crate) struct Grants(Vec<Grant>);

#[derive(Debug)]
struct Grant {
    host: Host,
    ports: Range<u32>,
}

#[derive(Debug)]
enum Host {
    Any,
    /// With the dot in front.
    Below(String),
    Exactly(String),
    Network(IpNet),
}

/// How far a granted name may lead, once it is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A line names this very host or network, wherever it is.
    Anywhere,
    /// A wildcard means the internet, not the network this host stands in.
    Public,
}

impl Grants {
    pub(crate) fn read(
        component: &ComponentManifest,
        resolve: &Resolve,
    ) -> Result<Self, PostgresError> {
        let mut grants = Vec::new();
        for line in &component.allowed_outbound_hosts {
            let fail = |reason: String| PostgresError::Grant {
                component: component.id.to_string(),
                grant: line.clone(),
                reason,
            };
            let resolved = match line.contains("{{") {
                true => resolve(&component.id, line).map_err(fail)?,
                false => line.clone(),
            };
            grants.extend(Grant::read(&resolved).map_err(|reason| fail(reason.into()))?);
        }
        Ok(Self(grants))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// None when no line covers the host.
    pub(crate) fn reach(&self, host: &str, port: u16) -> Option<Reach> {
        let host = host.to_ascii_lowercase();
        let covers =
            |grant: &&Grant| grant.ports.contains(&u32::from(port)) && grant.host.covers(&host);
        let reach = |grant: &Grant| match grant.host {
            Host::Exactly(_) | Host::Network(_) => Reach::Anywhere,
            Host::Any | Host::Below(_) => Reach::Public,
        };
        let covering = self.0.iter().filter(covers);
        covering.map(reach).min_by_key(|reach| *reach == Reach::Public)
    }
}

impl Grant {
    /// None when the line is about another scheme.
    fn read(line: &str) -> Result<Option<Self>, &'static str> {
        let (scheme, rest) = line.trim().split_once("://").ok_or("it has no scheme")?;
        if !matches!(scheme, "postgres" | "postgresql" | "*") {
            return Ok(None);
        }
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (rest, ""),
        };
        Ok(Some(Self { host: Host::read(host)?, ports: ports(port)? }))
    }
}

fn ports(text: &str) -> Result<Range<u32>, &'static str> {
    let number = |text: &str| {
        let port = text.parse::<u16>().map(u32::from);
        port.map_err(|_| "the port is no number")
    };
    match text {
        "*" => Ok(ANY_PORT),
        "" => Ok(u32::from(PORT)..u32::from(PORT) + 1),
        _ => match text.split_once("..") {
            Some((from, to)) => Ok(number(from)?..number(to)?),
            None => number(text).map(|port| port..port + 1),
        },
    }
}

impl Host {
    fn read(text: &str) -> Result<Self, &'static str> {
        let text = text.trim_matches(['[', ']']).to_ascii_lowercase();
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Network(network));
        }
        if text.is_empty() || text.contains('/') {
            return Err("a grant is scheme://host:port, without a path");
        }
        match text.strip_prefix('*') {
            Some(rest) if rest.starts_with('.') && !rest.contains('*') => {
                Ok(Self::Below(rest.into()))
            }
            Some(_) => Err("`*` stands for a whole host or for the first labels of one"),
            None if text.contains('*') => Err("`*` is allowed only in front"),
            None => Ok(Self::Exactly(text)),
        }
    }

    fn covers(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(suffix) => host.ends_with(suffix.as_str()),
            Self::Exactly(name) => name == host,
            Self::Network(network) => {
                host.parse::<IpAddr>().is_ok_and(|ip| network.contains(&ip.to_canonical()))
            }
        }
    }
}

/// Whether an address lies on the internet: not on this machine, in its network, or in a range
/// with a meaning of its own (IANA special-purpose registries, RFC 6890).
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18);
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let words = ip.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match words {
        // Translators and tunnels lead to the IPv4 address they carry.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        [0x2001, 0..0x200, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => false,
        // Only this eighth of the space has been given out as global unicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(lines: &[&str]) -> Grants {
        Grants(lines.iter().filter_map(|line| Grant::read(line).unwrap()).collect())
    }

    #[test]
    fn a_line_covers_its_host_and_port_only() {
        let grants = grants(&["postgres://db:7000", "http://other", "postgresql://plain"]);
        assert_eq!(grants.reach("DB", 7000), Some(Reach::Anywhere));
        assert_eq!(grants.reach("plain", 5432), Some(Reach::Anywhere));
        for (host, port) in [("db", 5432), ("db.example", 7000), ("other", 5432)] {
            assert_eq!(grants.reach(host, port), None, "{host}:{port}");
        }
    }

    #[test]
    fn a_wildcard_reaches_the_internet_and_a_name_wins_over_it() {
        let grants = grants(&["postgres://*:*", "*://*.example.com:5432", "postgres://db.local"]);
        assert_eq!(grants.reach("anything", 1), Some(Reach::Public));
        assert_eq!(grants.reach("a.example.com", 5432), Some(Reach::Public));
        assert_eq!(grants.reach("db.local", 5432), Some(Reach::Anywhere));
    }

    #[test]
    fn a_line_that_is_no_grant_is_an_error_and_not_a_hole() {
        for line in ["db", "postgres://", "postgres://a/b", "postgres://a*", "postgres://a:x"] {
            assert!(Grant::read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_leads_back_into_our_network_is_not_public() {
        for (ip, public) in [
            ("8.8.8.8", true),
            ("2606:4700::1111", true),
            ("10.1.2.3", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("64:ff9b::a00:1", false),
            ("2002:7f00:1::", false),
            ("fd00::1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_public(ip.parse().unwrap()), public, "{ip}");
        }
    }
}
