//! Where a server is and how one connection to it is opened: address, name resolution, socket,
//! TLS, login. Refuses to know how many connections there may be.

use crate::address::take_tls_words;
use crate::error::{Error, says};
use crate::socket::Socket;
use crate::tls::{self, Mode, TappedTls};
use crate::wire::{Tap, Wire};
use crate::work::Work;
use rustls::{ClientConfig, RootCertStore};
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, NoTls};

/// Time to resolve, connect, encrypt and log in, all hosts together, unless the address says
/// otherwise with `connect_timeout`.
const CONNECT_SECONDS: u64 = 5;

const PORT: u16 = 5432;

/// Which network addresses may be connected to, asked after name resolution.
pub type Allowed = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// One server, one login.
#[derive(Clone)]
pub struct Endpoint {
    config: Config,
    mode: Mode,
    /// Where the roots were read from; programs of PostgreSQL's read them again.
    root_file: Option<String>,
    roots: Option<RootCertStore>,
    tls: Option<Arc<ClientConfig>>,
    allowed: Option<Allowed>,
    /// Who hears notifications that come over its connections.
    heard_by: Option<Work>,
}

/// Drives a connection's protocol until it closes.
pub(crate) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) struct Opened {
    pub(crate) client: Client,
    pub(crate) wire: Arc<Wire>,
    pub(crate) driver: Driver,
}

impl Endpoint {
    /// Reads an address an operator gave: `postgres://…` or `host=… user=…`, with libpq's
    /// `sslmode` and `sslrootcert`.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] when it is not one, [`Error::File`] when the root certificate cannot be
    /// read.
    pub fn parse(address: &str) -> Result<Self, Error> {
        let (rest, mode, root_file) = take_tls_words(address)?;
        let mut endpoint = Self::from_words(&rest, mode)?;
        if let Some(path) = root_file.filter(|path| path != "system") {
            let pem = std::fs::read(&path)
                .map_err(|source| Error::File { path: path.clone().into(), source })?;
            endpoint = endpoint.with_roots(&pem)?;
            endpoint.root_file = Some(path);
        }
        Ok(endpoint)
    }

    /// Reads an address a guest gave. It names one host over the network and its own login:
    /// sockets, files and names of this machine are not the guest's to choose.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] when it asks for anything else.
    pub fn parse_untrusted(address: &str) -> Result<Self, Error> {
        let (rest, mode, root_file) = take_tls_words(address)?;
        let refuse = |why: &str| Err(Error::Address(why.into()));
        if root_file.is_some() {
            return refuse("sslrootcert names a file of the host; hand the certificate over");
        }
        let endpoint = Self::from_words(&rest, mode)?;
        let config = &endpoint.config;
        match config.get_hosts() {
            [Host::Tcp(_)] => {}
            [Host::Unix(_)] => return refuse("a socket of this machine"),
            _ => return refuse("exactly one host is needed"),
        }
        if !config.get_hostaddrs().is_empty() {
            return refuse("hostaddr goes around the name that a grant is given for");
        }
        if config.get_user().is_none() {
            return refuse("no user is named");
        }
        Ok(endpoint)
    }

    fn from_words(address: &str, mode: Mode) -> Result<Self, Error> {
        let config: Config = address.parse().map_err(|e| Error::Address(says(&e)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Error::Address("no host is named".into()));
        }
        if config.get_target_session_attrs() != TargetSessionAttrs::Any {
            return Err(Error::Address("target_session_attrs is not supported".into()));
        }
        Ok(Self::new(config, mode))
    }

    /// A server on a unix socket in `folder`.
    pub fn unix(folder: &Path, user: &str, database: &str) -> Self {
        let mut config = Config::new();
        config.host_path(folder).port(PORT).user(user).dbname(database);
        Self::new(config, Mode::Disable)
    }

    fn new(config: Config, mode: Mode) -> Self {
        let (root_file, roots, tls) = (None, None, None);
        Self { config, mode, root_file, roots, tls, allowed: None, heard_by: None }
    }

    /// The same server and login for PostgreSQL's own programs, as variables of libpq.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let (host, port) = self.host_and_port();
        let mut variables = vec![
            ("PGHOST", host),
            ("PGPORT", port.to_string()),
            ("PGUSER", self.user().to_owned()),
            ("PGDATABASE", self.database().to_owned()),
            ("PGSSLMODE", self.mode.word().to_owned()),
            ("PGAPPNAME", "nexus backup".to_owned()),
        ];
        let password = self.password().map(String::from_utf8_lossy);
        variables.extend(password.map(|password| ("PGPASSWORD", password.into_owned())));
        variables.extend(self.root_file.clone().map(|file| ("PGSSLROOTCERT", file)));
        variables
    }

    /// The same server with another login.
    #[must_use]
    pub fn with_login(&self, user: &str, password: Option<&str>) -> Self {
        let mut other = self.clone();
        // A `Config` cannot forget a password; an empty one fails like none.
        other.config.user(user).password(password.unwrap_or_default());
        other
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(database);
        other
    }

    /// Hands notifications on.
    #[must_use]
    pub(crate) fn heard_by(&self, work: &Work) -> Self {
        Self { heard_by: Some(work.clone()), ..self.clone() }
    }

    /// Settings the session starts with and falls back to, as `-c name=value …`.
    #[must_use]
    pub fn with_options(&self, options: &str, application: &str) -> Self {
        let mut other = self.clone();
        other.config.options(options).application_name(application);
        other
    }

    /// The certificates to trust instead of the system's, as PEM.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] when there is none in it.
    pub fn with_roots(mut self, pem: &[u8]) -> Result<Self, Error> {
        self.roots = Some(tls::roots(pem)?);
        Ok(self)
    }

    /// Refuses to connect where `allowed` says no.
    #[must_use]
    pub fn only_where(mut self, allowed: Allowed) -> Self {
        self.allowed = Some(allowed);
        self
    }

    /// Requires a verified server: what a guest wants when it hands over a root certificate.
    #[must_use]
    pub fn verified(mut self) -> Self {
        self.mode = Mode::VerifyFull;
        self
    }

    /// Prepares what all connections share, so that opening one parses nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] when no root certificate is usable.
    pub fn ready(mut self) -> Result<Self, Error> {
        if self.mode != Mode::Disable && self.tls.is_none() {
            self.tls = Some(tls::client(self.mode, self.roots.clone())?);
        }
        Ok(self)
    }

    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    pub fn password(&self) -> Option<&[u8]> {
        self.config.get_password()
    }

    /// The database, which defaults to the user's name.
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_else(|| self.user())
    }

    /// The first host and its port, for grants and messages.
    pub fn host_and_port(&self) -> (String, u16) {
        let host = match (self.config.get_hosts().first(), self.config.get_hostaddrs().first()) {
            (Some(Host::Tcp(name)), _) => name.clone(),
            (Some(Host::Unix(path)), _) => path.display().to_string(),
            (None, Some(ip)) => ip.to_string(),
            (None, None) => String::new(),
        };
        (host, self.config.get_ports().first().copied().unwrap_or(PORT))
    }

    /// How messages name the server: never with a password.
    pub fn address(&self) -> String {
        let (host, port) = self.host_and_port();
        match host.starts_with('/') {
            true => host,
            false => format!("{host}:{port}"),
        }
    }

    /// Opens one connection. The driver must be polled for anything to happen on it.
    pub(crate) async fn connect(&self) -> Result<Opened, Error> {
        let default = Duration::from_secs(CONNECT_SECONDS);
        let limit = self.config.get_connect_timeout().copied().unwrap_or(default);
        match tokio::time::timeout(limit, self.connect_somewhere()).await {
            Ok(opened) => opened,
            Err(_) => Err(self.unreachable(format!("no answer within {} s", limit.as_secs()))),
        }
    }

    async fn connect_somewhere(&self) -> Result<Opened, Error> {
        let mut last = self.unreachable("no host is named".into());
        for host in self.hosts() {
            match self.login(&host).await {
                // Another host may stand in for one that is away, not for one that says no.
                Err(error @ (Error::Unreachable { .. } | Error::StartingUp { .. })) => last = error,
                other => return other,
            }
        }
        Err(last)
    }

    fn hosts(&self) -> Vec<(Host, Option<IpAddr>, u16)> {
        let (names, ips) = (self.config.get_hosts(), self.config.get_hostaddrs());
        let ports = self.config.get_ports();
        (0..names.len().max(ips.len()))
            .map(|i| {
                let ip = ips.get(i).copied();
                let bare = || Host::Tcp(ip.map(|ip| ip.to_string()).unwrap_or_default());
                let port = ports.get(i).or(ports.first()).copied().unwrap_or(PORT);
                (names.get(i).cloned().unwrap_or_else(bare), ip, port)
            })
            .collect()
    }

    async fn login(&self, host: &(Host, Option<IpAddr>, u16)) -> Result<Opened, Error> {
        let wire = Arc::new(Wire::new());
        let name = match &host.0 {
            Host::Tcp(name) if self.mode != Mode::Disable => name.clone(),
            _ => return self.login_plain(host, wire).await,
        };
        let tls =
            self.tls.clone().map_or_else(|| tls::client(self.mode, self.roots.clone()), Ok)?;
        let connect =
            TappedTls { connect: tls::connector::<Socket>(&tls, &name)?, wire: wire.clone() };
        let socket = self.socket(host).await?;
        let mut config = self.config.clone();
        config.ssl_mode(SslMode::Require);
        match config.connect_raw(socket, connect).await {
            Ok((client, connection)) => Ok(Opened {
                client,
                wire,
                driver: Box::pin(drive(connection, self.heard_by.clone())),
            }),
            // The library has no name for this refusal but its words.
            Err(e) if self.mode == Mode::Prefer && says(&e).contains("does not support TLS") => {
                self.login_plain(host, Arc::new(Wire::new())).await
            }
            Err(e) => Err(Error::connecting(e, self.user(), &self.address())),
        }
    }

    async fn login_plain(
        &self,
        host: &(Host, Option<IpAddr>, u16),
        wire: Arc<Wire>,
    ) -> Result<Opened, Error> {
        let socket = Tap::new(self.socket(host).await?, wire.clone());
        let mut config = self.config.clone();
        config.ssl_mode(SslMode::Disable);
        match config.connect_raw(socket, NoTls).await {
            Ok((client, connection)) => Ok(Opened {
                client,
                wire,
                driver: Box::pin(drive(connection, self.heard_by.clone())),
            }),
            Err(e) => Err(Error::connecting(e, self.user(), &self.address())),
        }
    }

    async fn socket(
        &self,
        (host, ip, port): &(Host, Option<IpAddr>, u16),
    ) -> Result<Socket, Error> {
        let failed = |e: std::io::Error| self.unreachable(e.to_string());
        let name = match host {
            Host::Unix(folder) => {
                let path = folder.join(format!(".s.PGSQL.{port}"));
                let stream = UnixStream::connect(path).await;
                return stream.map(Socket::Unix).map_err(failed);
            }
            Host::Tcp(name) => name,
        };
        let found: Vec<_> = match ip {
            Some(ip) => vec![(*ip, *port).into()],
            None => lookup_host((name.clone(), *port)).await.map_err(failed)?.collect(),
        };
        let mut last = self.unreachable(format!("{name} has no address"));
        for address in found {
            // What is checked is what is connected to: a second resolution could answer another.
            if self.allowed.as_ref().is_some_and(|allowed| !allowed(address.ip())) {
                last = Error::Forbidden {
                    address: self.address(),
                    reason: format!("{} is in a private range", address.ip()),
                };
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(failed)?;
                    return Ok(Socket::Tcp(stream));
                }
                Err(e) => last = failed(e),
            }
        }
        Err(last)
    }

    /// Asks the server to stop what a connection is running. Nobody learns whether it did.
    pub(crate) async fn cancel(&self, token: CancelToken) -> Result<(), Error> {
        let sent = self.send_cancel(token);
        match tokio::time::timeout(Duration::from_secs(CONNECT_SECONDS), sent).await {
            Ok(done) => done,
            Err(_) => Err(self.unreachable("no answer to a cancel request".into())),
        }
    }

    async fn send_cancel(&self, token: CancelToken) -> Result<(), Error> {
        let host = self.hosts().into_iter().next();
        let host = host.ok_or_else(|| self.unreachable("no host is named".into()))?;
        let socket = self.socket(&host).await?;
        let connector = match (host.0, &self.tls) {
            (Host::Tcp(name), Some(tls)) => Some(tls::connector::<Socket>(tls, &name)?),
            _ => None,
        };
        // The token remembers whether its own connection was encrypted.
        let sent = match connector {
            Some(connector) => token.cancel_query_raw(socket, connector).await,
            None => token.cancel_query_raw(socket, NoTls).await,
        };
        sent.map_err(|e| Error::connecting(e, self.user(), &self.address()))
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable { address: self.address(), reason }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}/{}", self.user(), self.address(), self.database())
    }
}

/// Notices are the business of whoever wrote the SQL, and a guest can send thousands.
async fn drive<S, T>(mut connection: tokio_postgres::Connection<S, T>, heard_by: Option<Work>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                tracing::trace!(severity = notice.severity(), "{}", notice.message());
            }
            Some(Ok(AsyncMessage::Notification(told))) => {
                if let Some(work) = &heard_by {
                    work.told(told.channel(), told.payload());
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                return tracing::debug!(error = says(&error), "a database connection ended");
            }
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libpqs_tls_words_are_understood() {
        let check = |address: &str, mode| {
            assert_eq!(Endpoint::parse(address).unwrap().mode, mode, "{address}");
        };
        check("postgres://u:p@db.example:6000/d", Mode::Prefer);
        check("postgres://u@db.example/d?sslmode=verify-full&connect_timeout=3", Mode::VerifyFull);
        check("host=db.example user=u sslmode=disable", Mode::Disable);
        assert!(Endpoint::parse("postgres://u@h/d?sslmode=maybe").is_err());
    }

    #[test]
    fn a_guests_address_names_one_host_and_nothing_of_this_machine() {
        for (address, good) in [
            ("postgres://u:p@db.example/d", true),
            ("host=db.example user=u password=p dbname=d", true),
            ("postgres://%2Fvar%2Frun%2Fpostgresql/d?user=u", false),
            ("host=/var/run/postgresql user=u", false),
            ("host=a,b user=u", false),
            ("host=a hostaddr=127.0.0.1 user=u", false),
            ("postgres://u@h/d?sslrootcert=/etc/shadow", false),
            ("host=a dbname=d", false),
            ("user=u", false),
        ] {
            assert_eq!(Endpoint::parse_untrusted(address).is_ok(), good, "{address}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let endpoint = Endpoint::parse("postgres://u:secret@h:1/d").unwrap();
        assert_eq!(format!("{endpoint:?} {}", endpoint.address()), "u@h:1/d h:1");
    }
}
