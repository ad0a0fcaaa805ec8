//! Public keys, and what a JWT has to be for them to believe it: ES256 and EdDSA, nothing else
//! (RFC 8725 section 3.1: the verifier names the algorithms, never the token). Refuses to know
//! where the keys come from, and what became of a token since it was signed.

use crate::local_keys::{AUDIENCE, KeyError};
use crate::principal::{Proven, Terms, Unproven};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use nexus_runtime::{Principal, PrincipalKind};
use nexus_storage::identity::SigningKey;
use serde::Deserialize;
use uuid::Uuid;

/// How far two honest clocks may differ, in seconds.
pub(crate) const LEEWAY: i64 = 30;

/// Keys of one issuer.
pub(crate) struct KeySet {
    keys: Vec<Key>,
    /// For tokens without a `tenant` claim.
    tenant: Uuid,
    /// Tokens must say when they were issued and which they are, so that they can be revoked.
    revocable: bool,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    decoding: DecodingKey,
    validation: Validation,
    /// Unix seconds from which on it verifies nothing.
    until: Option<i64>,
}

impl KeySet {
    /// Keys from the JSON of a JWK set (RFC 7517), all of which must be usable.
    pub(crate) fn of_jwks(json: &str, issuer: &str, tenant: Uuid) -> Result<Self, KeyError> {
        let set: JwkSet = serde_json::from_str(json)?;
        let keys = set.keys.iter().map(|jwk| Key::new(jwk, issuer));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(KeyError::Empty);
        }
        Ok(Self { keys, tenant, revocable: false })
    }

    /// Keys that the platform has published; one that cannot be used is left out and logged, for
    /// the others must not suffer.
    pub(crate) fn of_published(published: &[SigningKey], issuer: &str, tenant: Uuid) -> Self {
        let mut keys = Vec::with_capacity(published.len());
        for row in published {
            match Key::published(row, issuer) {
                Ok(key) => keys.push(key),
                Err(error) => tracing::error!(kid = row.kid, %error, "a signing key is left out"),
            }
        }
        Self { keys, tenant, revocable: true }
    }

    /// Proves `token` at `now` (Unix seconds).
    pub(crate) fn verify(&self, token: &str, now: i64) -> Result<Proven, Unproven> {
        let header = decode_header(token).map_err(|_| Unproven::Malformed)?;
        // RFC 7515 section 4.1.11: an extension we do not understand must be refused.
        // And another kind of JWT, such as a logout token, is no access token (RFC 8725 section
        // 3.11).
        let typ = header.typ.as_deref().unwrap_or("JWT");
        let access = ["JWT", "at+jwt", "application/at+jwt"];
        if header.crit.is_some() || !access.iter().any(|t| t.eq_ignore_ascii_case(typ)) {
            return Err(Unproven::Malformed);
        }
        let key = match &header.kid {
            Some(kid) => self.keys.iter().find(|key| key.id.as_ref() == Some(kid)),
            // Who names no key means the only one; among several there is nothing to guess.
            None => self.keys.first().filter(|_| self.keys.len() == 1),
        };
        let fits =
            |key: &&Key| key.algorithm == header.alg && key.until.is_none_or(|until| now < until);
        let key = key.filter(fits).ok_or(Unproven::UnknownKey)?;
        let claims = decode::<Claims>(token, &key.decoding, &key.validation);
        let mut proven = self.prove(claims.map_err(|error| why(&error))?.claims, now)?;
        // Nobody outlives the key that vouches for them.
        proven.expires = proven.expires.min(key.until.unwrap_or(i64::MAX));
        Ok(proven)
    }

    fn prove(&self, claims: Claims, now: i64) -> Result<Proven, Unproven> {
        let expires = claims.exp.saturating_add(LEEWAY);
        if now >= expires {
            return Err(Unproven::Expired);
        }
        let begins = claims.nbf.into_iter().chain(claims.iat).max();
        if begins.is_some_and(|begins| now < begins.saturating_sub(LEEWAY)) {
            return Err(Unproven::NotYet);
        }
        if self.revocable && claims.jti.as_ref().is_none_or(String::is_empty) {
            return Err(Unproven::Claim("jti"));
        }
        if self.revocable && claims.iat.is_none() {
            return Err(Unproven::Claim("iat"));
        }
        let kind = claims.kind.unwrap_or(PrincipalKind::User);
        if kind == PrincipalKind::Anonymous {
            return Err(Unproven::Claim("kind"));
        }
        if claims.sub.is_empty() {
            return Err(Unproven::Claim("sub"));
        }
        let scope = claims.scope.as_deref().map(words);
        let own = claims.permissions.is_some();
        let permissions = claims.permissions.or_else(|| scope.clone()).unwrap_or_default();
        let principal = Principal {
            subject: claims.sub,
            kind,
            tenant: claims.tenant.unwrap_or(self.tenant),
            organisation: claims.org,
            permissions,
            session: claims.sid,
            auth_time: claims.auth_time,
            acr: claims.acr,
            limited: scope.is_some(),
        };
        let terms = Terms {
            jti: claims.jti,
            issued_at: claims.iat,
            scope,
            carries_permissions: own,
            thumbprint: claims.cnf.and_then(|cnf| cnf.jkt),
        };
        Ok(Proven { principal, expires, terms })
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
        // Time is checked above, against the caller's clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self { id, algorithm, decoding, validation, until: None })
    }

    /// The row's own `kid` counts, whatever the JWK says.
    fn published(row: &SigningKey, issuer: &str) -> Result<Self, KeyError> {
        let jwk: Jwk = serde_json::from_str(&row.jwk)?;
        let key = Self::new(&jwk, issuer)?;
        let until = row.expires_at;
        Ok(Self { id: Some(row.kid.clone()), until, ..key })
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    jti: Option<String>,
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
    #[serde(default)]
    cnf: Option<Confirmation>,
}

/// RFC 7800; the only confirmation we know is that of RFC 9449.
#[derive(Deserialize)]
struct Confirmation {
    #[serde(default)]
    jkt: Option<String>,
}

fn words(scope: &str) -> Vec<String> {
    scope.split_ascii_whitespace().map(str::to_owned).collect()
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
