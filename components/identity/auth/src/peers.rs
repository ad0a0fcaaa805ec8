//! What other services do for this one: `token-mgr` makes tokens, `users` knows people,
//! `session-mgr` ends sessions. Knows their routes; refuses to know how they do it.

use identity_contract::{ClientId, TokenFamilyId};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value};

/// Tokens of one family, for one client.
#[derive(Serialize)]
pub struct Grant<'a> {
    pub family: TokenFamilyId,
    pub subject: &'a str,
    pub client_id: ClientId,
    pub scope: String,
    pub session: Option<&'a str>,
    pub organisation: Option<&'a str>,
    pub auth_time: Option<i64>,
    pub acr: Option<&'a str>,
    /// Whether the client may come back without the person.
    pub refresh: bool,
}

/// What `token-mgr` gives for a grant or a refresh token.
#[derive(Deserialize)]
pub struct Tokens {
    pub access_token: String,
    pub expires_in: i64,
    #[serde(default)]
    pub refresh_token: Option<String>,
    pub scope: String,
    pub subject: String,
    #[serde(default)]
    pub session: Option<String>,
    #[serde(default)]
    pub auth_time: Option<i64>,
    #[serde(default)]
    pub acr: Option<String>,
}

const TOKENS: &str = "/api/token-mgr/v1/internal";

/// Opens a family.
///
/// # Errors
/// 503 when `token-mgr` is away.
pub async fn open(grant: &Grant<'_>) -> Result<Tokens> {
    call("token-mgr").post(format!("{TOKENS}/families")).json(grant).read().await
}

/// The next tokens of a family, or none when the refresh token is worth nothing.
///
/// # Errors
/// 503 when `token-mgr` is away.
pub async fn refresh(token: &str, client: ClientId, scope: Option<&str>) -> Result<Option<Tokens>> {
    let body = json!({ "refresh_token": token, "client_id": client, "scope": scope });
    let asked = call("token-mgr").post(format!("{TOKENS}/families/refresh")).json(&body);
    let reply = asked.send().await?;
    match reply.status.as_u16() {
        200 => Ok(Some(read(&reply.body, "read the tokens of token-mgr")?)),
        400..=422 => Ok(None),
        status => Err(away("token-mgr", status)),
    }
}

/// Ends a family and every token of it.
///
/// # Errors
/// 503 when `token-mgr` is away.
pub async fn end_family(family: TokenFamilyId) -> Result<()> {
    let reply = call("token-mgr").delete(format!("{TOKENS}/families/{family}")).send().await?;
    match reply.status.as_u16() {
        // One that never came to be has no tokens either.
        200..=299 | 404 => Ok(()),
        status => Err(away("token-mgr", status)),
    }
}

/// A signed token that is no access token for a person: an ID token, a logout token, or an access
/// token of a client that acts for itself.
#[derive(Serialize)]
pub struct Mint<'a> {
    pub subject: &'a str,
    pub kind: &'a str,
    pub typ: &'a str,
    pub audience: &'a str,
    pub lifetime_seconds: i64,
    pub scope: Option<String>,
    pub session: Option<&'a str>,
    pub client_id: Option<ClientId>,
    pub auth_time: Option<i64>,
    pub acr: Option<&'a str>,
    pub claims: Map<String, Value>,
}

#[derive(Deserialize)]
struct Minted {
    token: String,
}

/// # Errors
/// 503 when `token-mgr` is away.
pub async fn mint(mint: &Mint<'_>) -> Result<String> {
    let minted: Minted = call("token-mgr").post(format!("{TOKENS}/mint")).json(mint).read().await?;
    Ok(minted.token)
}

/// What is known of a token (RFC 7662 §2.2).
///
/// # Errors
/// 503 when `token-mgr` is away.
pub async fn introspect(token: &str) -> Result<Map<String, Value>> {
    let body = json!({ "token": token });
    call("token-mgr").post(format!("{TOKENS}/introspect")).json(&body).read().await
}

/// Ends whatever the token stands for, if it belongs to the client.
///
/// # Errors
/// 503 when `token-mgr` is away.
pub async fn revoke(token: &str, client: ClientId) -> Result<()> {
    let body = json!({ "token": token, "client_id": client });
    let reply = call("token-mgr").post(format!("{TOKENS}/revoke")).json(&body).send().await?;
    match reply.status.as_u16() {
        200..=499 => Ok(()),
        status => Err(away("token-mgr", status)),
    }
}

/// A person, as `users` knows them.
#[derive(Deserialize)]
pub struct Person {
    pub email: Option<String>,
    #[serde(default)]
    pub email_verified: bool,
    #[serde(default)]
    pub display_name: Option<String>,
    #[serde(default)]
    pub locale: Option<String>,
}

/// # Errors
/// 404 for one who is gone, 503 when `users` is away.
pub async fn person(subject: &str) -> Result<Person> {
    // A subject of a token is a user's id; anything else is nobody.
    let id: Uuid = subject.parse().map_err(|_| standard::NotFound)?;
    let reply = call("users").get(format!("/api/users/v1/internal/users/{id}")).send().await?;
    match reply.status.as_u16() {
        200 => read(&reply.body, "read a person of users"),
        404 => Err(standard::NotFound.into()),
        status => Err(away("users", status)),
    }
}

/// Ends the session of whoever asks.
///
/// # Errors
/// 503 when `session-mgr` is away.
pub async fn end_session(session: &str) -> Result<()> {
    let path = format!("/api/session-mgr/v1/sessions/{session}");
    let reply = call("session-mgr").delete(path).send().await?;
    match reply.status.as_u16() {
        200..=299 | 404 => Ok(()),
        status => Err(away("session-mgr", status)),
    }
}

fn read<T: nexus_sdk::serde::de::DeserializeOwned>(body: &[u8], what: &'static str) -> Result<T> {
    Ok(serde_json::from_slice(body).map_err(|why| Failure::new(why).context(what))?)
}

fn away(service: &str, status: u16) -> Error {
    Error::unavailable(Failure::msg(format!("{service} answered {status}")))
}
