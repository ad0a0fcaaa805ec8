//! Which Redis servers `allowed_outbound_hosts` lets a component reach. Refuses to know addresses
//! of any other scheme; their capabilities read the same lines for themselves.
//! Source: the Spin manifest reference, "allowed_outbound_hosts"; a port range excludes its end.

use crate::RedisError;
use ipnet::IpNet;
use nexus_redis_link::{Address, Endpoint, Reach};
use nexus_runtime::{ComponentId, ComponentManifest};
use std::net::IpAddr;
use std::ops::Range;

/// The lines of one manifest that are about Redis.
pub(crate) struct Grants(Vec<Grant>);

struct Grant {
    tls: Option<bool>,
    host: Host,
    ports: Range<u32>,
}

enum Host {
    Any,
    /// With the dot in front.
    Below(String),
    Exactly(String),
    Network(IpNet),
}

const PORT: u16 = 6379;
const ANY_PORT: Range<u32> = 0..65_536;

/// The line that would allow an address.
pub(crate) fn line(address: &Address) -> String {
    match &address.endpoint {
        Endpoint::Tcp { tls: true, .. } => format!("rediss://{address}"),
        _ => format!("redis://{address}"),
    }
}

impl Grants {
    pub(crate) fn read(
        component: &ComponentManifest,
        resolve: &dyn Fn(&ComponentId, &str) -> Result<String, String>,
    ) -> Result<Self, RedisError> {
        let mut grants = Vec::new();
        for line in &component.allowed_outbound_hosts {
            let fail = |reason: String| RedisError::Grant {
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

    /// How far an address may reach; none when no line covers it. An operator's socket is never
    /// a guest's.
    pub(crate) fn reach_of(&self, address: &Address) -> Option<Reach> {
        match &address.endpoint {
            Endpoint::Tcp { host, port, tls } => self.reach(host, *port, *tls),
            Endpoint::Unix(_) => None,
        }
    }

    /// A line that names the host or its network means it, wherever it is; a wildcard means the
    /// internet, not the network this host stands in.
    pub(crate) fn reach(&self, host: &str, port: u16, tls: bool) -> Option<Reach> {
        let covering = self.0.iter().filter(|g| g.covers(host, port, tls));
        covering.map(|g| g.host.reach()).min_by_key(|reach| *reach != Reach::Anywhere)
    }
}

impl Grant {
    /// None when the line is about another scheme.
    fn read(line: &str) -> Result<Option<Self>, &'static str> {
        let (scheme, rest) = line.trim().split_once("://").ok_or("it has no scheme")?;
        let tls = match scheme {
            "redis" => Some(false),
            "rediss" => Some(true),
            "*" => None,
            _ => return Ok(None),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (rest, ""),
        };
        Ok(Some(Self { tls, host: Host::read(host)?, ports: ports(port)? }))
    }

    fn covers(&self, host: &str, port: u16, tls: bool) -> bool {
        self.tls.is_none_or(|only| only == tls)
            && self.ports.contains(&u32::from(port))
            && self.host.covers(host)
    }
}

fn ports(text: &str) -> Result<Range<u32>, &'static str> {
    let number =
        |text: &str| text.parse::<u16>().map(u32::from).map_err(|_| "the port is no number");
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

    fn reach(&self) -> Reach {
        match self {
            Self::Exactly(_) | Self::Network(_) => Reach::Anywhere,
            Self::Any | Self::Below(_) => Reach::Public,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(lines: &[&str]) -> Grants {
        Grants(lines.iter().filter_map(|line| Grant::read(line).unwrap()).collect())
    }

    #[test]
    fn a_line_covers_its_host_port_and_scheme_only() {
        let grants = grants(&["redis://cache:7000", "http://other:6379"]);
        assert_eq!(grants.reach("cache", 7000, false), Some(Reach::Anywhere));
        for (host, port, tls) in [
            ("cache", 6379, false),
            ("cache", 7000, true),
            ("cache.example", 7000, false),
            ("other", 6379, false),
        ] {
            assert_eq!(grants.reach(host, port, tls), None, "{host}:{port} {tls}");
        }
    }

    #[test]
    fn a_wildcard_reaches_the_internet_and_a_name_wins_over_it() {
        let grants = grants(&["redis://*:*", "*://*.example.com:6379", "redis://db.example.com"]);
        assert_eq!(grants.reach("anything", 1, false), Some(Reach::Public));
        assert_eq!(grants.reach("a.example.com", 6379, true), Some(Reach::Public));
        assert_eq!(grants.reach("db.example.com", 6379, false), Some(Reach::Anywhere));
    }

    #[test]
    fn networks_and_port_ranges_are_read() {
        let grants = grants(&["redis://10.0.0.0/8:7000..7003", "redis://[::1]:6379"]);
        assert_eq!(grants.reach("10.9.8.7", 7002, false), Some(Reach::Anywhere));
        assert_eq!(grants.reach("10.9.8.7", 7003, false), None);
        assert_eq!(grants.reach("11.0.0.1", 7000, false), None);
        assert_eq!(grants.reach("::1", 6379, false), Some(Reach::Anywhere));
    }

    #[test]
    fn a_line_that_is_no_grant_is_an_error_and_not_a_hole() {
        for line in ["cache", "redis://", "redis://a/b", "redis://a*", "redis://a:x", "redis://*x"]
        {
            assert!(Grant::read(line).is_err(), "{line}");
        }
    }
}
