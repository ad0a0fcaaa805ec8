//! The relying party's side of WebAuthn Level 3 (§7.1 and §7.2): what a browser and an
//! authenticator say, checked against what was asked. Pure: challenges, times and what is stored
//! come in; what to store comes out. Refuses to know users, tables and JSON names beyond its own.
//!
//! Attestation is not asked for (`none`): which make an authenticator is does not matter to us, and
//! nothing is believed because of it. A self attestation is checked all the same, because a wrong
//! one means that something is broken; certificates of others lead to roots that nobody here has
//! chosen to trust, so they are passed over.

mod authenticator;
mod cbor;
mod client;
mod cose;
#[cfg(test)]
mod software;
#[cfg(test)]
mod vectors;

pub use cose::ALGORITHMS;

use authenticator::AuthenticatorSays;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::Ceremony;
use cose::PublicKey;
use nexus_sdk::prelude::*;
use nexus_sdk::serde::de::Error as _;
use sha2::{Digest, Sha256};

/// Longest id of a credential (§4, "Credential ID").
const CREDENTIAL_ID_BYTES_MAX: usize = 1023;

/// Bytes that travel as base64url without padding, as in the JSON of §5.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base64Url(pub Vec<u8>);

impl<'de> Deserialize<'de> for Base64Url {
    fn deserialize<D: nexus_sdk::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
        bytes.map(Base64Url).map_err(|_| D::Error::custom("expected base64url"))
    }
}

impl JsonSchema for Base64Url {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Base64Url".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "byte" })
    }
}

/// `RegistrationResponseJSON`: what `navigator.credentials.create` gives, by `toJSON()`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RegistrationAnswer {
    #[serde(rename = "rawId")]
    pub raw_id: Base64Url,
    pub r#type: String,
    pub response: Attested,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Attested {
    #[serde(rename = "clientDataJSON")]
    pub client_data: Base64Url,
    #[serde(rename = "attestationObject")]
    pub attestation_object: Base64Url,
    #[serde(default)]
    pub transports: Vec<String>,
}

/// `AuthenticationResponseJSON`: what `navigator.credentials.get` gives.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LoginAnswer {
    #[serde(rename = "rawId")]
    pub raw_id: Base64Url,
    pub r#type: String,
    pub response: Asserted,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Asserted {
    #[serde(rename = "clientDataJSON")]
    pub client_data: Base64Url,
    #[serde(rename = "authenticatorData")]
    pub authenticator_data: Base64Url,
    pub signature: Base64Url,
    #[serde(default, rename = "userHandle")]
    pub user_handle: Option<Base64Url>,
}

/// What must be true of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    pub challenge: &'a [u8],
    /// `https://nexus.example`, exactly.
    pub origin: &'a str,
    /// The host of the origin.
    pub rp_id: &'a str,
    /// Whether a PIN, a finger or a face must have been shown.
    pub user_verification: bool,
}

/// A credential that can be kept.
#[derive(Debug, PartialEq)]
pub struct NewCredential {
    pub id: Vec<u8>,
    /// COSE_Key, as it came.
    pub public_key: Vec<u8>,
    pub sign_count: u32,
    pub aaguid: [u8; 16],
    pub user_verified: bool,
    pub backup_eligible: bool,
    pub backed_up: bool,
}

/// What is kept of a credential.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub public_key: &'a [u8],
    pub sign_count: u32,
    pub backup_eligible: bool,
}

/// A proof.
#[derive(Debug, PartialEq, Eq)]
pub struct Proof {
    pub user_verified: bool,
    pub sign_count: u32,
    pub backed_up: bool,
    /// The counter went back or stood still: there may be a copy of the authenticator.
    pub suspect: bool,
}

/// Why an answer is none; for tests and logs, never told in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    Malformed,
    Kind,
    Challenge,
    Origin,
    Party,
    UserAbsent,
    UserUnverified,
    Backup,
    Algorithm,
    Attestation,
    Credential,
    Signature,
}

/// Checks a registration (§7.1).
///
/// # Errors
/// The first flaw.
pub fn register(
    expected: &Expected<'_>,
    answer: &RegistrationAnswer,
) -> Result<NewCredential, Flaw> {
    let response = &answer.response;
    client::check(&response.client_data.0, Ceremony::Create, expected)?;
    let object = cbor::whole(&response.attestation_object.0).ok_or(Flaw::Malformed)?;
    let says_bytes = object.named("authData").and_then(|it| it.bytes()).ok_or(Flaw::Malformed)?;
    let says = AuthenticatorSays::read(says_bytes).ok_or(Flaw::Malformed)?;
    check_says(expected, &says)?;
    let attested = says.attested.as_ref().ok_or(Flaw::Credential)?;
    let fits = (1..=CREDENTIAL_ID_BYTES_MAX).contains(&attested.credential_id.len());
    if answer.r#type != "public-key" || !fits || attested.credential_id != answer.raw_id.0 {
        return Err(Flaw::Credential);
    }
    let key = PublicKey::read(&attested.public_key).ok_or(Flaw::Algorithm)?;
    let signed = signed_bytes(says_bytes, &response.client_data.0);
    check_attestation(&object, &key, &signed)?;
    Ok(NewCredential {
        id: attested.credential_id.clone(),
        public_key: attested.public_key.clone(),
        sign_count: says.sign_count,
        aaguid: attested.aaguid,
        user_verified: says.user_verified,
        backup_eligible: says.backup_eligible,
        backed_up: says.backed_up,
    })
}

/// Checks an assertion (§7.2) by the credential that it names. Whose it is, is the caller's to
/// compare.
///
/// # Errors
/// The first flaw.
pub fn assert(
    expected: &Expected<'_>,
    known: &Known<'_>,
    answer: &LoginAnswer,
) -> Result<Proof, Flaw> {
    let response = &answer.response;
    if answer.r#type != "public-key" {
        return Err(Flaw::Credential);
    }
    client::check(&response.client_data.0, Ceremony::Get, expected)?;
    let says_bytes = &response.authenticator_data.0;
    let says = AuthenticatorSays::read(says_bytes).ok_or(Flaw::Malformed)?;
    check_says(expected, &says)?;
    // §7.2 step 19: what could not be copied cannot become what can, and the reverse.
    if says.backup_eligible != known.backup_eligible {
        return Err(Flaw::Backup);
    }
    let key = PublicKey::read(known.public_key).ok_or(Flaw::Algorithm)?;
    let signed = signed_bytes(says_bytes, &response.client_data.0);
    if !key.verifies(&signed, &response.signature.0) {
        return Err(Flaw::Signature);
    }
    let counts = says.sign_count != 0 || known.sign_count != 0;
    Ok(Proof {
        user_verified: says.user_verified,
        sign_count: says.sign_count,
        backed_up: says.backed_up,
        suspect: counts && says.sign_count <= known.sign_count,
    })
}

fn check_says(expected: &Expected<'_>, says: &AuthenticatorSays) -> Result<(), Flaw> {
    if says.rp_id_hash[..] != Sha256::digest(expected.rp_id)[..] {
        return Err(Flaw::Party);
    }
    if !says.user_present {
        return Err(Flaw::UserAbsent);
    }
    if expected.user_verification && !says.user_verified {
        return Err(Flaw::UserUnverified);
    }
    if says.backed_up && !says.backup_eligible {
        return Err(Flaw::Backup);
    }
    Ok(())
}

/// What a signature is over: what the authenticator says and the digest of what the browser says.
fn signed_bytes(says: &[u8], client_data: &[u8]) -> Vec<u8> {
    let mut signed = says.to_vec();
    signed.extend_from_slice(&Sha256::digest(client_data));
    signed
}

/// §8.7 (`none`) and §8.2 (`packed`): see the head of this file.
fn check_attestation(object: &cbor::Item, key: &PublicKey, signed: &[u8]) -> Result<(), Flaw> {
    let statement = object.named("attStmt").ok_or(Flaw::Malformed)?;
    match object.named("fmt").and_then(|it| it.text()) {
        Some("none") if *statement == cbor::Item::Map(Vec::new()) => Ok(()),
        Some("packed") if statement.named("x5c").is_some() => Ok(()),
        Some("packed") => {
            let algorithm = statement.named("alg").and_then(|it| it.integer());
            let signature = statement.named("sig").and_then(|it| it.bytes());
            let own = algorithm == Some(key.algorithm());
            match own && signature.is_some_and(|it| key.verifies(signed, it)) {
                true => Ok(()),
                false => Err(Flaw::Attestation),
            }
        }
        _ => Err(Flaw::Attestation),
    }
}
