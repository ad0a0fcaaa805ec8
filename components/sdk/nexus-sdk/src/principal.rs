//! Who is asking: the `nexus-principal` header and what it permits.
//!
//! Knows the header's shape and how a permission covers another. Refuses to verify anything:
//! the host checked the credential, set the header and stripped every other copy of it.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::field;
use crate::id::TenantId;
use crate::problem::Failure;

/// The one who asks, as the host proved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Stable name of the user, key or service; empty for nobody.
    pub subject: String,
    /// What kind of credential was proven.
    pub kind: Kind,
    /// The tenant of the host name or of the token.
    pub tenant: TenantId,
    /// The organisation acted for, if any.
    #[serde(default)]
    pub organisation: Option<String>,
    /// What is allowed: `catalog:view`, `catalog:*` or `*`.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// The session behind a cookie or token, if any.
    #[serde(default)]
    pub session: Option<String>,
    /// When the user last proved who they are, in Unix seconds.
    #[serde(default)]
    pub auth_time: Option<i64>,
    /// How strongly (OpenID Connect `acr`).
    #[serde(default)]
    pub acr: Option<String>,
    /// Whether the credential was made to allow less than its subject may: a token with a scope, a
    /// key with permissions of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
}

/// The kind of credential behind a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No credential at all.
    Anonymous,
    /// A person.
    User,
    /// Another service of the suite.
    Service,
    /// A program with a key.
    ApiKey,
    /// Someone who runs the installation.
    Operator,
}

impl Principal {
    /// The principal of a request.
    ///
    /// # Errors
    /// A missing or malformed header: the host always sets it, so this is our fault, not the
    /// client's, and nothing may be allowed on a guess.
    pub(crate) fn of_request(headers: &HeaderMap) -> Result<Principal, Failure> {
        let header = headers.get(&field::PRINCIPAL);
        let header = header.ok_or_else(|| Failure::msg("the host sent no nexus-principal"))?;
        let bytes = URL_SAFE_NO_PAD
            .decode(header)
            .map_err(|reason| Failure::new(reason).context("decode nexus-principal"))?;
        serde_json::from_slice(&bytes)
            .map_err(|reason| Failure::new(reason).context("read nexus-principal"))
    }

    /// The header value that says this principal; the inverse of what the SDK reads.
    pub fn to_header(&self) -> String {
        let json = serde_json::to_vec(self).expect("strings and numbers always serialize");
        URL_SAFE_NO_PAD.encode(json)
    }

    /// Whether a credential was proven at all.
    pub fn is_authenticated(&self) -> bool {
        self.kind != Kind::Anonymous
    }

    /// Whether one of the permissions is, or covers, `wanted`.
    pub fn may(&self, wanted: &str) -> bool {
        self.permissions.iter().any(|held| covers(held, wanted))
    }
}

/// Whether a permission or pattern that is `held` covers `wanted`: `*` covers all, `catalog:*` what
/// starts with `catalog:`, the rest is equality.
pub fn covers(held: &str, wanted: &str) -> bool {
    held == "*"
        || held == wanted
        || held.strip_suffix('*').is_some_and(|prefix| {
            prefix.ends_with(':') && wanted.len() > prefix.len() && wanted.starts_with(prefix)
        })
}

/// A permission as a type; `permissions!` makes them.
pub trait Permission: 'static {
    /// `service:verb`, as in a token.
    const NAME: &'static str;
}

#[doc(hidden)]
pub const fn belongs_to(permission: &str, service: &str) -> bool {
    let (permission, service) = (permission.as_bytes(), service.as_bytes());
    if permission.len() < service.len() + 2 || permission[service.len()] != b':' {
        return false;
    }
    let mut at = 0;
    while at < service.len() {
        if permission[at] != service[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_covers_itself_its_prefix_or_everything_and_nothing_else() {
        for (held, wanted, covered) in [
            ("catalog:view", "catalog:view", true),
            ("catalog:*", "catalog:view", true),
            ("*", "catalog:view", true),
            ("catalog:edit", "catalog:view", false),
            ("catalog:vi*", "catalog:view", false),
            ("cat*", "catalog:view", false),
            ("catalog:*", "catalog-x:view", false),
            ("catalog:*", "catalog:", false),
            ("", "catalog:view", false),
        ] {
            assert_eq!(covers(held, wanted), covered, "{held} over {wanted}");
        }
    }

    #[test]
    fn the_header_survives_the_way_there_and_back() {
        let sent = Principal {
            subject: "ada".into(),
            kind: Kind::ApiKey,
            tenant: uuid::Uuid::from_u128(7).into(),
            organisation: None,
            permissions: vec!["catalog:view".into()],
            session: None,
            auth_time: Some(1_700_000_000),
            acr: None,
            limited: true,
        };
        let headers =
            HeaderMap::from_iter([(field::PRINCIPAL.clone(), sent.to_header().parse().unwrap())]);
        assert_eq!(Principal::of_request(&headers).unwrap(), sent);
    }

    #[test]
    fn a_missing_or_broken_header_is_never_taken_for_somebody() {
        assert!(Principal::of_request(&HeaderMap::new()).is_err());
        for broken in ["", "%%%", "bm8"] {
            let headers =
                HeaderMap::from_iter([(field::PRINCIPAL.clone(), broken.parse().unwrap())]);
            assert!(Principal::of_request(&headers).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_permission_belongs_to_the_service_whose_name_it_starts_with() {
        assert!(belongs_to("catalog:view", "catalog"));
        assert!(!belongs_to("catalog:", "catalog"));
        assert!(!belongs_to("catalogue:view", "catalog"));
        assert!(!belongs_to("order:view", "catalog"));
    }
}
