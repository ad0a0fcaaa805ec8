//! What kms does for this service: it makes the signing key, keeps its versions and signs. Knows
//! its routes; refuses to see a private key.

use crate::jose;
use nexus_sdk::prelude::*;
use serde_json::Value;

/// Named within this service: no other can sign with it.
pub const KEY: &str = "tokens";
pub const OWNER: &str = "service/token-mgr";
const PATH: &str = "/api/kms/v1/internal/keys/tokens";

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
pub async fn versions() -> Result<Vec<Version>> {
    let kind = json!({ "type": "ecdsa-p256" });
    let _made: Value = call("kms").post(PATH).json(&kind).read().await?;
    let key: Key = call("kms").get(PATH).read().await?;
    Ok(key.versions)
}

/// Makes one more version.
///
/// # Errors
/// 503 when kms is away.
pub async fn rotate() -> Result<()> {
    let reply = call("kms").post(format!("{PATH}/rotate")).json(&json!({})).send().await?;
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
/// (RFC 7518 §3.4).
///
/// # Errors
/// 503 when kms is away.
pub async fn sign(signing_input: String, version: i32) -> Result<String> {
    let asked = json!({ "input": jose::for_kms(&signing_input), "version": version });
    let signed: Signed = call("kms").post(format!("{PATH}/sign")).json(&asked).read().await?;
    Ok(jose::token(signing_input, &signed.signature)?)
}
