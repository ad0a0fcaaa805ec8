//! A mail server: one conversation for each message, in which it is known at which command the
//! server has said no. Knows SMTP (RFC 5321) and TLS by `lettre`.
//!
//! 2xx to the message is sent; 4xx and anything about the connection is tried again; 5xx to the
//! recipient or the message is a bounce. 5xx to the greeting or the login says that this machine is
//! not let in, which is no fault of the message, and is tried again.

use crate::{Outcome, Output};
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use nexus_media_protocol::Failure;
use std::error::Error as _;
use std::fmt;
use std::time::Duration;

/// For each step; a server that looks every recipient up takes its time.
const STEP_MAX: Duration = Duration::from_secs(30);
/// Between the first tries; the last pause goes on. Servers that greylist want some minutes.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(3 * 60 * 60),
];

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS before anything is said; a server without it gets nothing.
    StartTls,
    /// In the clear: a server of this machine.
    Plain,
}

/// The server that takes our mail.
pub struct Server {
    host: String,
    port: u16,
    security: Security,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    hello: ClientId,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, security, .. } = self;
        write!(f, "Server({host}:{port}, {security:?})")
    }
}

/// Where in the conversation the server has said no.
enum Refused {
    /// Before anything of the message was said.
    Entry(Error),
    Sender(Error),
    Recipient(Error),
    Message(Error),
}

impl Server {
    /// `authority` is PEM, trusted besides the machine's own.
    pub(crate) fn new(
        host: &str,
        port: u16,
        security: Security,
        credentials: Option<(String, String)>,
        authority: Option<&[u8]>,
    ) -> Result<Self, String> {
        let mut tls = TlsParameters::builder(host.to_owned());
        if let Some(pem) = authority {
            let read = Certificate::from_pem(pem).map_err(|error| error.to_string())?;
            tls = tls.add_root_certificate(read);
        }
        let tls = match security {
            Security::Plain => None,
            Security::Tls | Security::StartTls => {
                Some(tls.build_rustls().map_err(|error| error.to_string())?)
            }
        };
        let credentials = credentials.map(|(user, password)| Credentials::new(user, password));
        Ok(Self { host: host.to_owned(), port, security, tls, credentials, hello: hello() })
    }

    pub fn security(&self) -> Security {
        self.security
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn deliver(
        &self,
        attempt: u32,
        from: &str,
        to: &str,
        message: &[u8],
    ) -> Result<Output, Failure> {
        let address = |text: &str| text.parse::<Address>().map_err(Failure::reject);
        let (from, to) = (address(from)?, address(to)?);
        match self.converse(from, to, message) {
            Ok(code) => Ok(Output { result: Outcome::Sent, code: Some(code), permanent: false }),
            Err(refused) => judge(refused, attempt),
        }
    }

    fn converse(&self, from: Address, to: Address, message: &[u8]) -> Result<u16, Refused> {
        let mut server = self.enter().map_err(Refused::Entry)?;
        let said = (|| {
            let mail = server.command(Mail::new(Some(from), Vec::new()));
            mail.map_err(Refused::Sender)?;
            server.command(Rcpt::new(to, Vec::new())).map_err(Refused::Recipient)?;
            server.command(Data).map_err(Refused::Message)?;
            server.message(message).map_err(Refused::Message)
        })();
        match said {
            Ok(taken) => {
                // What it says to our goodbye changes nothing.
                let _bye = server.quit();
                Ok(taken.code().into())
            }
            Err(refused) => {
                server.abort();
                Err(refused)
            }
        }
    }

    fn enter(&self) -> Result<SmtpConnection, Error> {
        let first = match self.security {
            Security::Tls => self.tls.as_ref(),
            Security::StartTls | Security::Plain => None,
        };
        let place = (self.host.as_str(), self.port);
        let mut server = SmtpConnection::connect(place, Some(STEP_MAX), &self.hello, first, None)?;
        if let (Security::StartTls, Some(tls)) = (self.security, &self.tls) {
            server.starttls(tls, &self.hello)?;
        }
        if let Some(credentials) = &self.credentials {
            server.auth(&[Mechanism::Plain, Mechanism::Login], credentials)?;
        }
        Ok(server)
    }
}

/// This machine's name, if it is one that a server can look up.
fn hello() -> ClientId {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let fits = name.contains('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    if fits { ClientId::Domain(name) } else { ClientId::Ipv4([127, 0, 0, 1].into()) }
}

fn judge(refused: Refused, attempt: u32) -> Result<Output, Failure> {
    let (error, is_final) = match &refused {
        Refused::Entry(error) => (error, false),
        Refused::Sender(error) | Refused::Recipient(error) | Refused::Message(error) => {
            (error, error.is_permanent())
        }
    };
    let code = error.status().map(u16::from);
    if is_final {
        let words = error.source().map(ToString::to_string).unwrap_or_default();
        let permanent = matches!(refused, Refused::Recipient(_))
            && is_no_mailbox(code.unwrap_or_default(), enhanced(&words));
        return Ok(Output { result: Outcome::Bounced, code, permanent });
    }
    let step = PAUSES.len().min(attempt.max(1) as usize) - 1;
    Err(Failure::Retry { after: Some(PAUSES[step]), reason: reason(error, code) })
}

/// Words for operators. What a server says may hold an address; its code does not.
fn reason(error: &Error, code: Option<u16>) -> String {
    match code {
        Some(code) => format!("the mail server answers {code}"),
        None if error.is_timeout() => "the mail server does not answer in time".into(),
        None if error.is_tls() => format!("the mail server's TLS: {error}"),
        None => format!("the mail server: {error}"),
    }
}

/// The enhanced status code (RFC 3463) at the beginning of a reply.
fn enhanced(words: &str) -> Option<(u16, u16, u16)> {
    let mut numbers = words.split_whitespace().next()?.split('.').map(str::parse);
    let code = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    numbers.next().is_none().then_some(code)
}

/// Whether a refused recipient is nobody, rather than somebody who is full or picky: only then is
/// the address never written to again.
fn is_no_mailbox(code: u16, enhanced: Option<(u16, u16, u16)>) -> bool {
    match enhanced {
        // Bad mailbox, bad system, moved without address, null MX; not 5.1.8, which is about us.
        Some((5, 1, detail)) => matches!(detail, 1 | 2 | 3 | 6 | 10),
        // Disabled.
        Some((5, 2, 1)) => true,
        Some(_) => false,
        None => matches!(code, 550 | 551 | 553),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_that_is_nobody_is_never_written_to_again() {
        for (code, words, expected) in [
            (550, "5.1.1 no such user", true),
            (550, "No such user here", true),
            (553, "mailbox name not allowed", true),
            (550, "5.7.1 you are on a list", false),
            (550, "5.1.8 bad sender's domain", false),
            (552, "5.2.2 mailbox full", false),
            (552, "too much mail", false),
            (554, "5.7.1 spam", false),
            (550, "5.2.1 disabled", true),
        ] {
            assert_eq!(is_no_mailbox(code, enhanced(words)), expected, "{code} {words}");
        }
    }

    #[test]
    fn an_enhanced_code_is_three_numbers() {
        assert_eq!(enhanced("5.1.1 no"), Some((5, 1, 1)));
        for words in ["", "no such user", "5.1 no", "5.1.1.1 no", "a.b.c"] {
            assert_eq!(enhanced(words), None, "{words}");
        }
    }
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod conversations;
