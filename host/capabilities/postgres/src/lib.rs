//! `spin:postgres` and `nexus:sql`: SQL for components. Under
//! `postgres://nexus.internal/<component>` each finds its own schema of this host's database,
//! logged in as its own role; other servers need a line in the manifest.
//!
//! Knows addresses, grants and the shape of values. Refuses to know how connections are pooled,
//! cleaned and bounded; that is `nexus-storage`'s.

mod calendar;
mod decimal;
mod decode;
mod encode;
mod error;
mod grant;
mod host;
mod outside;
mod places;
mod rows;
mod sends;
mod text;

pub use decode::Malformed;
pub use error::PostgresError;
pub use places::State;

use grant::Grants;
use host::nexus::sql::statements;
use host::spin::postgres::postgres;
use nexus_runtime::{Capability, ComponentId, ComponentManifest, Denied, Has, Instance, Opening};
use nexus_storage::{Database, Endpoint, Reading, Session};
use outside::Outside;
use std::sync::Arc;
use tokio::runtime::Handle;
use wasmtime::component::Linker;

/// The host name under which components find this host's own database.
pub const OWN_HOST: &str = "nexus.internal";

/// Connections one instance may hold at once, results that are still being read included. What
/// serves many calls at once takes turns; a call that needs more than a few is wrong.
pub const OPEN_MAX: usize = 8;

/// Fills in a template such as `postgres://{{ pg_host }}:5432` on behalf of a component; the
/// error's text says which variable is missing. The `variables` capability provides it.
pub type Resolve = Arc<dyn Fn(&ComponentId, &str) -> Result<String, String> + Send + Sync>;

/// The capability.
#[derive(Clone)]
pub struct Postgres(Arc<Shared>);

struct Shared {
    own: Option<Database>,
    resolve: Resolve,
    outside: Outside,
}

impl Postgres {
    /// `own` answers under `postgres://nexus.internal`, if this host has a database. Other
    /// servers' connections are kept in order on `home`, which outlives every instance.
    pub fn new(own: Option<Database>, resolve: Resolve, home: Handle) -> Self {
        Self(Arc::new(Shared { own, resolve, outside: Outside::new(home) }))
    }

    /// Opens an address on behalf of a component; `root` is a certificate to trust, as PEM.
    ///
    /// # Errors
    ///
    /// [`PostgresError`] for what the address or the manifest does not allow, and in
    /// [`PostgresError::Storage`] what the server or the pool says.
    pub async fn connect(
        &self,
        component: &ComponentManifest,
        address: &str,
        root: Option<&str>,
    ) -> Result<Session, PostgresError> {
        if let Some(service) = own_service(address) {
            return self.connect_own(component, service).await;
        }
        let endpoint = Endpoint::parse_untrusted(address)?;
        let (name, port) = endpoint.host_and_port();
        let reach = Grants::read(component, &self.0.resolve)?.reach(&name, port);
        let reach = reach.ok_or_else(|| PostgresError::Ungranted {
            component: component.id.to_string(),
            address: format!("{name}:{port}"),
        })?;
        let pool = &self.0.outside;
        Ok(pool.connect(&component.id, endpoint, address, root, reach).await?)
    }

    async fn connect_own(
        &self,
        component: &ComponentManifest,
        service: &str,
    ) -> Result<Session, PostgresError> {
        Ok(self.own(component, service)?.service(service).await?)
    }

    /// A connection for one statement to the component's own schema, `service`.
    pub(crate) async fn reading<'s>(
        &self,
        component: &ComponentManifest,
        service: &str,
        sql: &'s str,
    ) -> Result<Reading<'s>, PostgresError> {
        Ok(self.own(component, service)?.reading(service, sql).await?)
    }

    /// The host's own database, where the component may go in it.
    fn own(
        &self,
        component: &ComponentManifest,
        service: &str,
    ) -> Result<&Database, PostgresError> {
        let own = component.id.as_str();
        if service != own {
            return Err(PostgresError::Foreign { component: own.into(), service: service.into() });
        }
        self.0.own.as_ref().ok_or(PostgresError::NoDatabase)
    }
}

/// The service in an address of our own database; none for every other address.
fn own_service(address: &str) -> Option<&str> {
    let rest = ["postgres://", "postgresql://"].iter().find_map(|s| address.strip_prefix(s))?;
    // A login in the address is ignored: the host knows who asks.
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.strip_prefix(OWN_HOST)?;
    let rest = rest.strip_prefix(":5432").unwrap_or(rest);
    let path = rest.split_once('?').map_or(rest, |(path, _)| path);
    (path.is_empty() || path.starts_with('/')).then(|| path.trim_matches('/'))
}

impl Capability for Postgres {
    const NAME: &'static str = "postgres";
    const INTERFACES: &'static [&'static str] = &["nexus:sql/", "spin:postgres/"];
    type State = State;

    fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
        postgres::add_to_linker::<Instance, Has<Self>>(linker, Instance::view::<Self>)?;
        statements::add_to_linker::<Instance, Has<Self>>(linker, Instance::view::<Self>)
    }

    /// The own database is always granted; without one, there must be another to go to.
    fn admit(&self, component: &ComponentManifest) -> Result<(), Denied> {
        let line = match Grants::read(component, &self.0.resolve) {
            Ok(grants) if self.0.own.is_some() || !grants.is_empty() => return Ok(()),
            Ok(_) => "allowed_outbound_hosts = [\"postgres://db.example.com:5432\"]".to_owned(),
            Err(error) => {
                tracing::error!(component = %component.id, %error, "a grant cannot be read");
                format!("allowed_outbound_hosts = [..] that can be read ({error})")
            }
        };
        let component = component.id.to_string();
        Err(Denied { component, interface: "spin:postgres/postgres", line })
    }

    fn open(&self, _opening: &Opening<'_>) -> Self::State {
        State::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
