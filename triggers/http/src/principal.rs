//! Who is asking: turns the credentials of a request into a principal, or says why not. What was
//! proven once is remembered until it expires. Refuses to know how a token is verified (that is a
//! [`Verifier`]) and what a principal may do.

use crate::generations::Generations;
use crate::problems;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use nexus_runtime::{Principal, PrincipalKind, Problem};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Proves bearer tokens. Called on the request's own thread: it computes and never waits. One
/// that needs the network fetches keys in the background and counts [`Verifier::epoch`] up.
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
    pub principal: Principal,
    /// Unix seconds from which on the token is worth nothing, leeway included.
    pub expires: i64,
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
    fn new(principal: Principal) -> Self {
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
    anonymous: HashMap<Uuid, Identity>,
}

impl Tenants {
    pub(crate) fn new(by_host: HashMap<String, Uuid>, default: Uuid) -> Self {
        let tenants = by_host.values().copied().chain([default]);
        let anonymous = tenants.map(|tenant| (tenant, Identity::new(Principal::anonymous(tenant))));
        let anonymous = anonymous.collect();
        Self { by_host, default, anonymous }
    }

    /// The tenant that `host` (without port) names explicitly.
    fn named(&self, host: &str) -> Option<Uuid> {
        if self.by_host.is_empty() {
            return None;
        }
        self.by_host.get(&host.to_ascii_lowercase()).copied()
    }

    pub(crate) fn anonymous(&self, host: &str) -> &Identity {
        let tenant = self.named(host).unwrap_or(self.default);
        self.anonymous.get(&tenant).expect("every tenant of the configuration has one")
    }
}

/// Tokens that one shard has verified. Keyed by digest: a dump of memory holds no tokens.
pub(crate) struct Proofs {
    known: Generations<[u8; 32], (Identity, i64)>,
    epoch: u64,
}

/// Verified tokens one shard remembers, in halves: enough for every user active in an hour.
const PROOFS_HALF: usize = 4096;
/// Longer tokens are refused unseen; real ones stay below 2 KiB.
const TOKEN_BYTES_MAX: usize = 8 << 10;

impl Proofs {
    pub(crate) fn new() -> Self {
        Self { known: Generations::new(PROOFS_HALF), epoch: 0 }
    }

    /// What was proven before and still holds.
    pub(crate) fn recall(&mut self, digest: &[u8; 32], epoch: u64, now: i64) -> Option<Identity> {
        if self.epoch != epoch {
            self.known.clear();
            self.epoch = epoch;
        }
        let (identity, expires) = self.known.get_mut(digest)?;
        (now < *expires).then(|| identity.clone())
    }

    pub(crate) fn remember(&mut self, digest: [u8; 32], proven: Proven) -> Identity {
        let identity = Identity::new(proven.principal);
        self.known.insert(digest, (identity.clone(), proven.expires));
        identity
    }
}

pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The credential a request carries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credential<'a> {
    None,
    Bearer(&'a str),
    ApiKey,
}

/// Reads the credential; other schemes than `Bearer` are the component's own affair.
pub(crate) fn credential(headers: &HeaderMap) -> Result<Credential<'_>, Problem> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let first = sent.next();
    if sent.next().is_some() {
        return Err(problems::INVALID_TOKEN.detail("authorization is repeated"));
    }
    if headers.contains_key("x-api-key") {
        return Ok(Credential::ApiKey);
    }
    let Some(value) = first else {
        return Ok(Credential::None);
    };
    let value = value.to_str().unwrap_or_default();
    let Some((scheme, token)) = value.split_once(' ') else {
        return Ok(Credential::None);
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Credential::None);
    }
    let token = token.trim_matches(' ');
    // API keys may also come as bearer; their prefix tells them from a JWT.
    if token.starts_with("nx_") {
        return Ok(Credential::ApiKey);
    }
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
        return Err(problems::INVALID_TOKEN.detail(Unproven::Malformed.to_string()));
    }
    Ok(Credential::Bearer(token))
}

/// A token of one tenant is nobody at a host that names another.
pub(crate) fn check_tenant(
    tenants: &Tenants,
    host: &str,
    identity: Identity,
) -> Result<Identity, Problem> {
    match tenants.named(host) {
        Some(tenant) if tenant != identity.principal.tenant => {
            Err(problems::INVALID_TOKEN.detail("the token belongs to another tenant"))
        }
        _ => Ok(identity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
    }

    #[test]
    fn only_bearer_tokens_and_api_keys_are_credentials() {
        for (name, value, credential_read) in [
            ("accept", "*/*", Credential::None),
            ("authorization", "Basic abc", Credential::None),
            ("authorization", "Bearer a.b.c", Credential::Bearer("a.b.c")),
            ("authorization", "bearer  a.b.c ", Credential::Bearer("a.b.c")),
            ("authorization", "Bearer nx_live_1_2", Credential::ApiKey),
            ("x-api-key", "nx_live_1_2", Credential::ApiKey),
        ] {
            assert_eq!(credential(&with(name, value)).unwrap(), credential_read, "{value}");
        }
    }

    #[test]
    fn a_remembered_proof_ends_with_its_token_and_with_its_epoch() {
        let mut proofs = Proofs::new();
        let tenant = Uuid::from_u128(1);
        let proven = Proven { principal: Principal::anonymous(tenant), expires: 100 };
        let key = digest("token");
        proofs.remember(key, proven);
        assert!(proofs.recall(&key, 0, 99).is_some());
        assert!(proofs.recall(&key, 0, 100).is_none());
        assert!(proofs.recall(&key, 1, 99).is_none());
    }

    #[test]
    fn a_host_name_decides_the_tenant_of_strangers() {
        let (brand, default) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let tenants = Tenants::new(HashMap::from([("brand.example".into(), brand)]), default);
        assert_eq!(tenants.anonymous("Brand.Example").principal.tenant, brand);
        assert_eq!(tenants.anonymous("other.example").principal.tenant, default);
        let of_default = tenants.anonymous("other.example").clone();
        assert!(check_tenant(&tenants, "brand.example", of_default.clone()).is_err());
        assert!(check_tenant(&tenants, "other.example", of_default).is_ok());
    }
}
