//! Where mail goes, by variables of the environment: `NEXUS_SMTP_URL` names a server, `NEXUS_MAIL`
//! a folder, `NEXUS_DKIM_*` the key that signs. A mistake is told in words that hold no secret.

use crate::dkim::{Dkim, DkimError};
use crate::maildir::Maildir;
use crate::smtp::Server;
use crate::{Security, Sink};
use std::net::IpAddr;
use std::path::PathBuf;
use url::Url;

/// As the environment says.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `smtp(s)://user:password@host:port`.
    pub smtp_url: Option<String>,
    /// `maildir:<folder>`.
    pub mail: Option<String>,
    pub dkim_domain: Option<String>,
    pub dkim_selector: Option<String>,
    /// A private key in PEM (PKCS #8): RSA of 2048 bits or more, or Ed25519.
    pub dkim_key_file: Option<PathBuf>,
    /// PEM; authorities that are trusted besides the machine's own.
    pub authority_file: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("mail goes nowhere: set NEXUS_SMTP_URL or NEXUS_MAIL")]
    Nowhere,
    #[error("NEXUS_MAIL is maildir:<folder>")]
    Mail,
    #[error("NEXUS_SMTP_URL is smtp://host, smtps://host, with user:password@ and :port if needed")]
    Smtp,
    #[error("NEXUS_SMTP_AUTHORITY_FILE: {0}")]
    Authority(String),
    #[error("DKIM takes all of NEXUS_DKIM_DOMAIN, NEXUS_DKIM_SELECTOR and NEXUS_DKIM_KEY_FILE")]
    DkimHalf,
    #[error("NEXUS_DKIM_KEY_FILE: {0}")]
    Dkim(#[from] DkimError),
}

impl Settings {
    /// # Errors
    ///
    /// None yet; what is wrong is found by [`Settings::open`].
    pub fn from_env() -> Result<Self, SettingsError> {
        let text = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        Ok(Self {
            smtp_url: text("NEXUS_SMTP_URL"),
            mail: text("NEXUS_MAIL"),
            dkim_domain: text("NEXUS_DKIM_DOMAIN"),
            dkim_selector: text("NEXUS_DKIM_SELECTOR"),
            dkim_key_file: text("NEXUS_DKIM_KEY_FILE").map(Into::into),
            authority_file: text("NEXUS_SMTP_AUTHORITY_FILE").map(Into::into),
        })
    }

    /// A server wins over a folder.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn open(self) -> Result<(Sink, Option<Dkim>), SettingsError> {
        let sink = match (&self.smtp_url, &self.mail) {
            (Some(url), _) => Sink::Server(Box::new(self.server(url)?)),
            (None, Some(mail)) => {
                let folder = mail.strip_prefix("maildir:").filter(|folder| !folder.is_empty());
                Sink::Maildir(Maildir::new(folder.ok_or(SettingsError::Mail)?))
            }
            (None, None) => return Err(SettingsError::Nowhere),
        };
        let dkim = match (self.dkim_domain, self.dkim_selector, self.dkim_key_file) {
            (None, None, None) => None,
            (Some(domain), Some(selector), Some(file)) => {
                Some(Dkim::read(&domain, &selector, &file)?)
            }
            _ => return Err(SettingsError::DkimHalf),
        };
        Ok((sink, dkim))
    }

    fn server(&self, url: &str) -> Result<Server, SettingsError> {
        let url = Url::parse(url).map_err(|_| SettingsError::Smtp)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(SettingsError::Smtp)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let (security, port) = match url.scheme() {
            "smtps" => (Security::Tls, 465),
            // A server on this machine is spoken to as it is: nobody can listen in between.
            "smtp" if is_loopback(host) => (Security::Plain, 25),
            "smtp" => (Security::StartTls, 587),
            _ => return Err(SettingsError::Smtp),
        };
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, Some(password)) if !user.is_empty() => {
                Some((decoded(user)?, decoded(password)?))
            }
            _ => return Err(SettingsError::Smtp),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(SettingsError::Smtp);
        }
        let authority = match &self.authority_file {
            Some(file) => Some(
                std::fs::read(file).map_err(|error| SettingsError::Authority(error.to_string()))?,
            ),
            None => None,
        };
        Server::new(host, url.port().unwrap_or(port), security, credentials, authority.as_deref())
            .map_err(SettingsError::Authority)
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What stands for a character in a URL (RFC 3986 §2.1).
fn decoded(text: &str) -> Result<String, SettingsError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match (digit(rest.next()), digit(rest.next())) {
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => return Err(SettingsError::Smtp),
        }
    }
    String::from_utf8(bytes).map_err(|_| SettingsError::Smtp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(smtp_url: Option<&str>, mail: Option<&str>) -> Settings {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Settings { smtp_url: text(smtp_url), mail: text(mail), ..Settings::default() }
    }

    fn security(url: &str) -> Option<(Security, u16)> {
        match with(Some(url), None).open() {
            Ok((Sink::Server(server), _)) => Some((server.security(), server.port())),
            Ok(_) => panic!("a folder"),
            Err(_) => None,
        }
    }

    #[test]
    fn only_a_server_of_this_machine_is_spoken_to_in_the_clear() {
        for (url, expected) in [
            ("smtp://mail.example", Some((Security::StartTls, 587))),
            ("smtp://u:p@mail.example:2525", Some((Security::StartTls, 2525))),
            ("smtps://mail.example", Some((Security::Tls, 465))),
            ("smtp://127.0.0.1:2525", Some((Security::Plain, 2525))),
            ("smtp://localhost", Some((Security::Plain, 25))),
            ("smtp://[::1]:2525", Some((Security::Plain, 2525))),
            ("smtp://127.0.0.1.evil.example", Some((Security::StartTls, 587))),
            ("http://mail.example", None),
            ("smtp://", None),
            ("smtp://user@mail.example", None),
            ("smtp://mail.example/?tls=none", None),
            ("smtp://mail.example?tls=none", None),
        ] {
            assert_eq!(security(url), expected, "{url}");
        }
    }

    #[test]
    fn mistakes_are_told_without_the_password() {
        let told = with(Some("smtp://user:s3cret@mail.example/x"), None).open().unwrap_err();
        assert!(!told.to_string().contains("s3cret"), "{told}");
        let (sink, _) = with(Some("smtp://user:s3%40cret@mail.example"), None).open().unwrap();
        assert!(!format!("{sink:?}").contains("cret"), "{sink:?}");
        assert!(matches!(with(None, None).open(), Err(SettingsError::Nowhere)));
        assert!(matches!(with(None, Some("maildir:")).open(), Err(SettingsError::Mail)));
        assert!(matches!(with(None, Some("mbox:/x")).open(), Err(SettingsError::Mail)));
        let half = Settings { dkim_domain: Some("a".into()), ..with(None, Some("maildir:/x")) };
        assert!(matches!(half.open(), Err(SettingsError::DkimHalf)));
    }

    #[test]
    fn a_password_may_hold_any_character() {
        assert_eq!(decoded("a%40b%2Fc%25").unwrap(), "a@b/c%");
        assert!(decoded("a%4").is_err() && decoded("%zz").is_err() && decoded("%ff").is_err());
    }
}
