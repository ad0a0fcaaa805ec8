//! Hosts that follow a platform.

use crate::host::Host;
use crate::platform::Platform;
use std::ops::Deref;
use tokio::task::JoinHandle;
use trigger_http::HttpConfig;

/// A host, and what keeps it up to date.
pub struct Following {
    host: Host,
    follower: JoinHandle<()>,
}

impl Deref for Following {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Following {
    pub async fn stop(self) {
        self.follower.abort();
        self.host.stop().await;
    }
}

impl Platform {
    pub async fn host(&self) -> Following {
        self.host_with(|_| {}).await
    }

    pub async fn host_with(&self, more: impl FnOnce(&mut HttpConfig)) -> Following {
        let (identities, follower) = self.identities().await;
        let host = Host::with(|config| {
            config.identities = Some(identities);
            more(config);
        });
        Following { host, follower }
    }
}
