//! What the assembly decides about outbound HTTP: numbers with their reasons, where names and
//! variables come from, which authorities are trusted.

use crate::connect::{Resolve, SystemResolver};
use crate::grants::Variables;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Settings of the capability; the same for all components.
#[derive(Clone)]
pub struct Config {
    /// Values of application variables, for `{{ name }}` in `allowed_outbound_hosts`.
    pub variables: Arc<Variables>,
    /// Where addresses of names come from.
    pub resolver: Arc<dyn Resolve>,
    /// PEM file of certificate authorities trusted beside the machine's own.
    pub ca_file: Option<PathBuf>,
    /// Where requests to `self` go.
    pub front_door: FrontDoor,
    pub bounds: Bounds,
}

impl Default for Config {
    /// No variables, the machine's resolver and authorities, no front door.
    fn default() -> Self {
        Self {
            variables: Arc::new(|_| None),
            resolver: Arc::new(SystemResolver),
            ca_file: None,
            front_door: FrontDoor::default(),
            bounds: Bounds::default(),
        }
    }
}

/// Numbers that keep one component, and one hostile server, from using up the host.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Waiting for a slot, a name, a connection and TLS together; a guest may ask for another
    /// time up to `connect_max`. Ten seconds outlast a lost SYN and its two retries.
    pub connect: Duration,
    pub connect_max: Duration,
    /// From the last byte of the request taken to the head of the response. As long as a
    /// component's own `stream_idle_ms`.
    pub first_byte: Duration,
    pub first_byte_max: Duration,
    /// Between two pieces of the response.
    pub between_bytes: Duration,
    /// Also how long a guest may leave its request body silent.
    pub between_bytes_max: Duration,
    /// Unused connections are closed after this: earlier than common servers close them (60 s),
    /// so that few requests meet a closing connection.
    pub idle: Duration,
    /// Unused connections kept per destination, and in all, on one shard.
    pub idle_per_host_max: usize,
    pub idle_max: usize,
    /// Requests under way per destination and component, and in all, on one shard; more wait.
    pub exchanges_per_host_max: usize,
    pub exchanges_max: usize,
    /// Requests one component may have under way in this process; more are refused.
    pub exchanges_per_component_max: usize,
    /// Request line and headers. Servers commonly stop at 8 to 64 KiB.
    pub uri_bytes_max: usize,
    pub request_head_bytes_max: usize,
    /// Response headers and trailers, each.
    pub response_head_bytes_max: usize,
    /// Response body. It is streamed, so this bounds time and traffic, not memory.
    pub response_body_bytes_max: u64,
    /// Reply of a component to one that asks in one call: it is gathered in memory.
    pub reply_bytes_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            connect_max: Duration::from_secs(60),
            first_byte: Duration::from_secs(60),
            first_byte_max: Duration::from_secs(600),
            between_bytes: Duration::from_secs(60),
            between_bytes_max: Duration::from_secs(600),
            idle: Duration::from_secs(30),
            idle_per_host_max: 16,
            idle_max: 256,
            exchanges_per_host_max: 64,
            exchanges_max: 1024,
            exchanges_per_component_max: 256,
            uri_bytes_max: 16 << 10,
            request_head_bytes_max: 64 << 10,
            response_head_bytes_max: 64 << 10,
            response_body_bytes_max: 1 << 30,
            reply_bytes_max: 16 << 20,
        }
    }
}

/// The address at which this host listens for clients, told once it is known. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct FrontDoor(Arc<OnceLock<SocketAddr>>);

impl FrontDoor {
    /// Says where the HTTP trigger listens in cleartext. The first call counts.
    pub fn opened_at(&self, address: SocketAddr) {
        self.0.get_or_init(|| reachable(address));
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.0.get().copied()
    }
}

/// A listener on all addresses is reached by loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
