//! Proof that the sender of a token holds the key that the token is bound to (RFC 9449): a JWT of
//! its own for each request. Refuses to know who the token is about.

use crate::credentials::DPOP;
use crate::fields::Fields;
use crate::generations::Generations;
use crate::key_set::LEEWAY;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use http::uri::Authority;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::sync::{Mutex, PoisonError};

/// How old a proof may be, in seconds. Clients make a new one for each request.
const AGE_MAX: i64 = 60;

/// Proofs remembered against repetition, in halves. Each was made with a key that some token of
/// ours is bound to, and comes under that token's rate limit.
const SEEN_HALF: usize = 1 << 16;

/// Longer ones are refused unseen.
const PROOF_BYTES_MAX: usize = 4 << 10;

/// What is wrong with a proof that came before.
pub(crate) const USED: &str = "the proof was used before";

/// For as long a proof is remembered, in seconds: after that it is too old to be taken anyway.
pub(crate) const REMEMBERED: i64 = 2 * (AGE_MAX + LEEWAY);

/// A key and what it calls its proof, as a digest.
pub(crate) type ProofName = [u8; 32];

/// Proofs that this host has taken.
pub(crate) struct Seen(Mutex<Generations<ProofName, i64>>);

/// The request that a proof must be about.
pub(crate) struct Request<'a> {
    pub(crate) headers: Fields<'a>,
    pub(crate) method: &'a Method,
    /// `http` or `https`.
    pub(crate) scheme: &'a str,
    pub(crate) host: &'a Authority,
    pub(crate) path: &'a str,
}

#[derive(Deserialize)]
struct Claims {
    htm: String,
    htu: String,
    iat: i64,
    jti: String,
    ath: String,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Generations::new(SEEN_HALF)))
    }

    /// False when this host has taken the proof before.
    fn first(&self, proof: ProofName, now: i64) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.get_mut(&proof).is_some_and(|until| now < *until);
        if !known {
            seen.insert(proof, now + REMEMBERED);
        }
        !known
    }
}

/// Checks the proof in `request` for `token`, bound to the key of `thumbprint`, at `now` (Unix
/// seconds), and gives the name under which other hosts may know it. The error's words go into the
/// answer.
pub(crate) fn check(
    request: &Request<'_>,
    token: &str,
    thumbprint: &str,
    now: i64,
    seen: &Seen,
) -> Result<ProofName, &'static str> {
    let mut sent = request.headers.get_all(&DPOP);
    let proof = match (sent.next(), sent.next()) {
        (Some(proof), None) => proof.to_str().map_err(|_| "the proof is malformed")?,
        (None, _) => return Err("a proof is missing"),
        (Some(_), Some(_)) => return Err("there are several proofs"),
    };
    if proof.len() > PROOF_BYTES_MAX {
        return Err("the proof is malformed");
    }
    let (jwk, claims) = verified(proof)?;
    if jwk.thumbprint(ThumbprintHash::SHA256) != thumbprint {
        return Err("the token is bound to another key");
    }
    if claims.htm != request.method.as_str() || !is_about(&claims.htu, request) {
        return Err("the proof is for another request");
    }
    if claims.ath != URL_SAFE_NO_PAD.encode(Sha256::digest(token)) {
        return Err("the proof is for another token");
    }
    if claims.iat > now + LEEWAY || claims.iat < now - AGE_MAX - LEEWAY {
        return Err("the proof is not of now");
    }
    let identity = Sha256::new().chain_update(thumbprint).chain_update([0]);
    let name: ProofName = identity.chain_update(&claims.jti).finalize().into();
    if claims.jti.is_empty() || !seen.first(name, now) {
        return Err(USED);
    }
    Ok(name)
}

/// Section 4.3, points 2 to 7: well formed, of its own type, signed by the public key in it.
fn verified(proof: &str) -> Result<(Jwk, Claims), &'static str> {
    const MALFORMED: &str = "the proof is malformed";
    let header = decode_header(proof).map_err(|_| MALFORMED)?;
    let typed = header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case("dpop+jwt"));
    let known = matches!(header.alg, Algorithm::ES256 | Algorithm::EdDSA);
    if !typed || !known || header.crit.is_some() || has_private_half(proof) {
        return Err(MALFORMED);
    }
    let jwk = header.jwk.ok_or(MALFORMED)?;
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| MALFORMED)?;
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoded = decode::<Claims>(proof, &key, &validation);
    let claims = decoded.map_err(|_| "the proof's signature does not match")?.claims;
    Ok((jwk, claims))
}

/// A client that sends its private key has given it away.
fn has_private_half(proof: &str) -> bool {
    let header = proof.split('.').next().unwrap_or_default();
    let Ok(json) = URL_SAFE_NO_PAD.decode(header) else { return true };
    serde_json::from_slice::<serde_json::Value>(&json)
        .map_or(true, |header| header["jwk"].get("d").is_some() || header["jwk"].get("k").is_some())
}

/// The target without query and fragment (section 4.3, point 9), as RFC 3986 section 6.2.2 and
/// 6.2.3 compare: case of the host and a default port do not matter.
fn is_about(htu: &str, request: &Request<'_>) -> bool {
    let Ok(uri) = htu.parse::<http::Uri>() else { return false };
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.authority()) else { return false };
    let port = |host: &Authority| {
        host.port_u16().unwrap_or(if request.scheme == "https" { 443 } else { 80 })
    };
    let bare = !htu.contains(['?', '#']);
    bare && scheme.eq_ignore_ascii_case(request.scheme)
        && host.host().eq_ignore_ascii_case(request.host.host())
        && port(host) == port(request.host)
        && uri.path() == request.path
}

#[cfg(test)]
#[path = "dpop_tests.rs"]
mod tests;
