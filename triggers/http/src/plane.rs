//! What all shards share: the configuration in the form that requests need it in.

use crate::config::{HttpConfig, HttpLimits};
use crate::cors::Cors;
use crate::dpop::Seen;
use crate::identities::Identities;
use crate::lifecycles::Lifecycles;
use crate::media::MediaOrigin;
use crate::own_paths::OwnPages;
use crate::peers::Peers;
use crate::principal::{Identity, Tenants, Verifier};
use crate::rate::RateLimiter;
use crate::shared::Shared;
use anyhow::Context as _;
use http::HeaderValue;
use http::uri::Authority;
use std::sync::Arc;
use uuid::Uuid;

/// Everything about this host that does not change while it serves.
pub(crate) struct Plane {
    pub(crate) limits: HttpLimits,
    pub(crate) cors: Cors,
    pub(crate) rate: RateLimiter,
    pub(crate) peers: Arc<Peers>,
    pub(crate) tenants: Tenants,
    pub(crate) verifier: Option<Arc<dyn Verifier>>,
    pub(crate) identities: Identities,
    /// There is a database behind `identities`.
    pub(crate) follows: bool,
    pub(crate) dpop_proofs: Seen,
    pub(crate) shared: Option<Shared>,
    pub(crate) pages: OwnPages,
    pub(crate) media: Option<MediaOrigin>,
    pub(crate) lifecycles: Lifecycles,
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
        let follows = config.identities.is_some();
        let identities = config.identities.unwrap_or_else(|| {
            Identities::new(&server, config.default_tenant, Identities::machine_clock())
        });
        let (all, per_ip) = (limits.connections_max, limits.connections_per_ip_max);
        Ok(Self {
            cors: Cors::new(config.cors, public),
            rate: RateLimiter::new(&config.rate)?,
            peers: Arc::new(Peers::new(config.peers, all, per_ip)),
            tenants: Tenants::new(config.tenants, config.default_tenant),
            verifier: config.verifier,
            identities,
            follows,
            dpop_proofs: Seen::new(),
            shared: config.redis.map(Shared::new),
            lifecycles: Lifecycles::new(server.clone(), config.default_tenant),
            pages: OwnPages::new(server, config.default_tenant),
            media: config.media,
            hsts: hsts.map(HeaderValue::try_from).transpose()?,
            authority,
            limits,
        })
    }

    /// The tenant that a host names; the operator's word counts first.
    pub(crate) fn named(&self, host: &Authority) -> Option<Uuid> {
        let brands = self.identities.0.brands();
        if self.tenants.name_none() && brands.name_none() {
            return None;
        }
        let host = host.host();
        self.tenants.named(host).or_else(|| brands.named(host))
    }

    /// Nobody in particular, at a host that names this tenant.
    pub(crate) fn anonymous(&self, named: Option<Uuid>) -> Identity {
        if let Some(nobody) = self.tenants.anonymous(named) {
            return nobody.clone();
        }
        let brands = self.identities.0.brands();
        let nobody = named.and_then(|tenant| brands.anonymous(tenant));
        let nobody = nobody.or_else(|| self.tenants.anonymous(None));
        nobody.expect("the default tenant has one").clone()
    }
}
