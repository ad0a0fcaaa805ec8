//! What one revision of a component may do outside, and how much of it is under way.
//! Refuses to know how requests travel.

use crate::error::OutboundError;
use crate::grants::{Grants, Variables};
use nexus_runtime::{
    Call, CallError, ComponentId, ComponentManifest, Request, Response, WeakRuntime,
};
use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Refusals of one revision that are logged as warnings; repeated ones, and more than this, are
/// not, so that a guest cannot flood the log.
const REFUSALS_WARNED_MAX: usize = 64;

/// Names one revision may be asking for at once, including those it no longer waits for: a slow
/// name server must not use up the threads that all components resolve on.
const LOOKUPS_MAX: usize = 8;

/// A call to another component of this host.
pub type ComponentCall =
    Pin<Box<dyn Future<Output = Result<Response, CallError>> + Send + 'static>>;

/// How other components are called.
pub type Components = dyn Fn(ComponentId, Request, Call) -> ComponentCall + Send + Sync;

/// One component's way out. All instances of a revision share one.
pub struct Egress {
    /// Tells the connections of this revision from those of others.
    pub(crate) id: u64,
    pub(crate) manifest: Arc<ComponentManifest>,
    pub(crate) grants: Grants,
    pub(crate) components: Arc<Components>,
    pub(crate) lookups: Arc<Semaphore>,
    exchanges: Arc<Semaphore>,
    exchanges_max: usize,
    warned: Mutex<HashSet<String>>,
}

impl Egress {
    /// Reads the grants of a manifest.
    ///
    /// # Errors
    /// [`OutboundError::Grant`] when a line is malformed or names an unknown variable.
    pub fn new(
        manifest: Arc<ComponentManifest>,
        variables: &Variables,
        exchanges_max: usize,
        components: Arc<Components>,
    ) -> Result<Self, OutboundError> {
        let grants = Grants::parse(&manifest.allowed_outbound_hosts, variables)?;
        Ok(Self::with_grants(manifest, grants, exchanges_max, components))
    }

    /// As [`Egress::new`] for a manifest whose lines cannot be read: nothing is granted.
    pub(crate) fn without_grants(
        manifest: Arc<ComponentManifest>,
        exchanges_max: usize,
        components: Arc<Components>,
    ) -> Self {
        Self::with_grants(manifest, Grants::default(), exchanges_max, components)
    }

    fn with_grants(
        manifest: Arc<ComponentManifest>,
        grants: Grants,
        exchanges_max: usize,
        components: Arc<Components>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            manifest,
            grants,
            components,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            exchanges: Arc::new(Semaphore::new(exchanges_max)),
            exchanges_max,
            warned: Mutex::default(),
        }
    }

    pub(crate) fn component(&self) -> &ComponentId {
        &self.manifest.id
    }

    /// Counts a request against the call it is made for.
    pub(crate) fn count(&self, call: Option<&Call>) -> Result<(), OutboundError> {
        let max = self.manifest.limits.outbound_max;
        match call {
            Some(call) if !call.count_outbound(max) => {
                Err(OutboundError::TooManyRequests { component: self.component().clone(), max })
            }
            _ => Ok(()),
        }
    }

    /// Takes one of the component's exchanges.
    pub(crate) fn begin(&self) -> Result<OwnedSemaphorePermit, OutboundError> {
        let too_many = |_none_free| OutboundError::TooManyAtOnce {
            component: self.component().clone(),
            max: self.exchanges_max,
        };
        self.exchanges.clone().try_acquire_owned().map_err(too_many)
    }

    /// The refusal of a place no line grants.
    pub(crate) fn not_granted(&self, destination: String) -> OutboundError {
        let line = self.grants.line_with(&destination);
        OutboundError::NotGranted { component: self.component().clone(), destination, line }
    }

    /// Says a refusal aloud: the first time as a warning.
    pub(crate) fn report(&self, refusal: &OutboundError) {
        let component = self.component();
        let message = refusal.to_string();
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let first = warned.len() < REFUSALS_WARNED_MAX && warned.insert(message.clone());
        if first {
            tracing::warn!(%component, "{message}");
        } else {
            tracing::debug!(%component, "{message}");
        }
    }
}

/// The components of a running host. When it is gone, so are they.
pub(crate) fn components_of(runtime: &WeakRuntime) -> Arc<Components> {
    let runtime = runtime.clone();
    Arc::new(move |component, request, call| {
        let runtime = runtime.clone();
        Box::pin(async move {
            let runtime = runtime.upgrade().ok_or(CallError::ShuttingDown)?;
            runtime.call(&component, request, call).await
        })
    })
}
