//! What a provider says of itself (OpenID Connect Discovery) and of a person (its ID token), and
//! whether that is to be believed. Refuses to know who the person is here.

use crate::jose::{self, Algorithm, Token};
use crate::outside::{self, Silence};
use crate::secrets;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value};

/// For clocks that differ.
const LEEWAY_SECONDS: i64 = 60;
/// An ID token is fetched as soon as it is made.
const AGE_SECONDS_MAX: i64 = 600;

/// Where a provider does what.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub jwks_uri: String,
    pub userinfo_endpoint: Option<String>,
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// RFC 9207.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// A document that is about this issuer and names only addresses that may be asked.
    pub fn read(document: &Value, issuer: &str, origin: &str) -> Result<Self, Silence> {
        let wrong = |why: &str| Silence::Wrong(why.to_owned());
        let read = serde_json::from_value(document.clone());
        let metadata: Metadata = read.map_err(|_| wrong("its configuration lacks an endpoint"))?;
        if metadata.issuer != issuer {
            return Err(wrong("its configuration is of another issuer"));
        }
        let endpoints = [
            Some(&metadata.authorization_endpoint),
            Some(&metadata.token_endpoint),
            Some(&metadata.jwks_uri),
            metadata.userinfo_endpoint.as_ref(),
        ];
        if !endpoints.into_iter().flatten().all(|endpoint| outside::may_ask(endpoint, origin)) {
            return Err(wrong("its configuration names an address that is not https, by name"));
        }
        let methods = metadata.code_challenge_methods_supported.as_ref();
        match methods.is_none_or(|methods| methods.iter().any(|method| method == "S256")) {
            true => Ok(metadata),
            false => Err(wrong("it does not know PKCE by S256")),
        }
    }
}

/// Asks a provider what it says of itself; the document is kept as it came.
///
/// # Errors
/// [`Silence`] when it says nothing that can be used.
pub async fn describe(issuer: &str, origin: &str) -> Result<Value, Silence> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let document = outside::read(&address, origin).await?;
    Metadata::read(&document, issuer, origin)?;
    Ok(document)
}

/// Us, as the provider knows us.
pub struct Registered<'a> {
    pub client_id: &'a str,
    pub client_secret: Option<&'a str>,
    pub redirect_uri: &'a str,
}

#[derive(Deserialize)]
pub struct Tokens {
    pub id_token: String,
    #[serde(default)]
    pub access_token: Option<String>,
}

/// Exchanges a code.
///
/// # Errors
/// [`Silence`] when there are no tokens for it.
pub async fn redeem(
    metadata: &Metadata,
    registered: &Registered<'_>,
    code: &str,
    verifier: &str,
    origin: &str,
) -> Result<Tokens, Silence> {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", registered.redirect_uri),
        ("code_verifier", verifier),
    ];
    let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
    // Where nothing is said, it is the header (Discovery §3).
    let by_form = methods.is_some_and(|methods| {
        !methods.iter().any(|it| it == "client_secret_basic")
            && methods.iter().any(|it| it == "client_secret_post")
    });
    let authorization = match registered.client_secret {
        Some(secret) if !by_form => Some(basic(registered.client_id, secret)?),
        secret => {
            fields.push(("client_id", registered.client_id));
            fields.extend(secret.map(|secret| ("client_secret", secret)));
            None
        }
    };
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let sent = outside::send_form(&metadata.token_endpoint, origin, authorization, form);
    let echo = sent.await?;
    match echo.status.as_u16() {
        200 => serde_json::from_value(outside::body(&echo)?)
            .map_err(|_| Silence::Wrong("it gave no ID token".into())),
        status @ (429 | 500..) => Err(Silence::Away(format!("it answered {status}"))),
        // Its words are not repeated: they may name what only it should know.
        status => Err(Silence::Wrong(format!("it did not take the code ({status})"))),
    }
}

/// Both are form-encoded before they are joined (RFC 6749 §2.3.1).
fn basic(id: &str, secret: &str) -> Result<HeaderValue, Silence> {
    let encoded =
        |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let pair = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
    HeaderValue::try_from(format!("Basic {pair}"))
        .map_err(|_| Silence::Wrong("the client's secret is no text".into()))
}

/// What an ID token must be for.
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub access_token: Option<&'a str>,
    /// Unix seconds.
    pub now: i64,
}

/// The claims of an ID token that is signed by one of these keys and is meant for us, now (OpenID
/// Connect Core §3.1.3.7). The reason is told to whoever set the provider up.
pub fn believed(
    id_token: &str,
    keys: &[Value],
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, &'static str> {
    let token =
        Token::read(id_token).ok_or("the ID token is malformed or signed in no way of ours")?;
    // An access token or a logout token of the same provider is none (RFC 8725 §3.11).
    if token.typ.as_deref().is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt")) {
        return Err("what came is no ID token");
    }
    if !token.is_signed_by(keys) {
        return Err("the ID token is not signed by the provider");
    }
    if token.text("iss") != Some(expected.issuer) {
        return Err("the ID token is of another issuer");
    }
    if !token.is_for(&[expected.client_id]) {
        return Err("the ID token is for somebody else");
    }
    let azp = token.claims.get("azp");
    if token.audiences().len() > 1 && azp.is_none()
        || azp.is_some_and(|azp| azp != expected.client_id)
    {
        return Err("the ID token was made for another client");
    }
    let (Some(expires), Some(issued)) = (token.instant("exp"), token.instant("iat")) else {
        return Err("the ID token does not say when it ends");
    };
    if expires <= expected.now - LEEWAY_SECONDS {
        return Err("the ID token is over");
    }
    let future = issued > expected.now + LEEWAY_SECONDS
        || token.instant("nbf").is_some_and(|from| from > expected.now + LEEWAY_SECONDS);
    if future || issued < expected.now - AGE_SECONDS_MAX {
        return Err("the ID token is not of now");
    }
    if token.text("nonce") != Some(expected.nonce) {
        return Err("the ID token answers another question");
    }
    if let (Some(said), Some(access_token)) = (token.text("at_hash"), expected.access_token)
        // The hash of EdDSA is nowhere agreed upon.
        && token.algorithm != Algorithm::Eddsa
        && said != secrets::half_digest(access_token)
    {
        return Err("the access token is another one's");
    }
    let plain = |sub: &str| (1..=255).contains(&sub.len()) && !sub.contains(char::is_control);
    match token.text("sub").is_some_and(plain) {
        true => Ok(token.claims),
        false => Err("the ID token names nobody"),
    }
}

/// The provider's keys, as they are now.
///
/// # Errors
/// [`Silence`] when it shows none.
pub async fn keys(metadata: &Metadata, origin: &str) -> Result<Vec<Value>, Silence> {
    Ok(jose::keys(&outside::read(&metadata.jwks_uri, origin).await?))
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
