//! Verifies JWTs against a set of public keys that this host was given: ES256 and EdDSA, nothing
//! else (RFC 8725 section 3.1: the verifier names the algorithms, never the token).

use crate::principal::{Proven, Unproven, Verifier};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use nexus_runtime::{Principal, PrincipalKind};
use serde::Deserialize;
use uuid::Uuid;

/// The audience of access tokens for this platform.
pub const AUDIENCE: &str = "nexus";

/// How far two honest clocks may differ, in seconds.
const LEEWAY: i64 = 30;

/// A fixed set of keys with one issuer.
pub struct LocalKeys {
    keys: Vec<Key>,
    /// For tokens without a `tenant` claim.
    tenant: Uuid,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    decoding: DecodingKey,
    validation: Validation,
}

/// A key set that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key set is not a JWK set: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("key {0:?} is neither P-256 nor Ed25519")]
    Algorithm(Option<String>),
    #[error("key {0:?} is malformed: {1}")]
    Malformed(Option<String>, jsonwebtoken::errors::Error),
    #[error("the key set is empty")]
    Empty,
}

impl LocalKeys {
    /// Keys from the JSON of a JWK set (RFC 7517); tokens must name `issuer` and [`AUDIENCE`], and
    /// those without a tenant belong to `tenant`.
    pub fn from_jwks(json: &str, issuer: &str, tenant: Uuid) -> Result<Self, KeyError> {
        let set: JwkSet = serde_json::from_str(json)?;
        let keys = set.keys.iter().map(|jwk| Key::new(jwk, issuer));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(KeyError::Empty);
        }
        Ok(Self { keys, tenant })
    }
}

impl Key {
    fn new(jwk: &Jwk, issuer: &str) -> Result<Self, KeyError> {
        let id = jwk.common.key_id.clone();
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDSA
            }
            _ => return Err(KeyError::Algorithm(id)),
        };
        let decoding =
            DecodingKey::from_jwk(jwk).map_err(|error| KeyError::Malformed(id.clone(), error))?;
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Time is checked below, against the caller's clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self { id, algorithm, decoding, validation })
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    tenant: Option<Uuid>,
    #[serde(default)]
    kind: Option<PrincipalKind>,
    #[serde(default)]
    permissions: Option<Vec<String>>,
    /// Space-separated (RFC 9068 section 2.2.3).
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    org: Option<String>,
    #[serde(default)]
    sid: Option<String>,
    #[serde(default)]
    auth_time: Option<i64>,
    #[serde(default)]
    acr: Option<String>,
}

impl Verifier for LocalKeys {
    fn verify(&self, token: &str, now: i64) -> Result<Proven, Unproven> {
        let header = decode_header(token).map_err(|_| Unproven::Malformed)?;
        // RFC 7515 section 4.1.11: an extension we do not understand must be refused.
        // And another kind of JWT, such as an ID token, is no access token (RFC 8725 section 3.11).
        let typ = header.typ.as_deref().unwrap_or("JWT");
        let access = ["JWT", "at+jwt", "application/at+jwt"];
        if header.crit.is_some() || !access.iter().any(|t| t.eq_ignore_ascii_case(typ)) {
            return Err(Unproven::Malformed);
        }
        let fits = |key: &&Key| {
            key.algorithm == header.alg && (header.kid.is_none() || key.id == header.kid)
        };
        let mut refusal = Unproven::UnknownKey;
        for key in self.keys.iter().filter(fits) {
            match decode::<Claims>(token, &key.decoding, &key.validation) {
                Ok(data) => return self.prove(data.claims, now),
                Err(error) => refusal = why(&error),
            }
        }
        Err(refusal)
    }
}

fn why(error: &jsonwebtoken::errors::Error) -> Unproven {
    match error.kind() {
        ErrorKind::InvalidSignature => Unproven::Signature,
        ErrorKind::InvalidAudience | ErrorKind::InvalidIssuer => Unproven::Audience,
        ErrorKind::MissingRequiredClaim(claim) => Unproven::Claim(match claim.as_str() {
            "exp" => "exp",
            "iss" => "iss",
            "aud" => "aud",
            _ => "sub",
        }),
        _ => Unproven::Malformed,
    }
}

impl LocalKeys {
    fn prove(&self, claims: Claims, now: i64) -> Result<Proven, Unproven> {
        let expires = claims.exp.saturating_add(LEEWAY);
        if now >= expires {
            return Err(Unproven::Expired);
        }
        if claims.nbf.is_some_and(|nbf| now < nbf.saturating_sub(LEEWAY)) {
            return Err(Unproven::NotYet);
        }
        let kind = claims.kind.unwrap_or(PrincipalKind::User);
        if kind == PrincipalKind::Anonymous {
            return Err(Unproven::Claim("kind"));
        }
        if claims.sub.is_empty() {
            return Err(Unproven::Claim("sub"));
        }
        let scope = || claims.scope.iter().flat_map(|s| s.split_ascii_whitespace());
        let permissions =
            claims.permissions.clone().unwrap_or_else(|| scope().map(str::to_owned).collect());
        let principal = Principal {
            subject: claims.sub,
            kind,
            tenant: claims.tenant.unwrap_or(self.tenant),
            organisation: claims.org,
            permissions,
            session: claims.sid,
            auth_time: claims.auth_time,
            acr: claims.acr,
        };
        Ok(Proven { principal, expires })
    }
}

#[cfg(test)]
#[path = "local_keys_tests.rs"]
mod tests;
