//! Where a request wants to go, read strictly from its URI: one spelling per place, so that what
//! is checked is what is reached. Refuses to know whether it may.

use crate::error::OutboundError;
use http::Uri;
use nexus_runtime::ComponentId;
use std::fmt;
use url::Host;

/// The suffix under which components of this host answer each other.
pub(crate) const COMPONENTS: &str = ".spin.internal";

/// What a component calls to reach its own application through the front door.
pub(crate) const OWN: &str = "self.alt";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A place on a network. Names are lower case, in ASCII, without a final dot; every spelling of an
/// IPv4 address (decimal, octal, hexadecimal, short) has become that address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
}

impl Destination {
    /// `host` or `host:port`, as `Host` and `:authority` say it (RFC 9110 §7.2).
    pub(crate) fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// The three ways a request can leave a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Over the network.
    Remote(Destination),
    /// In-process, to another component.
    Component(ComponentId),
    /// Back through this host's front door.
    Own,
}

impl Target {
    /// Reads the target of an absolute request URI.
    ///
    /// # Errors
    /// [`OutboundError::Unsendable`] for a scheme other than `http` and `https`, credentials in
    /// the authority (RFC 9110 §4.2.4), port 0, and hosts that are neither a name nor an address.
    pub(crate) fn of(uri: &Uri) -> Result<Self, OutboundError> {
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(OutboundError::Unsendable("the scheme is neither http nor https")),
        };
        let Some(authority) = uri.authority() else { return Ok(Self::Own) };
        let (host, port) = split(authority.as_str())?;
        if host.is_empty() {
            return Ok(Self::Own);
        }
        let host = host_of(host).ok_or(OutboundError::Unsendable("the host is malformed"))?;
        let port = port.unwrap_or(scheme.default_port());
        match &host {
            Host::Domain(name) if name == OWN => Ok(Self::Own),
            Host::Domain(name) if is_internal(name) => component(name, scheme, port),
            _ => Ok(Self::Remote(Destination { scheme, host, port })),
        }
    }
}

/// A name of this host's own world, which must never be asked of a name server.
fn is_internal(name: &str) -> bool {
    name.ends_with(COMPONENTS) || name == &COMPONENTS[1..]
}

fn component(name: &str, scheme: Scheme, port: u16) -> Result<Target, OutboundError> {
    let malformed = OutboundError::Unsendable("components answer at http://<name>.spin.internal");
    if scheme != Scheme::Http || port != 80 {
        return Err(malformed);
    }
    let label = name.strip_suffix(COMPONENTS).ok_or(malformed.clone())?;
    ComponentId::new(label).map(Target::Component).map_err(|_not_a_component| malformed)
}

/// Splits an authority without userinfo into host and port. `http::uri::Authority::port` is not
/// asked: it takes an impossible port for none.
fn split(authority: &str) -> Result<(&str, Option<u16>), OutboundError> {
    if authority.contains('@') {
        return Err(OutboundError::Unsendable("the authority carries credentials"));
    }
    let host_end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']').map(|end| end + 2),
        None => authority.find(':').or(Some(authority.len())),
    };
    let end = host_end.ok_or(OutboundError::Unsendable("the host is malformed"))?;
    let (host, rest) = authority.split_at(end);
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    };
    match port {
        Some(0) => Err(OutboundError::Unsendable("port 0 is not a port")),
        None if !rest.is_empty() => Err(OutboundError::Unsendable("the port is malformed")),
        port => Ok((host, port)),
    }
}

/// One spelling per host, by the WHATWG URL host parser; names as DNS and TLS take them.
pub(crate) fn host_of(text: &str) -> Option<Host<String>> {
    match Host::parse(text).ok()? {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            let in_dns = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
            let sound = name.bytes().all(in_dns)
                && name.len() <= 253
                && name.split('.').all(|label| (1..=63).contains(&label.len()));
            sound.then(|| Host::Domain(name.to_owned()))
        }
        address => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, expected: &str) {
        let uri: Uri = uri.parse().expect("the test's URI parses");
        let found = match Target::of(&uri) {
            Ok(Target::Remote(destination)) => destination.to_string(),
            Ok(Target::Component(name)) => format!("component {name}"),
            Ok(Target::Own) => "own".to_owned(),
            Err(OutboundError::Unsendable(_)) => "refused".to_owned(),
            Err(other) => other.to_string(),
        };
        assert_eq!(found, expected, "{uri}");
    }

    #[test]
    fn a_place_has_one_spelling() {
        check("https://API.Example.com/x?y", "https://api.example.com");
        check("https://api.example.com.:443", "https://api.example.com");
        check("http://example.com:8080", "http://example.com:8080");
        check("http://example.com:443", "http://example.com:443");
        check("http://[2606:4700::0:1111]:80/", "http://[2606:4700::1111]");
    }

    #[test]
    fn every_spelling_of_an_ipv4_address_is_that_address() {
        for spelling in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "0x7F.0x0.0x0.0x1",
            "017700000001",
            "127.0.0.1.",
            "0x7f.0.0.01",
        ] {
            check(&format!("http://{spelling}/"), "http://127.0.0.1");
        }
        for spelling in ["2852039166", "0xA9FEA9FE", "0251.0376.0251.0376", "169.254.43518"] {
            check(&format!("http://{spelling}/latest"), "http://169.254.169.254");
        }
        check("http://[::ffff:169.254.169.254]/", "http://[::ffff:a9fe:a9fe]");
        check("http://256.1.1.1/", "refused");
        check("http://0x100000000/", "refused");
        check("http://1.2.3.4.5/", "refused");
    }

    #[test]
    fn what_no_request_should_say_is_refused() {
        check("http://user:secret@example.com/", "refused");
        check("http://example.com@127.0.0.1/", "refused");
        check("http://example.com:0/", "refused");
        check("http://example.com:65536/", "refused");
        check("file://etc/passwd", "refused");
        check("ftp://example.com/", "refused");
        check("/relative", "refused");
        check("http://exa~mple.com/", "refused");
        check("http://-/", "http://-");
        check("http://a..b/", "refused");
    }

    #[test]
    fn components_and_the_own_application_are_told_from_the_network() {
        check("http://user-profile.spin.internal/x", "component user-profile");
        check("http://User-Profile.SPIN.internal./x", "component user-profile");
        check("http://self.alt/x", "own");
        check("https://self.alt:8443/x", "own");
        for malformed in [
            "https://a.spin.internal/",
            "http://a.spin.internal:8080/",
            "http://a.b.spin.internal/",
            "http://spin.internal/",
            "http://a_b.spin.internal/",
        ] {
            check(malformed, "refused");
        }
        check("http://aspin.internal/", "http://aspin.internal");
    }
}
