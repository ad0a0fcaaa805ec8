//! Client data (§5.8.1): what the browser says about who asked whom. Pure.

use super::{Base64Url, Expected, Flaw};
use nexus_sdk::prelude::*;
use subtle::ConstantTimeEq;

/// What was going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceremony {
    Create,
    Get,
}

#[derive(Deserialize)]
struct ClientSays {
    r#type: String,
    challenge: Base64Url,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
    #[serde(default, rename = "topOrigin")]
    top_origin: Option<String>,
}

/// Our pages are in nobody's frame, so an answer from one is somebody else's doing.
pub fn check(bytes: &[u8], ceremony: Ceremony, expected: &Expected<'_>) -> Result<(), Flaw> {
    // §7.1 step 5: decoded as UTF-8, a byte order mark taken off.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let says: ClientSays = serde_json::from_slice(bytes).map_err(|_| Flaw::Malformed)?;
    let kind = match ceremony {
        Ceremony::Create => "webauthn.create",
        Ceremony::Get => "webauthn.get",
    };
    if says.r#type != kind {
        return Err(Flaw::Kind);
    }
    if !bool::from(says.challenge.0.ct_eq(expected.challenge)) {
        return Err(Flaw::Challenge);
    }
    if says.origin != expected.origin || says.cross_origin || says.top_origin.is_some() {
        return Err(Flaw::Origin);
    }
    Ok(())
}
