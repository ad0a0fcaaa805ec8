//! Connections to servers of the components' own choice: a small pool for each component, so that
//! one component's hosts are no other's trouble. Refuses to know what was granted.

use crate::grant::{Reach, is_public};
use nexus_runtime::ComponentId;
use nexus_storage::{Endpoint, Error, Pool, PoolLimits, Rules, Session, Target};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// Connections of one component to all servers it names.
const CONNECTIONS_MAX: usize = 8;

/// What a component does with its own server is bounded by its own time; this is for what is left
/// behind.
const HELD_MAX: Duration = Duration::from_secs(3600);

/// Addresses remembered per component; a guest that makes up more starts anew.
const ADDRESSES_MAX: usize = 16;

pub(crate) struct Outside {
    home: Handle,
    components: Mutex<HashMap<ComponentId, Arc<Servers>>>,
}

struct Servers {
    pool: Pool,
    targets: Mutex<HashMap<String, Arc<Target>>>,
}

impl Outside {
    pub(crate) fn new(home: Handle) -> Self {
        Self { home, components: Mutex::default() }
    }

    pub(crate) async fn connect(
        &self,
        component: &ComponentId,
        endpoint: Endpoint,
        address: &str,
        root: Option<&str>,
        reach: Reach,
    ) -> Result<Session, Error> {
        let servers = self.servers(component);
        let target = servers.target(endpoint, address, root, reach)?;
        servers.pool.acquire(&target).await
    }

    fn servers(&self, component: &ComponentId) -> Arc<Servers> {
        let mut components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let _inside = self.home.enter();
            let limits = PoolLimits {
                connections_max: CONNECTIONS_MAX,
                per_target_max: CONNECTIONS_MAX,
                idle: Duration::from_secs(30),
                in_transaction: HELD_MAX,
                running: HELD_MAX,
                ..PoolLimits::default()
            };
            Arc::new(Servers { pool: Pool::new(limits), targets: Mutex::default() })
        };
        components.entry(component.clone()).or_insert_with(make).clone()
    }
}

impl Servers {
    /// What is checked when a connection is opened is part of the target, and so is everything
    /// that tells two of them apart.
    fn target(
        &self,
        endpoint: Endpoint,
        address: &str,
        root: Option<&str>,
        reach: Reach,
    ) -> Result<Arc<Target>, Error> {
        let key = format!("{reach:?}\0{address}\0{}", root.unwrap_or_default());
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = targets.get(&key) {
            return Ok(target.clone());
        }
        let mut endpoint = endpoint;
        if let Some(root) = root {
            // Who hands over a certificate wants the server to be checked against it.
            endpoint = endpoint.with_roots(root.as_bytes())?.verified();
        }
        if reach == Reach::Public {
            endpoint = endpoint.only_where(Arc::new(is_public));
        }
        let target = Target::new(&key, endpoint, Rules::Outside)?;
        if targets.len() >= ADDRESSES_MAX {
            targets.clear();
        }
        targets.insert(key, target.clone());
        Ok(target)
    }
}
