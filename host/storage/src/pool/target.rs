//! One login on one server, as the pool sees it: what connections are interchangeable, and whether
//! the server was away a moment ago. Refuses to count connections.

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::statement::Rules;
use crate::together::Together;
use crate::work::Work;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long a server that was away is taken to be away still. Each attempt costs it a process,
/// which a server that recovers from a crash has better uses for.
const AWAY: Duration = Duration::from_millis(100);

/// One login on one server.
pub struct Target {
    pub(super) key: Arc<str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) rules: Rules,
    /// Who is told when a transaction has made work.
    pub(crate) work: Option<Work>,
    pub(crate) together: Together,
    /// Since when the server does not answer, and why.
    away: Mutex<Option<(Instant, String)>>,
}

impl Target {
    /// `key` must tell this login and server from every other in the pool.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] when the endpoint's certificates are not usable.
    pub fn new(key: &str, endpoint: Endpoint, rules: Rules) -> Result<Arc<Self>, Error> {
        Self::with_work(key, endpoint, rules, None)
    }

    pub(crate) fn with_work(
        key: &str,
        endpoint: Endpoint,
        rules: Rules,
        work: Option<Work>,
    ) -> Result<Arc<Self>, Error> {
        let (key, endpoint) = (key.into(), endpoint.ready()?);
        let (together, away) = Default::default();
        Ok(Arc::new(Self { key, endpoint, rules, work, together, away }))
    }

    fn away(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.away.lock().expect("nothing panics while it is held")
    }

    pub(super) fn set_away(&self, reason: &str) {
        *self.away() = Some((Instant::now(), reason.to_owned()));
    }

    pub(super) fn check_away(&self) -> Result<(), Error> {
        match &*self.away() {
            Some((since, reason)) if since.elapsed() < AWAY => {
                Err(Error::Unreachable { address: self.endpoint.address(), reason: reason.clone() })
            }
            _ => Ok(()),
        }
    }
}
