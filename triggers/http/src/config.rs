//! What an operator may decide about the data plane, with the reason for each default.
//! Refuses to know environment variables and files: whoever assembles the host reads those.

use crate::cors::CorsConfig;
use crate::identities::Identities;
use crate::listen::Inherited;
use crate::media::MediaOrigin;
use crate::peers::PeerConfig;
use crate::principal::Verifier;
use crate::rate::RateConfig;
use http::Uri;
use nexus_redis_link::Link;
use nexus_runtime::DEFAULT_TENANT;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Everything [`crate::HttpTrigger`] is made from.
pub struct HttpConfig {
    /// Cleartext listeners (HTTP/1.1, and HTTP/2 with prior knowledge). Port 0 picks a free one.
    pub listen: Vec<SocketAddr>,
    /// TLS listeners, if there are any.
    pub tls: Option<TlsConfig>,
    /// The origin under which clients know this host, e.g. `https://nexus.example`.
    pub public_url: Uri,
    pub limits: HttpLimits,
    pub cors: CorsConfig,
    pub rate: RateConfig,
    pub peers: PeerConfig,
    /// Host name (lower case, without port) to tenant; other names belong to `default_tenant`.
    pub tenants: HashMap<String, Uuid>,
    pub default_tenant: Uuid,
    /// Proves bearer tokens by keys of this host alone; the platform's are in `identities`.
    pub verifier: Option<Arc<dyn Verifier>>,
    /// The platform's keys, sessions, API keys and subjects. None where there is no database: then
    /// only tokens of `verifier` are credentials, and they carry their own permissions.
    pub identities: Option<Identities>,
    /// Where all hosts count requests together; None counts on this one.
    pub redis: Option<Link>,
    /// Sends finished media below `/media/`; None leaves the paths to components.
    pub media: Option<MediaOrigin>,
    /// Let another process listen on the same ports, for a restart without a gap. Off: a second
    /// host on the same port is an error and not half of the traffic.
    pub share_ports: bool,
    /// Listening sockets of the host before: used where they fit an address above, otherwise
    /// closed.
    pub inherited: Vec<Inherited>,
    /// `max-age` of `strict-transport-security` on answers over TLS; None sends none.
    pub hsts: Option<Duration>,
}

/// Listeners that speak TLS, and the operator's certificate.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    pub listen: Vec<SocketAddr>,
    /// PEM, leaf first.
    pub certificate: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// How often both files are compared with what is loaded.
    pub check_every: Duration,
}

/// What one client, one connection and one request may use.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Request line and header fields together, in bytes. Three times what browsers send with
    /// many cookies.
    pub head_bytes_max: usize,
    /// Header fields of one request.
    pub headers_max: usize,
    /// Request target, in bytes: what common proxies let through.
    pub url_bytes_max: usize,
    /// From the first byte of a head to its last; also from accept to the first request.
    pub head_timeout: Duration,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// Between two requests of a connection; a little more than common load balancers keep.
    pub keep_alive: Duration,
    /// How long a client may keep us waiting for a request body before its rate counts.
    pub body_grace: Duration,
    /// Bytes per second a request body must come with, after the grace. Slower is an attack or a
    /// dead link.
    pub body_rate_min: u32,
    /// How long a client may refuse to take a single byte of a response.
    pub write_stall: Duration,
    /// After a connection is given up: how long to read on, so that the answer is not lost to a
    /// reset.
    pub linger: Duration,
    /// Connections of this host; more are closed at once.
    pub connections_max: usize,
    /// Connections of one address (IPv6: one /64). Generous: a proxy or an office is one address.
    pub connections_per_ip_max: u32,
    /// HTTP/2 streams of one connection at once.
    pub streams_max: u32,
    /// HTTP/2 requests of one connection that the client may abandon in ten seconds.
    pub resets_max: u32,
    /// Between two HTTP/2 pings to a silent client, and the wait for its answer.
    pub ping_every: Duration,
    /// How long running requests may finish after shutdown was requested.
    pub drain: Duration,
    /// After shutdown was requested: how long a connection may still bring a request, which is
    /// answered with `connection: close`. Whoever sends one just then does not lose it.
    pub last_requests: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_bytes_max: 32 << 10,
            headers_max: 100,
            url_bytes_max: 8 << 10,
            head_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            body_grace: Duration::from_secs(30),
            body_rate_min: 500,
            write_stall: Duration::from_secs(60),
            linger: Duration::from_secs(2),
            connections_max: 16_384,
            connections_per_ip_max: 4_096,
            streams_max: 128,
            resets_max: 200,
            ping_every: Duration::from_secs(20),
            drain: Duration::from_secs(30),
            last_requests: Duration::from_millis(250),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            tls: None,
            public_url: Uri::from_static("http://localhost:8080"),
            limits: HttpLimits::default(),
            cors: CorsConfig::default(),
            rate: RateConfig::default(),
            peers: PeerConfig::default(),
            tenants: HashMap::new(),
            default_tenant: DEFAULT_TENANT,
            verifier: None,
            identities: None,
            redis: None,
            media: None,
            share_ports: false,
            inherited: Vec::new(),
            hsts: Some(Duration::from_secs(365 * 24 * 3600)),
        }
    }
}

impl TlsConfig {
    /// Listens on `listen` with the certificate and key in two PEM files, looked at every ten
    /// seconds.
    pub fn new(listen: SocketAddr, certificate: PathBuf, key: PathBuf) -> Self {
        Self { listen: vec![listen], certificate, key, check_every: Duration::from_secs(10) }
    }
}
