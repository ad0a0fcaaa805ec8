//! What clients prove without a secret: that they are themselves, by an assertion that only they
//! can sign (RFC 7523), and that they hold the key that their tokens are bound to (RFC 9449). Every
//! proof is taken once.

use crate::clients::Client;
use crate::jose::{self, Token};
use crate::oauth::{Denied, OauthError, Parameters, invalid_client, invalid_dpop_proof};
use crate::outside::{self, Silence};
use crate::{origin, store};
use identity_contract::ClientId;
use nexus_sdk::prelude::*;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

/// For clocks that differ.
const LEEWAY_SECONDS: i64 = 60;
/// An assertion is made for one request; RFC 7523 §3 leaves the most to us.
const ASSERTION_SECONDS_MAX: i64 = 300;
/// As on the data plane: clients make a new proof for each request.
const PROOF_AGE_SECONDS_MAX: i64 = 60;
const JTI_BYTES_MAX: usize = 255;

pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

nexus_sdk::refusals! {
    ProofUsed = 409, "this proof was used before"
}

/// Who the client of an assertion says that it is; nothing is proven yet.
///
/// # Errors
/// `invalid_client` for what is no assertion.
pub fn claimed_by(form: &Parameters) -> Result<Option<(ClientId, Token<'_>)>, OauthError> {
    let (kind, assertion) = (form.get("client_assertion_type"), form.get("client_assertion"));
    let (Some(kind), Some(assertion)) = (kind, assertion) else {
        return match kind.or(assertion) {
            None => Ok(None),
            Some(_) => Err(invalid_client("an assertion comes with its type")),
        };
    };
    if kind != ASSERTION_TYPE {
        return Err(invalid_client("the assertion's type is not known"));
    }
    let unreadable = || invalid_client("the assertion is malformed or signed in no way of ours");
    let token = Token::read(assertion).ok_or_else(unreadable)?;
    let subject = token.text("sub").filter(|subject| token.text("iss") == Some(*subject));
    let id = subject.and_then(|id| id.parse().ok()).ok_or_else(unreadable)?;
    match form.get("client_id").is_none_or(|named| Some(named) == token.text("sub")) {
        true => Ok(Some((id, token))),
        false => Err(invalid_client("client_id names another client")),
    }
}

/// Whether an assertion is for us and of now. Pure; the error's words are for whoever writes the
/// client.
fn assertion_is_good(token: &Token<'_>, origin: &str, now: i64) -> Result<(), &'static str> {
    if !token.is_for(&[origin, &format!("{origin}/oauth2/token")]) {
        return Err("the assertion is for somebody else");
    }
    let Some(expires) = token.instant("exp") else {
        return Err("the assertion does not say when it ends");
    };
    if expires <= now - LEEWAY_SECONDS {
        return Err("the assertion is over");
    }
    if expires > now + ASSERTION_SECONDS_MAX + LEEWAY_SECONDS {
        return Err("an assertion lives five minutes at most");
    }
    let later = |name: &str| token.instant(name).is_some_and(|at| at > now + LEEWAY_SECONDS);
    if later("iat") || later("nbf") {
        return Err("the assertion is not of now");
    }
    match token.text("jti").is_some_and(|jti| (1..=JTI_BYTES_MAX).contains(&jti.len())) {
        true => Ok(()),
        false => Err("the assertion has no jti"),
    }
}

/// Proves a client by its assertion (RFC 7523 §3).
///
/// # Errors
/// `invalid_client`; 503 when the client's keys cannot be fetched.
pub async fn assertion(by: &Ctx, client: &Client, token: &Token<'_>) -> Result<(), Denied> {
    let origin = origin(by).await?;
    assertion_is_good(token, &origin, by.now().timestamp()).map_err(invalid_client)?;
    if !token.is_signed_by(&client_keys(client, &origin).await?) {
        return Err(invalid_client("the assertion is not signed by a key of the client").into());
    }
    let jti = token.text("jti").unwrap_or_default();
    let used = || invalid_client("the assertion was used before");
    let client = client.id.to_string();
    let until = ASSERTION_SECONDS_MAX + 2 * LEEWAY_SECONDS;
    first(by, &["assertion", &client, jti], until, used).await
}

async fn client_keys(client: &Client, origin: &str) -> Result<Vec<Value>, Denied> {
    if let Some(set) = &client.jwks {
        return Ok(jose::keys(set));
    }
    let Some(address) = &client.jwks_uri else { return Ok(Vec::new()) };
    match outside::read(address, origin).await {
        Ok(set) => Ok(jose::keys(&set)),
        Err(Silence::Away(why)) => {
            let failure = Failure::msg(format!("fetch the keys of a client: {why}"));
            Err(Error::unavailable(failure).into())
        }
        Err(Silence::Wrong(why)) => {
            Err(invalid_client(format!("the client's keys cannot be fetched: {why}")).into())
        }
    }
}

/// Takes a proof, once. `what` says which it is; the digest stands for it.
async fn first(
    by: &Ctx,
    what: &[&str],
    seconds: i64,
    used: impl FnOnce() -> OauthError,
) -> Result<(), Denied> {
    let mut digest = Sha256::new();
    for part in what {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let until = by.now() + nexus_sdk::seconds(i32::try_from(seconds).unwrap_or(i32::MAX));
    let take = store::proofs::take(&digest.finalize(), until);
    match by.aside().commit([take.on_conflict_refuse("proof_once", ProofUsed)]).await {
        Ok(_) => Ok(()),
        Err(error) if error.is(&ProofUsed) => Err(used().into()),
        Err(error) => Err(error.into()),
    }
}

/// The thumbprint of the key that the sender of a request holds; none where it sends no proof.
///
/// # Errors
/// `invalid_dpop_proof` (RFC 9449 §5) for a proof of another request, another time, or used before.
pub async fn dpop(by: &Ctx, headers: &HeaderMap, path: &str) -> Result<Option<String>, Denied> {
    let mut sent = headers.get_all("dpop").iter();
    let proof = match (sent.next(), sent.next()) {
        (None, _) => return Ok(None),
        (Some(proof), None) => proof.to_str().unwrap_or_default(),
        (Some(_), Some(_)) => return Err(invalid_dpop_proof("there are several proofs").into()),
    };
    let target = format!("{}{path}", origin(by).await?);
    let (jkt, jti) = holder(proof, &target, by.now().timestamp()).map_err(invalid_dpop_proof)?;
    let used = || invalid_dpop_proof("the proof was used before");
    first(by, &["dpop", &jkt, &jti], 2 * (PROOF_AGE_SECONDS_MAX + LEEWAY_SECONDS), used).await?;
    Ok(Some(jkt))
}

/// Thumbprint and `jti` of a proof for a POST to `target` (RFC 9449 §4.3). Pure.
fn holder(proof: &str, target: &str, now: i64) -> Result<(String, String), &'static str> {
    const MALFORMED: &str = "the proof is malformed";
    let token = Token::read(proof).ok_or(MALFORMED)?;
    if !token.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case("dpop+jwt")) {
        return Err(MALFORMED);
    }
    // As the data plane has it: it would refuse tokens that are bound to a key of another kind.
    if token.algorithm == jose::Algorithm::Rs256 {
        return Err("a proof is signed by ES256 or EdDSA");
    }
    let jwk = token.jwk.clone().ok_or(MALFORMED)?;
    let jkt = jose::thumbprint(&jwk).ok_or(MALFORMED)?;
    // The key is the one that came along, whatever it is called.
    let mut nameless = jwk;
    if let (Some(members), None) = (nameless.as_object_mut(), &token.kid) {
        members.remove("kid");
    }
    if !token.is_signed_by(&[nameless]) {
        return Err("the proof's signature does not match");
    }
    let about = token.text("htu").and_then(|htu| Url::parse(htu).ok());
    let bare = about.as_ref().is_some_and(|it| it.query().is_none() && it.fragment().is_none());
    if token.text("htm") != Some("POST") || !bare || about != Url::parse(target).ok() {
        return Err("the proof is for another request");
    }
    let made = token.instant("iat").ok_or(MALFORMED)?;
    if made > now + LEEWAY_SECONDS || made < now - PROOF_AGE_SECONDS_MAX - LEEWAY_SECONDS {
        return Err("the proof is not of now");
    }
    let jti = token.text("jti").filter(|jti| (1..=JTI_BYTES_MAX).contains(&jti.len()));
    Ok((jkt, jti.ok_or(MALFORMED)?.to_owned()))
}

/// Whether a text can be a thumbprint (RFC 7638).
pub fn is_thumbprint(text: &str) -> bool {
    let url_safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.len() == 43 && text.bytes().all(url_safe)
}

#[cfg(test)]
#[path = "proofs_tests.rs"]
mod tests;
