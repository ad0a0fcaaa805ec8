//! What all shards share: the configuration in the form that requests need it in.

use crate::config::{HttpConfig, HttpLimits};
use crate::cors::Cors;
use crate::own_paths::OwnPages;
use crate::peers::Peers;
use crate::principal::{Tenants, Verifier};
use crate::rate::RateLimiter;
use anyhow::Context as _;
use http::HeaderValue;
use http::uri::Authority;
use std::sync::Arc;

/// Everything about this host that does not change while it serves.
pub(crate) struct Plane {
    pub(crate) limits: HttpLimits,
    pub(crate) cors: Cors,
    pub(crate) rate: RateLimiter,
    pub(crate) peers: Arc<Peers>,
    pub(crate) tenants: Tenants,
    pub(crate) verifier: Option<Arc<dyn Verifier>>,
    pub(crate) pages: OwnPages,
    pub(crate) hsts: Option<HeaderValue>,
    /// For clients that name no host (HTTP/1.0).
    pub(crate) authority: Authority,
}

impl Plane {
    pub(crate) fn new(config: HttpConfig) -> anyhow::Result<Self> {
        let public = &config.public_url;
        let authority = public.authority().context("the public URL names no host")?.clone();
        let scheme = public.scheme_str().unwrap_or("http");
        let server = format!("{scheme}://{authority}");
        let hsts = config.hsts.map(|age| format!("max-age={}", age.as_secs()));
        let limits = config.limits;
        let (all, per_ip) = (limits.connections_max, limits.connections_per_ip_max);
        Ok(Self {
            cors: Cors::new(config.cors, public),
            rate: RateLimiter::new(&config.rate)?,
            peers: Arc::new(Peers::new(config.peers, all, per_ip)),
            tenants: Tenants::new(config.tenants, config.default_tenant),
            verifier: config.verifier,
            pages: OwnPages::new(server, config.default_tenant),
            hsts: hsts.map(HeaderValue::try_from).transpose()?,
            authority,
            limits,
        })
    }
}
