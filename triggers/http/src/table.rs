//! What one generation of the backend means for routing: patterns, limits, rate classes and
//! counters, worked out once and then only read.

use crate::backend::View;
use crate::lifecycles::CONTROL_PLANE;
use crate::metrics::{ShardMetrics, Traffic};
use crate::rate::{ClassIndex, DEFAULT_CLASS, RateLimiter};
use crate::router::{Matched, Router};
use crate::spin_headers::{RouteHeaders, Told};
use nexus_runtime::{ComponentId, ComponentManifest, HttpRoute, Limits};
use std::collections::HashMap;
use std::sync::Arc;

/// The routing table of one shard at one generation.
pub(crate) struct Table {
    /// None before the first one is made.
    pub(crate) generation: Option<u64>,
    pub(crate) application: String,
    pub(crate) version: String,
    /// By name: all that are active, and all that are not.
    pub(crate) active: Vec<ComponentId>,
    pub(crate) inactive: Vec<ComponentId>,
    /// The component that knows which API versions end, where it is active.
    pub(crate) control_plane: Option<ComponentId>,
    router: Router,
    entries: Vec<Entry>,
}

/// One route and what is needed to call what is behind it.
pub(crate) struct Entry {
    pub(crate) component: ComponentId,
    pub(crate) headers: RouteHeaders,
    /// Bytes a request body may have.
    pub(crate) body_max: u64,
    pub(crate) rate: Option<ClassIndex>,
    pub(crate) traffic: Arc<Traffic>,
    /// The route `/...`: whatever nobody else claims.
    pub(crate) takes_rest: bool,
}

impl Table {
    /// Stands in until the first request asks for a generation.
    pub(crate) fn empty() -> Self {
        Self {
            generation: None,
            application: String::new(),
            version: String::new(),
            active: Vec::new(),
            inactive: Vec::new(),
            control_plane: None,
            router: Router::default(),
            entries: Vec::new(),
        }
    }

    /// Routes that cannot be read are left out and logged: the others must not suffer.
    pub(crate) fn new(view: View, rate: &RateLimiter, metrics: &ShardMetrics) -> Self {
        let mut table = Self::empty();
        table.generation = Some(view.generation);
        table.application = view.application;
        table.version = view.version;
        let manifests: HashMap<_, _> = view
            .components
            .iter()
            .filter_map(|(id, state)| Some((id, state.as_ref().ok()?)))
            .collect();
        for route in &view.routes {
            let manifest = manifests.get(&route.component).copied();
            let told = match view.native.contains(&route.component) {
                true => Told::Asked,
                false => Told::All,
            };
            table.add(route, told, manifest, rate, metrics);
        }
        let (active, inactive) = view.components.iter().partition::<Vec<_>, _>(|c| c.1.is_ok());
        table.active = active.into_iter().map(|(id, _)| id.clone()).collect();
        table.inactive = inactive.into_iter().map(|(id, _)| id.clone()).collect();
        let named = |id: &&ComponentId| id.as_str() == CONTROL_PLANE;
        table.control_plane = table.active.iter().find(named).cloned();
        table
    }

    fn add(
        &mut self,
        route: &HttpRoute,
        told: Told,
        manifest: Option<&Arc<ComponentManifest>>,
        rate: &RateLimiter,
        metrics: &ShardMetrics,
    ) {
        let Some(pattern) = &route.pattern else {
            return;
        };
        let (component, index) = (&route.component, self.entries.len());
        let names = match self.router.add(pattern, index) {
            Ok((names, None)) => names,
            Ok((names, Some(before))) => {
                let replaced = &self.entries[before].component;
                tracing::warn!(%pattern, %component, %replaced, "the route is claimed twice");
                names
            }
            Err(error) => {
                tracing::error!(%pattern, %component, %error, "the route cannot be read");
                return;
            }
        };
        // The router already holds the index, so the entry must come, even without its fields.
        let headers = RouteHeaders::new(pattern, &names, told)
            .unwrap_or_else(|| RouteHeaders::new("/...", &[], told).expect("plain ASCII"));
        let default_body_max = || Limits::default().body_in_bytes;
        self.entries.push(Entry {
            component: component.clone(),
            headers,
            body_max: manifest.map_or_else(default_body_max, |m| m.limits.body_in_bytes),
            rate: manifest.and_then(|m| m.rate.as_deref()).and_then(|name| class(rate, name)),
            traffic: metrics.traffic(component.as_str()),
            takes_rest: matches!(pattern.as_str(), "/..." | "/*"),
        });
    }

    pub(crate) fn find<'a>(&self, path: &'a str) -> Option<(&Entry, Matched<'a>)> {
        let matched = self.router.find(path)?;
        Some((&self.entries[matched.index], matched))
    }
}

/// A class that nobody defined must not mean "no limit": the default one stands in.
fn class(rate: &RateLimiter, name: &str) -> Option<ClassIndex> {
    rate.class(name).or_else(|| {
        tracing::warn!(class = name, "no such rate class: using {DEFAULT_CLASS:?}");
        rate.class(DEFAULT_CLASS)
    })
}
