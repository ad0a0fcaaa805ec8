//! `spin:redis`: commands to Redis servers that the manifest names, and to this host's own store
//! under `redis://nexus.internal`, where each component sees only its own keys.
//!
//! Knows addresses, grants and who shares what; the own store is a [`Backend`]: [`Embedded`] (in
//! this process, gone with it) or [`OnServer`] (Redis 7). Refuses to hand out a connection whose
//! state one guest could change under another.

mod commands;
mod connection;
mod embedded;
mod grant;
mod host;
mod server;

pub use connection::Connection;
pub use embedded::{Clock, Embedded};
pub use nexus_redis_link::Reply;
pub use server::OnServer;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use grant::Grants;
use host::spin::redis::redis;
use nexus_redis_link::{Address, Endpoint, Link, LinkError, Reach, Repeat};
use nexus_runtime::{Capability, ComponentId, ComponentManifest, Denied, Has, Instance, Opening};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use wasmtime::component::Linker;

/// Bytes of all arguments of one command. What is larger is an object and belongs in a bucket.
pub const ARGUMENTS_BYTES_MAX: usize = 8 << 20;
/// Arguments of one command: what a page of writes needs, with room.
pub const ARGUMENTS_MAX: usize = 16_384;
/// Bytes of an address; longer ones are not meant for a connection.
const ADDRESS_BYTES_MAX: usize = 2048;
/// Connections one instance may hold open: eight for each call it serves at once, by default.
pub const OPEN_MAX: usize = 256;
/// Servers other than our own that one host talks to, each over one connection.
pub const SERVERS_MAX: usize = 64;

/// The host name under which components find this host's own store.
pub const OWN_HOST: &str = "nexus.internal";

/// Why a command or a connection failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
    #[error("not a Redis address: {0}")]
    Address(String),
    #[error(
        "component {component} may not reach {address}: \
         add \"{line}\" to allowed_outbound_hosts of [component.{component}]"
    )]
    Ungranted { component: String, address: String, line: String },
    #[error("{grant:?} in allowed_outbound_hosts of {component} cannot be read: {reason}")]
    Grant { component: String, grant: String, reason: String },
    #[error("this host already talks to {SERVERS_MAX} Redis servers")]
    TooManyServers,
    #[error("the command {command:?} is not offered here: {reason}")]
    NotOffered { command: String, reason: &'static str },
    #[error("a command takes {ARGUMENTS_MAX} arguments and {ARGUMENTS_BYTES_MAX} bytes at most")]
    TooLarge,
    /// The server's own code and words, e.g. `WRONGTYPE`.
    #[error("{code} {text}")]
    Refused { code: String, text: String },
    #[error("{0}")]
    Unavailable(String),
    /// The value is not what the asked-for type can hold.
    #[error("the value is not of the type asked for")]
    Type,
}

impl RedisError {
    pub(crate) fn refused(code: &str, text: impl Into<String>) -> Self {
        Self::Refused { code: code.into(), text: text.into() }
    }

    /// The value at the key has another type, or is not the number it should be.
    pub fn is_type_error(&self) -> bool {
        match self {
            Self::Type => true,
            Self::Refused { code, text } => {
                code == "WRONGTYPE" || text.starts_with("value is not an integer")
            }
            _ => false,
        }
    }
}

impl From<LinkError> for RedisError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Refused { code, text } => Self::Refused { code, text },
            LinkError::Address(reason) => Self::Address(reason),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// What is published to a channel, from the moment of asking on.
pub type Messages = BoxStream<'static, Bytes>;

/// Something that answers commands. Every backend passes the suite in `tests/conformance`.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Runs one command; its name comes first, in lower case.
    async fn run(&self, command: Vec<Bytes>, repeat: Repeat) -> Result<Reply, RedisError>;
    /// Listens to a channel.
    async fn subscribe(&self, channel: Bytes) -> Result<Messages, RedisError>;
}

/// Fills in a template such as `redis://{{ redis_host }}:6379` on behalf of a component; the
/// error's text says which variable is missing. The `variables` capability provides it.
pub type Resolve = Arc<dyn Fn(&ComponentId, &str) -> Result<String, String> + Send + Sync>;

/// The capability.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

struct Shared {
    own: Arc<dyn Backend>,
    resolve: Resolve,
    /// Carries the connections: guests are served by runtimes that may end before them.
    home: Handle,
    servers: Mutex<HashMap<(Address, Reach), Link>>,
}

impl Redis {
    /// `own` answers under `redis://nexus.internal`. Connections to other servers live on `home`.
    pub fn new(own: impl Backend, resolve: Resolve, home: Handle) -> Self {
        let servers = Mutex::default();
        Self(Arc::new(Shared { own: Arc::new(own), resolve, home, servers }))
    }

    /// Opens an address on behalf of a component.
    ///
    /// # Errors
    ///
    /// [`RedisError::Address`], [`RedisError::Ungranted`], [`RedisError::Grant`],
    /// [`RedisError::TooManyServers`], and [`RedisError::Unavailable`] when the server does not
    /// answer.
    pub async fn connect(
        &self,
        component: &ComponentManifest,
        address: &str,
    ) -> Result<Connection, RedisError> {
        if address.len() > ADDRESS_BYTES_MAX {
            let reason = format!("it has more than {ADDRESS_BYTES_MAX} bytes");
            return Err(RedisError::Address(reason));
        }
        let grants = self.grants(component)?;
        if let Some(path) = own_path(address) {
            return self.connect_own(component, &grants, path);
        }
        let address = Address::parse(address)?;
        // The same host, spelled otherwise: never a name to ask the network about.
        if matches!(&address.endpoint, Endpoint::Tcp { host, .. } if host == OWN_HOST) {
            return self.connect_own(component, &grants, "");
        }
        let reach = grants
            .reach_of(&address)
            .ok_or_else(|| ungranted(component, grant::line(&address), ""))?;
        let link = self.link(address, reach)?;
        link.ready().await?;
        Ok(Connection::to_server(OnServer::over(link)))
    }

    fn connect_own(
        &self,
        component: &ComponentManifest,
        grants: &Grants,
        path: &str,
    ) -> Result<Connection, RedisError> {
        let granted = grants.reach(OWN_HOST, 6379, false).is_some();
        if granted && (path.is_empty() || path == component.id.as_str()) {
            return Ok(Connection::to_own(self.0.own.clone(), &component.id));
        }
        Err(ungranted(component, format!("redis://{OWN_HOST}"), path))
    }

    /// What components publish under `redis://nexus.internal`, by the publisher's name.
    ///
    /// # Errors
    ///
    /// [`RedisError::Unavailable`].
    pub async fn subscribe(
        &self,
        component: &ComponentId,
        channel: &str,
    ) -> Result<Messages, RedisError> {
        let name = connection::prefixed(&connection::prefix(component), channel.as_bytes());
        self.0.own.subscribe(name).await
    }

    fn grants(&self, component: &ComponentManifest) -> Result<Grants, RedisError> {
        Grants::read(component, &*self.0.resolve)
    }

    /// The one connection to a server; forgotten when nobody uses it and the place is needed.
    fn link(&self, address: Address, reach: Reach) -> Result<Link, RedisError> {
        let mut servers = self.0.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address, reach);
        if let Some(link) = servers.get(&key) {
            return Ok(link.clone());
        }
        if servers.len() >= SERVERS_MAX {
            servers.retain(|_, link| !link.is_unused());
        }
        if servers.len() >= SERVERS_MAX {
            return Err(RedisError::TooManyServers);
        }
        let link = Link::new(key.0.clone(), reach, self.0.home.clone());
        servers.insert(key, link.clone());
        Ok(link)
    }
}

/// The path of an address of our own store; none for every other address.
fn own_path(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("redis://")?.strip_prefix(OWN_HOST)?;
    let rest = rest.strip_prefix(":6379").unwrap_or(rest);
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/'))
}

fn ungranted(component: &ComponentManifest, line: String, path: &str) -> RedisError {
    let slash = if path.is_empty() { "" } else { "/" };
    RedisError::Ungranted {
        component: component.id.to_string(),
        address: format!("{line}{slash}{path}"),
        line,
    }
}

/// What an instance keeps: the capability, and a place for each connection it may hold open.
pub struct State {
    redis: Redis,
    places: Arc<Semaphore>,
}

impl Capability for Redis {
    const NAME: &'static str = "redis";
    const INTERFACES: &'static [&'static str] = &["spin:redis/"];
    type State = State;

    fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
        redis::add_to_linker::<Instance, Has<Self>>(linker, Instance::view::<Self>)
    }

    fn admit(&self, component: &ComponentManifest) -> Result<(), Denied> {
        let line = match self.grants(component) {
            Ok(grants) if !grants.is_empty() => return Ok(()),
            Ok(_) => format!("allowed_outbound_hosts = [\"redis://{OWN_HOST}\"]"),
            Err(error) => {
                tracing::error!(%error, "a grant cannot be read");
                format!("allowed_outbound_hosts = [..] that can be read ({error})")
            }
        };
        let component = component.id.to_string();
        Err(Denied { component, interface: "spin:redis/redis", line })
    }

    fn open(&self, _opening: &Opening<'_>) -> Self::State {
        State { redis: self.clone(), places: Arc::new(Semaphore::new(OPEN_MAX)) }
    }
}
