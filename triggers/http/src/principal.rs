//! Who is asking: the principal of a request, its header, and what a proven token says. Refuses to
//! know how a token is verified (that is a [`Verifier`]), where credentials stand in a request, and
//! what a principal may do.

use foldhash::fast::RandomState;
use http::HeaderValue;
use nexus_runtime::{Principal, PrincipalKind};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Proves bearer tokens. Called on the request's own thread: it computes and never waits.
pub trait Verifier: Send + Sync + 'static {
    /// Proves `token` at `now` (Unix seconds).
    fn verify(&self, token: &str, now: i64) -> Result<Proven, Unproven>;

    /// Changes when an earlier verdict may no longer hold: keys replaced, tokens revoked.
    fn epoch(&self) -> u64 {
        0
    }
}

/// What a valid token says.
#[derive(Debug, Clone)]
pub struct Proven {
    /// With the token's own permissions; without any, with the words of its scope.
    pub principal: Principal,
    /// Unix seconds from which on the token is worth nothing, leeway included.
    pub expires: i64,
    pub terms: Terms,
}

/// What a token says besides who it is about.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    pub jti: Option<String>,
    /// Unix seconds.
    pub issued_at: Option<i64>,
    /// What it may do at most; None is everything its subject may.
    pub scope: Option<Vec<String>>,
    /// Its permissions are in it, and its subject need not be known.
    pub carries_permissions: bool,
    /// Of the key that its holder must prove to have (RFC 9449 section 6.1).
    pub thumbprint: Option<String>,
}

/// Why a token is refused; the words go into the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    #[error("the token is malformed")]
    Malformed,
    #[error("no key of this host verifies the token")]
    UnknownKey,
    #[error("the signature does not match")]
    Signature,
    #[error("the token was issued by or for somebody else")]
    Audience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the claim {0} is missing or malformed")]
    Claim(&'static str),
}

/// A principal and its header, encoded once.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) principal: Arc<Principal>,
    pub(crate) header: HeaderValue,
}

impl Identity {
    pub(crate) fn new(principal: Principal) -> Self {
        let header = principal.to_header();
        Self { principal: Arc::new(principal), header }
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        self.principal.kind == PrincipalKind::Anonymous
    }
}

/// Nobody in particular, once per tenant; and which tenant a host name belongs to.
pub(crate) struct Tenants {
    by_host: HashMap<String, Uuid>,
    default: Uuid,
    anonymous: HashMap<Uuid, Identity, RandomState>,
}

impl Tenants {
    pub(crate) fn new(by_host: HashMap<String, Uuid>, default: Uuid) -> Self {
        let tenants = by_host.values().copied().chain([default]);
        let anonymous = tenants.map(|tenant| (tenant, Identity::new(Principal::anonymous(tenant))));
        let anonymous = anonymous.collect();
        Self { by_host, default, anonymous }
    }

    /// No host names a tenant.
    pub(crate) fn name_none(&self) -> bool {
        self.by_host.is_empty()
    }

    /// The tenant that `host` (without port) names explicitly.
    pub(crate) fn named(&self, host: &str) -> Option<Uuid> {
        self.by_host.get(&host.to_ascii_lowercase()).copied()
    }

    /// Nobody of `tenant`, or of the default one.
    pub(crate) fn anonymous(&self, tenant: Option<Uuid>) -> Option<&Identity> {
        self.anonymous.get(&tenant.unwrap_or(self.default))
    }
}

pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_decides_the_tenant_of_strangers() {
        let (brand, default) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let tenants = Tenants::new(HashMap::from([("brand.example".into(), brand)]), default);
        assert_eq!(tenants.named("Brand.Example"), Some(brand));
        assert_eq!(tenants.named("other.example"), None);
        let of = |tenant| tenants.anonymous(tenant).map(|nobody| nobody.principal.tenant);
        assert_eq!(of(Some(brand)), Some(brand));
        assert_eq!(of(None), Some(default));
        assert_eq!(of(Some(Uuid::nil())), None);
    }
}
