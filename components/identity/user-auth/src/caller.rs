//! Where a request comes from: address and browser, as the host or a front end of ours says.
//!
//! Knows whom to believe: `nexus-client-*` only from components that speak for a browser. A hint
//! for throttling and for people, never a proof.

use nexus_sdk::axum::extract::FromRequestParts;
use nexus_sdk::axum::http::request::Parts;
use nexus_sdk::prelude::*;
use nexus_sdk::{Input, Operation};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};

/// Components whose requests are a browser's.
const SPEAK_FOR_BROWSERS: [&str; 2] = ["frontend-app", "auth"];
const AGENT_CHARS_MAX: usize = 512;

/// The device behind a request.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    pub address: Option<IpAddr>,
    pub agent: Option<String>,
}

impl Caller {
    fn of(headers: &HeaderMap) -> Caller {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let front = text("nexus-caller").is_some_and(|name| SPEAK_FOR_BROWSERS.contains(&name));
        let (address, agent) = match front {
            true => (text("nexus-client-addr"), text("nexus-client-agent")),
            false => (text("spin-client-addr"), text("user-agent")),
        };
        let visible = |c: &char| !c.is_control();
        let agent = agent.map(|it| it.chars().filter(visible).take(AGENT_CHARS_MAX).collect());
        Caller { address: address.and_then(address_of), agent }
    }

    /// What counts as one place: an IPv4 address, or the /56 that a household is given (RFC 6177).
    pub fn network(&self) -> String {
        match self.address.map(|address| address.to_canonical()) {
            None => "unknown".into(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => {
                let prefix = u128::from(address) & (u128::MAX << 72);
                format!("{}/56", std::net::Ipv6Addr::from(prefix))
            }
        }
    }

    /// By which a browser is known again, roughly: its name without versions.
    pub fn agent_digest(&self) -> Vec<u8> {
        let agent = self.agent.as_deref().unwrap_or_default();
        let plain: String = agent.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect();
        Sha256::digest(plain).to_vec()
    }

    pub fn address_text(&self) -> Option<String> {
        self.address.map(|address| address.to_canonical().to_string())
    }

    /// For people: the kind of browser and system, as far as it can be told.
    pub fn device(&self) -> Option<String> {
        let agent = self.agent.as_deref()?;
        let first = |table: &[(&str, &'static str)]| {
            table.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
        };
        let browser = first(&[
            ("Edg", "Edge"),
            ("OPR/", "Opera"),
            ("Firefox/", "Firefox"),
            ("FxiOS/", "Firefox"),
            ("Chrome/", "Chrome"),
            ("CriOS/", "Chrome"),
            ("Safari/", "Safari"),
        ]);
        let system = first(&[
            ("iPhone", "iPhone"),
            ("iPad", "iPad"),
            ("Android", "Android"),
            ("Windows", "Windows"),
            ("Mac OS X", "macOS"),
            ("Linux", "Linux"),
        ]);
        match (browser, system) {
            (Some(browser), Some(system)) => Some(format!("{browser} on {system}")),
            (Some(name), None) | (None, Some(name)) => Some(name.into()),
            (None, None) => {
                agent.split(['/', ' ']).next().map(|word| word.chars().take(40).collect())
            }
        }
    }
}

/// `ip:port`, `[ip]:port` or a bare address.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.trim_matches(['[', ']']);
    text.parse::<SocketAddr>().map(|it| it.ip()).or_else(|_| bare.parse()).ok()
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        Ok(Caller::of(&parts.headers))
    }
}

impl Input for Caller {
    fn describe(_operation: &mut Operation) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(headers: &[(&'static str, &'static str)]) -> Caller {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        Caller::of(&headers.iter().map(pair).collect())
    }

    #[test]
    fn a_front_end_is_believed_about_its_visitor_and_nobody_else_is() {
        let said = [("nexus-client-addr", "203.0.113.9"), ("spin-client-addr", "192.0.2.1:44")];
        assert_eq!(caller(&said).network(), "192.0.2.1");
        let front = [said[0], said[1], ("nexus-caller", "frontend-app")];
        assert_eq!(caller(&front).network(), "203.0.113.9");
        let other = [said[0], said[1], ("nexus-caller", "catalog")];
        assert_eq!(caller(&other).network(), "192.0.2.1");
        assert_eq!(caller(&[]).network(), "unknown");
    }

    #[test]
    fn an_address_of_version_six_counts_as_its_household() {
        let one = caller(&[("spin-client-addr", "[2001:db8:1:2ff:aa::1]:443")]);
        let two = caller(&[("spin-client-addr", "[2001:db8:1:201::2]:443")]);
        let far = caller(&[("spin-client-addr", "[2001:db8:1:301::2]:443")]);
        assert_eq!(one.network(), "2001:db8:1:200::/56");
        assert_eq!(one.network(), two.network());
        assert_ne!(one.network(), far.network());
        let mapped = caller(&[("spin-client-addr", "[::ffff:192.0.2.1]:443")]);
        assert_eq!(mapped.network(), "192.0.2.1");
    }

    #[test]
    fn an_update_of_the_browser_makes_no_other_device() {
        let of = |agent| caller(&[("user-agent", agent)]).agent_digest();
        assert_eq!(of("Firefox/143.0"), of("Firefox/144.0.1"));
        assert_ne!(of("Firefox/143.0"), of("Chrome/143.0"));
    }
}
