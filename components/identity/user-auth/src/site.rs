//! The installation as its users know it: its origin, and what hangs on that.

use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;

/// The public origin, `https://nexus.example` without a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    pub origin: String,
}

/// What the host says it is.
///
/// # Errors
/// Without a public URL nothing can be mailed and no passkey checked: a failure.
pub async fn of(by: &Ctx) -> Result<Site> {
    let origin = by.variable("public_url").await?;
    Ok(Site { origin: origin.trim_end_matches('/').to_owned() })
}

impl Site {
    /// Its host without the port: whose passkeys they are (WebAuthn's RP ID).
    pub fn rp_id(&self) -> &str {
        let authority = self.origin.split_once("://").map_or(&*self.origin, |(_, rest)| rest);
        match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.split(':').next().unwrap_or_default(),
        }
    }

    fn is_secure(&self) -> bool {
        self.origin.starts_with("https://")
    }

    fn cookie_name(&self) -> &'static str {
        // `__Host-`: only over TLS, only for this host, not to be set by a neighbour.
        if self.is_secure() { "__Host-nexus-session" } else { "nexus-session" }
    }

    /// # Errors
    /// A secret that is no token is a failure.
    pub fn session_cookie(&self, secret: &str, lasts_seconds: Option<i64>) -> Result<HeaderValue> {
        let secure = if self.is_secure() { "; Secure" } else { "" };
        let lasts = lasts_seconds.map(|n| format!("; Max-Age={}", n.max(0))).unwrap_or_default();
        let name = self.cookie_name();
        let cookie = format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax{secure}{lasts}");
        Ok(HeaderValue::try_from(cookie).context("write a cookie")?)
    }

    /// # Errors
    /// As [`Site::session_cookie`].
    pub fn no_cookie(&self) -> Result<HeaderValue> {
        self.session_cookie("", Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(origin: &str) -> Site {
        Site { origin: origin.into() }
    }

    #[test]
    fn the_relying_party_is_the_host_alone() {
        for (origin, host) in [
            ("https://nexus.example", "nexus.example"),
            ("http://localhost:8080", "localhost"),
            ("http://[::1]:8080", "::1"),
        ] {
            assert_eq!(site(origin).rp_id(), host);
        }
    }

    #[test]
    fn a_cookie_is_the_browsers_alone_and_lasts_only_when_asked_to() {
        let plain = site("http://localhost:8080").session_cookie("nxs_a", None).unwrap();
        assert_eq!(plain, "nexus-session=nxs_a; Path=/; HttpOnly; SameSite=Lax");
        let secure = site("https://nexus.example").session_cookie("nxs_a", Some(60)).unwrap();
        assert_eq!(
            secure,
            "__Host-nexus-session=nxs_a; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60"
        );
        let gone = site("http://localhost").no_cookie().unwrap();
        assert_eq!(gone, "nexus-session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }
}
