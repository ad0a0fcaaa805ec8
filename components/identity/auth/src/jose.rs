//! Signed tokens of others (RFC 7515, RFC 7517, RFC 7518): read strictly, and verified by public
//! keys whose algorithm is decided here and never by the token. Pure. Verification only:
//! RUSTSEC-2023-0071 is about private RSA keys, of which there are none here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value};
use p256::ecdsa::signature::Verifier as _;
use rsa::BigUint;
use rsa::traits::PublicKeyParts as _;
use sha2::{Digest as _, Sha256};

/// Longer ones are no tokens; real ones stay below 4 KiB.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Sets of honest issuers hold a handful; each key costs a verification.
const KEYS_TRIED_MAX: usize = 4;
/// NIST SP 800-131A: less is no longer a signature.
const RSA_BITS_MIN: usize = 2048;

/// How a token may be signed. `none` and what is keyed by a shared secret are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Es256,
    Eddsa,
    Rs256,
}

impl Algorithm {
    pub const NAMES: [&str; 3] = ["ES256", "EdDSA", "RS256"];

    fn named(name: &str) -> Option<Algorithm> {
        match name {
            "ES256" => Some(Algorithm::Es256),
            "EdDSA" | "Ed25519" => Some(Algorithm::Eddsa),
            "RS256" => Some(Algorithm::Rs256),
            _ => None,
        }
    }
}

/// A token that nobody has verified yet.
#[derive(Debug)]
pub struct Token<'a> {
    pub algorithm: Algorithm,
    pub typ: Option<String>,
    pub kid: Option<String>,
    /// The key that came along (RFC 9449); it proves only that somebody holds it.
    pub jwk: Option<Value>,
    pub claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    jwk: Option<Value>,
    /// What must be understood and is not (RFC 7515 §4.1.11).
    crit: Option<Value>,
    /// Not encoded (RFC 7797); not signed the way that we would verify.
    b64: Option<Value>,
}

impl<'a> Token<'a> {
    /// A compact serialization (RFC 7515 §7.1) of three parts, with an algorithm of ours.
    pub fn read(text: &'a str) -> Option<Self> {
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&decoded(header)?).ok()?;
        if header.crit.is_some() || header.b64.is_some() {
            return None;
        }
        Some(Self {
            algorithm: Algorithm::named(&header.alg)?,
            typ: header.typ,
            kid: header.kid,
            jwk: header.jwk,
            claims: serde_json::from_slice(&decoded(payload)?).ok()?,
            signed,
            signature: decoded(signature)?,
        })
    }

    /// A claim that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// A claim that is an instant, in Unix seconds; fractions are cut.
    pub fn instant(&self, name: &str) -> Option<i64> {
        let claim = self.claims.get(name)?;
        claim.as_i64().or_else(|| claim.as_f64().map(|seconds| seconds as i64))
    }

    /// Whether `aud` names one of these; a list may name others besides.
    pub fn is_for(&self, audiences: &[&str]) -> bool {
        self.audiences().iter().any(|named| audiences.contains(named))
    }

    pub fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether one of the keys of a set has signed it: the one that it names, or, where it names
    /// none, any that can have.
    pub fn is_signed_by(&self, keys: &[Value]) -> bool {
        let named = |key: &&Value| match (&self.kid, key.get("kid").and_then(Value::as_str)) {
            (Some(wanted), known) => known == Some(wanted),
            (None, _) => true,
        };
        let keys = keys.iter().filter(named).filter_map(PublicKey::of);
        let keys = keys.filter(|key| key.algorithm() == self.algorithm);
        keys.take(KEYS_TRIED_MAX).any(|key| key.verifies(self.signed.as_bytes(), &self.signature))
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The keys of a set (RFC 7517 §5).
pub fn keys(set: &Value) -> Vec<Value> {
    set.get("keys").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Whether a set holds only public keys that can verify, at least one and not many.
pub fn is_key_set(set: &Value, keys_max: usize) -> bool {
    let keys = keys(set);
    (1..=keys_max).contains(&keys.len()) && keys.iter().all(|key| PublicKey::of(key).is_some())
}

/// A key that verifies.
enum PublicKey {
    Es256(p256::ecdsa::VerifyingKey),
    Eddsa(ed25519_dalek::VerifyingKey),
    Rs256(rsa::pkcs1v15::VerifyingKey<Sha256>),
}

impl PublicKey {
    /// A JWK; none where it is for anything else than verifying, of an algorithm that is not ours,
    /// or holds a private half: whoever sends that has given it away.
    fn of(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let for_signatures = text("use").is_none_or(|purpose| purpose == "sig")
            && jwk
                .get("key_ops")
                .and_then(Value::as_array)
                .is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !for_signatures || jwk.get("d").is_some() || jwk.get("k").is_some() {
            return None;
        }
        let part = |name: &str| decoded(text(name)?);
        let key = match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => {
                let (x, y): ([u8; 32], [u8; 32]) =
                    (part("x")?.try_into().ok()?, part("y")?.try_into().ok()?);
                let point =
                    p256::EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
                PublicKey::Es256(p256::ecdsa::VerifyingKey::from_encoded_point(&point).ok()?)
            }
            ("OKP", Some("Ed25519")) => {
                let bytes: [u8; 32] = part("x")?.try_into().ok()?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok()?;
                PublicKey::Eddsa((!key.is_weak()).then_some(key)?)
            }
            ("RSA", None) => {
                let (n, e) = (part("n")?, part("e")?);
                let (n, e) = (BigUint::from_bytes_be(&n), BigUint::from_bytes_be(&e));
                let key = rsa::RsaPublicKey::new(n, e).ok()?;
                let wide = key.n().bits() >= RSA_BITS_MIN;
                PublicKey::Rs256(rsa::pkcs1v15::VerifyingKey::new(wide.then_some(key)?))
            }
            _ => return None,
        };
        let said = text("alg").is_none_or(|alg| Algorithm::named(alg) == Some(key.algorithm()));
        said.then_some(key)
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            PublicKey::Es256(_) => Algorithm::Es256,
            PublicKey::Eddsa(_) => Algorithm::Eddsa,
            PublicKey::Rs256(_) => Algorithm::Rs256,
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            PublicKey::Es256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            PublicKey::Eddsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            PublicKey::Rs256(key) => rsa::pkcs1v15::Signature::try_from(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}

/// Thumbprint of a public key (RFC 7638 §3): SHA-256 over its members in their one order.
pub fn thumbprint(jwk: &Value) -> Option<String> {
    PublicKey::of(jwk)?;
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let members: &[&str] = match text("kty")? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        _ => &["e", "kty", "n"],
    };
    let member = |name: &&str| Some(format!("{name:?}:{}", json!(text(name)?)));
    let members: Vec<String> = members.iter().map(member).collect::<Option<_>>()?;
    let canonical = format!("{{{}}}", members.join(","));
    Some(URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)))
}

#[cfg(test)]
#[path = "jose_tests.rs"]
mod tests;
