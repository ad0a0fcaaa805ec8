//! Who is asking: the one value that travels from the front door to the guest.
//! Refuses to know how anybody proved it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The tenant `nexus`: what an installation with one brand uses.
pub const DEFAULT_TENANT: Uuid = Uuid::from_u128(0x01890000_0000_7000_8000_000000000001);

/// The `nexus-principal` header, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    pub subject: String,
    pub kind: PrincipalKind,
    pub tenant: Uuid,
    #[serde(default)]
    pub organisation: Option<String>,
    #[serde(default)]
    pub permissions: Vec<String>,
    #[serde(default)]
    pub session: Option<String>,
    /// Unix seconds of the last proof of identity.
    #[serde(default)]
    pub auth_time: Option<i64>,
    /// Authentication context class reference (OpenID Connect Core §2).
    #[serde(default)]
    pub acr: Option<String>,
    /// The credential was made to allow less than its subject may: a token with a scope, a key with
    /// permissions of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    Anonymous,
    User,
    Service,
    ApiKey,
    Operator,
}

impl Principal {
    /// Nobody in particular, of one tenant.
    pub fn anonymous(tenant: Uuid) -> Self {
        Self {
            subject: "anonymous".into(),
            kind: PrincipalKind::Anonymous,
            tenant,
            organisation: None,
            permissions: Vec::new(),
            session: None,
            auth_time: None,
            acr: None,
            limited: false,
        }
    }

    /// The header's value: base64url of the JSON, without padding.
    pub fn to_header(&self) -> HeaderValue {
        let json = serde_json::to_vec(self).expect("a principal is plain data");
        HeaderValue::from_str(&URL_SAFE_NO_PAD.encode(json)).expect("base64url is visible ASCII")
    }
}
