//! `redis://user:password@host:port/database`, `rediss://` with TLS, `unix:///path` for operators.
//! Refuses to know who may use an address.
//! Source: the "redis" and "rediss" URI schemes of the IANA registry (provisional).

use crate::LinkError;
use std::fmt;
use std::path::PathBuf;
use url::Url;

/// Where a server is and as whom to talk to it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    pub endpoint: Endpoint,
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: u16,
}

/// The network part of an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The host is lower case, without the brackets of an IPv6 address.
    Tcp {
        host: String,
        port: u16,
        tls: bool,
    },
    Unix(PathBuf),
}

/// Registered for Redis.
const PORT: u16 = 6379;

/// Without the password: addresses end in log lines.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Endpoint::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl Address {
    /// Reads an address as an operator or a guest writes it.
    ///
    /// # Errors
    ///
    /// [`LinkError::Address`] when the scheme is none of `redis`, `rediss` and `unix`, when there
    /// is no host, when the path is not a database number, or when there is a query or fragment:
    /// an option that is not understood must not be dropped in silence.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let fail = |reason: &str| LinkError::Address(reason.to_string());
        let url = Url::parse(text).map_err(|error| fail(&error.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(fail("options after ? or # are not supported"));
        }
        let tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            "unix" => return Self::unix(&url),
            _ => return Err(fail("the scheme must be redis or rediss")),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| fail("there is no host"))?;
        let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let database = match url.path().trim_matches('/') {
            "" => 0,
            path => path.parse().map_err(|_| fail("the path must be a database number"))?,
        };
        Ok(Self {
            endpoint: Endpoint::Tcp { host, port: url.port().unwrap_or(PORT), tls },
            user: decoded(url.username()).ok_or_else(|| fail("the user name is not UTF-8"))?,
            password: decoded(url.password().unwrap_or_default())
                .ok_or_else(|| fail("the password is not UTF-8"))?,
            database,
        })
    }

    fn unix(url: &Url) -> Result<Self, LinkError> {
        let fail = || LinkError::Address("unix:// takes an absolute path".into());
        if url.host_str().is_some_and(|host| !host.is_empty()) {
            return Err(fail());
        }
        let path = decoded(url.path()).flatten().ok_or_else(fail)?;
        Ok(Self {
            endpoint: Endpoint::Unix(PathBuf::from(path)),
            user: None,
            password: None,
            database: 0,
        })
    }
}

/// None when the percent-encoded bytes are not UTF-8; an empty part is no part.
fn decoded(part: &str) -> Option<Option<String>> {
    let text = percent_encoding::percent_decode_str(part).decode_utf8().ok()?;
    Some((!text.is_empty()).then(|| text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16, tls: bool) -> Endpoint {
        Endpoint::Tcp { host: host.into(), port, tls }
    }

    #[test]
    fn an_address_has_a_default_port_and_database() {
        let address = Address::parse("redis://Cache.Example.").unwrap();
        assert_eq!(address.endpoint, tcp("cache.example", 6379, false));
        assert_eq!((address.database, address.user, address.password), (0, None, None));
    }

    #[test]
    fn credentials_and_database_are_read_and_never_shown() {
        let address = Address::parse("rediss://app:p%40ss@[::1]:7000/3").unwrap();
        assert_eq!(address.endpoint, tcp("::1", 7000, true));
        assert_eq!(address.password.as_deref(), Some("p@ss"));
        assert_eq!(address.database, 3);
        assert_eq!(format!("{address:?} {address}"), "Address([::1]:7000) [::1]:7000");
    }

    #[test]
    fn a_socket_is_an_absolute_path() {
        let address = Address::parse("unix:///run/redis.sock").unwrap();
        assert_eq!(address.endpoint, Endpoint::Unix("/run/redis.sock".into()));
        assert!(Address::parse("unix://run/redis.sock").is_err());
    }

    #[test]
    fn what_is_not_understood_is_refused_without_repeating_it() {
        for text in [
            "",
            "localhost",
            "localhost:6379",
            "http://localhost",
            "redis://",
            "redis:///0",
            "redis://host/zero",
            "redis://host/99999",
            "redis://host?protocol=resp3",
            "redis://host#tls",
            "redis://u:s3cret@host/x",
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
