//! What kms does for this service: it makes the signing key, keeps its versions and signs. Knows
//! its routes; refuses to see a private key.

use crate::jose;
use nexus_sdk::prelude::*;
use serde_json::Value;

pub const OWNER: &str = "service/token-mgr";

/// How a token is signed (RFC 7518 §3.1). Each algorithm has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Everything, where nobody asks for anything else.
    Es256,
    /// ID tokens of clients that ask for it: the only one that OpenID Connect demands of them.
    Rs256,
}

impl Algorithm {
    pub const ALL: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Rs256];

    pub fn named(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Es256 => "ES256",
            Algorithm::Rs256 => "RS256",
        }
    }

    /// Named within this service: no other can sign with it.
    pub fn key(self) -> &'static str {
        match self {
            Algorithm::Es256 => "tokens",
            Algorithm::Rs256 => "id-tokens",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Algorithm::Es256 => "ecdsa-p256",
            Algorithm::Rs256 => "rsa-2048",
        }
    }

    fn path(self, operation: &str) -> String {
        format!("/api/kms/v1/internal/keys/{}{operation}", self.key())
    }
}

/// A version of the key that may sign.
#[derive(Debug, Clone, Deserialize)]
pub struct Version {
    pub version: i32,
    #[serde(default)]
    pub state: Option<String>,
    /// The public half; its `kid` is the thumbprint.
    pub jwk: Value,
}

impl Version {
    /// Those that are destroyed, disabled or only undo what they did are of no use here.
    pub fn may_sign(&self) -> bool {
        matches!(self.state.as_deref(), None | Some("active" | "pre_active" | "retiring"))
    }

    pub fn kid(&self) -> Option<&str> {
        self.jwk.get("kid")?.as_str()
    }
}

#[derive(Deserialize)]
struct Key {
    versions: Vec<Version>,
}

/// Makes the key if there is none, and gives its versions.
///
/// # Errors
/// 503 when kms is away.
pub async fn versions(algorithm: Algorithm) -> Result<Vec<Version>> {
    let kind = json!({ "type": algorithm.kind() });
    let _made: Value = call("kms").post(algorithm.path("")).json(&kind).read().await?;
    let key: Key = call("kms").get(algorithm.path("")).read().await?;
    Ok(key.versions)
}

/// Makes one more version.
///
/// # Errors
/// 503 when kms is away.
pub async fn rotate(algorithm: Algorithm) -> Result<()> {
    let asked = call("kms").post(algorithm.path("/rotate")).json(&json!({}));
    let reply = asked.send().await?;
    match reply.status.is_success() {
        true => Ok(()),
        false => Err(Error::unavailable(Failure::msg(format!("kms answered {}", reply.status)))),
    }
}

#[derive(Deserialize)]
struct Signed {
    signature: String,
}

/// A token around `signing_input`: ECDSA with P-256 and SHA-256, `r` and `s` one after the other
/// (RFC 7518 §3.4), or RSASSA-PKCS1-v1_5 with SHA-256 (§3.3).
///
/// # Errors
/// 503 when kms is away.
pub async fn sign(algorithm: Algorithm, signing_input: String, version: i32) -> Result<String> {
    let asked = json!({ "input": jose::for_kms(&signing_input), "version": version });
    let signed: Signed = call("kms").post(algorithm.path("/sign")).json(&asked).read().await?;
    Ok(jose::token(signing_input, &signed.signature)?)
}
