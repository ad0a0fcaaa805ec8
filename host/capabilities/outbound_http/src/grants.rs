//! `allowed_outbound_hosts`, as Spin's manifest reference defines it: what a component may reach.
//! Deny by default. Lines of other schemes (`postgres://`, `redis://`) belong to other
//! capabilities and are passed over. Refuses to know how an address was found.

use crate::address;
use crate::destination::{COMPONENTS, Destination, OWN, Scheme, host_of};
use crate::error::OutboundError;
use ipnet::IpNet;
use nexus_runtime::ComponentId;
use std::net::IpAddr;
use std::ops::Range;
use url::Host;

/// The value of an application variable, for `{{ name }}` in a line.
pub type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// All lines of one component that speak of HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    grants: Vec<Grant>,
    /// The manifest's own words, to say which line would have allowed more.
    lines: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    /// None is both.
    scheme: Option<Scheme>,
    host: HostGrant,
    port: PortGrant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostGrant {
    Any,
    /// `.example.com`: every name below, not the name itself.
    Below(String),
    Exact(Host<String>),
    Network(IpNet),
    /// `self`: this application's front door.
    Own,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PortGrant {
    Any,
    One(u16),
    /// Without its end, as in Spin.
    Range(Range<u16>),
}

impl Grants {
    /// Reads the lines of a manifest.
    ///
    /// # Errors
    /// [`OutboundError::Grant`] with the first line that is malformed or names an unknown
    /// variable.
    pub(crate) fn parse(lines: &[String], variables: &Variables) -> Result<Self, OutboundError> {
        let mut grants = Vec::with_capacity(lines.len());
        for line in lines {
            let fail = |reason| OutboundError::Grant { line: line.clone(), reason };
            let expanded = expand(line, variables).map_err(fail)?;
            grants.extend(Grant::parse(&expanded).map_err(fail)?);
        }
        Ok(Self { grants, lines: lines.to_vec() })
    }

    /// Whether a request to this place may be sent, as far as its URI tells.
    pub(crate) fn allows(&self, destination: &Destination) -> bool {
        self.grants.iter().any(|grant| grant.allows(destination))
    }

    /// Whether this address may be connected to for a request to `destination`. Public ones may;
    /// others only when a line names the address, a private network around it, or `localhost`.
    pub(crate) fn allows_address(&self, destination: &Destination, address: IpAddr) -> bool {
        address::is_public(address)
            || self.grants.iter().any(|grant| grant.names(destination, address))
    }

    /// Whether another component may be called in-process. `*` is about the network and does not
    /// count.
    pub(crate) fn allows_component(&self, component: &ComponentId) -> bool {
        self.grants.iter().any(|grant| {
            grant.scheme != Some(Scheme::Https)
                && grant.port.allows(80)
                && match &grant.host {
                    HostGrant::Below(suffix) => suffix == COMPONENTS,
                    HostGrant::Exact(Host::Domain(name)) => {
                        name.strip_suffix(COMPONENTS) == Some(component.as_str())
                    }
                    _ => false,
                }
        })
    }

    /// Whether the application's own front door may be called.
    pub(crate) fn allows_own(&self) -> bool {
        self.grants.iter().any(|grant| matches!(grant.host, HostGrant::Own | HostGrant::Any))
    }

    /// The manifest line that would allow `host` as well.
    pub(crate) fn line_with(&self, host: &str) -> String {
        let hosts = self.lines.iter().map(String::as_str).chain([host]);
        let quoted: Vec<String> = hosts.map(|host| format!("{host:?}")).collect();
        format!("allowed_outbound_hosts = [{}]", quoted.join(", "))
    }
}

impl Grant {
    /// None when the line is about another protocol.
    fn parse(line: &str) -> Result<Option<Self>, String> {
        let (scheme, rest) = line.trim().split_once("://").ok_or(
            "it has no scheme: write https://host, http://host:port, or *://host:port".to_owned(),
        )?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "*" => None,
            "http" => Some(Scheme::Http),
            "https" => Some(Scheme::Https),
            other if !other.is_empty() && other.bytes().all(|b| b.is_ascii_alphabetic()) => {
                return Ok(None);
            }
            other => return Err(format!("{other:?} is not a scheme")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.find(']') {
            Some(end) => rest.split_at(end + 1),
            None => rest.split_at(rest.rfind(':').unwrap_or(rest.len())),
        };
        let port = match port.strip_prefix(':') {
            None if !port.is_empty() => return Err("the host is malformed".to_owned()),
            port => PortGrant::parse(port.unwrap_or(""), scheme)?,
        };
        Ok(Some(Self { scheme, host: HostGrant::parse(host.trim())?, port }))
    }

    fn suits(&self, destination: &Destination) -> bool {
        self.scheme.is_none_or(|scheme| scheme == destination.scheme)
            && self.port.allows(destination.port)
    }

    fn allows(&self, destination: &Destination) -> bool {
        self.suits(destination)
            && match (&self.host, &destination.host) {
                (HostGrant::Any, _) => true,
                (HostGrant::Below(suffix), Host::Domain(name)) => {
                    name.len() > suffix.len() && name.ends_with(suffix)
                }
                (HostGrant::Exact(granted), host) => granted == host,
                (HostGrant::Network(net), Host::Ipv4(ip)) => net.contains(&IpAddr::V4(*ip)),
                (HostGrant::Network(net), Host::Ipv6(ip)) => net.contains(&IpAddr::V6(*ip)),
                _ => false,
            }
    }

    /// Whether this line means an address that is not public, on purpose.
    fn names(&self, destination: &Destination, address: IpAddr) -> bool {
        self.suits(destination)
            && match &self.host {
                HostGrant::Exact(Host::Ipv4(ip)) => IpAddr::V4(*ip) == address,
                HostGrant::Exact(Host::Ipv6(ip)) => IpAddr::V6(*ip) == address,
                // What `localhost` means is fixed (RFC 6761 §6.3); any other name means whatever
                // its owner says today.
                HostGrant::Exact(host @ Host::Domain(name)) => {
                    let localhost = name == "localhost" || name.ends_with(".localhost");
                    localhost && *host == destination.host && address.is_loopback()
                }
                HostGrant::Network(net) => net.contains(&address) && address::is_deliberate(net),
                HostGrant::Any | HostGrant::Below(_) | HostGrant::Own => false,
            }
    }
}

impl HostGrant {
    fn parse(host: &str) -> Result<Self, String> {
        if host == "*" {
            return Ok(Self::Any);
        }
        if host == "self" || host == OWN {
            return Ok(Self::Own);
        }
        if host.starts_with('{') {
            return Err("lists of hosts are not supported: write one line for each".to_owned());
        }
        if host.contains('/') {
            let network: IpNet = host
                .parse()
                .map_err(|_not_a_network| format!("{host:?} has a path or is no network"))?;
            return Ok(Self::Network(network.trunc()));
        }
        let (below, name) = match host.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, host),
        };
        if name.contains('*') {
            return Err("a wildcard stands for the first labels only: *.example.com".to_owned());
        }
        match host_of(name) {
            Some(Host::Domain(name)) if below => Ok(Self::Below(format!(".{name}"))),
            Some(host) if !below => Ok(Self::Exact(host)),
            _ => Err(format!("{host:?} is not a host")),
        }
    }
}

impl PortGrant {
    fn parse(port: &str, scheme: Option<Scheme>) -> Result<Self, String> {
        let number = |text: &str| match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!("{text:?} is not a port")),
        };
        match (port, scheme) {
            ("", Some(scheme)) => Ok(Self::One(scheme.default_port())),
            ("", None) => Err("the scheme * needs a port: *://host:443 or *://host:*".to_owned()),
            ("*", _) => Ok(Self::Any),
            _ => match port.split_once("..") {
                Some((start, end)) => Ok(Self::Range(number(start)?..number(end)?)),
                None => number(port).map(Self::One),
            },
        }
    }

    fn allows(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::One(granted) => *granted == port,
            Self::Range(granted) => granted.contains(&port),
        }
    }
}

/// Replaces each `{{ name }}`.
fn expand(line: &str, variables: &Variables) -> Result<String, String> {
    let mut expanded = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or("a {{ is never closed".to_owned())?;
        let name = name.trim();
        let value = variables(name).ok_or_else(|| format!("no variable {name:?} is set"))?;
        expanded.push_str(before);
        expanded.push_str(value.trim());
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
#[path = "grants_tests.rs"]
mod tests;
