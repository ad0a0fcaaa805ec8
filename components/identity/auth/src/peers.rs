//! What other services do for this one: `token-mgr` makes tokens, `users` knows people,
//! `session-mgr` ends sessions, `user-auth` lets people in, `kms` seals. Knows their routes;
//! refuses to know how they do it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity_contract::auth::UpstreamId;
use identity_contract::{ClientId, TokenFamilyId};
use nexus_sdk::Reply;
use nexus_sdk::axum::http::{HeaderName, HeaderValue};
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
    /// Thumbprint of the key that the access token is bound to.
    pub jkt: Option<&'a str>,
    /// Whether refresh tokens are, too.
    pub refresh_bound: bool,
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
pub async fn refresh(
    token: &str,
    client: ClientId,
    scope: Option<&str>,
    jkt: Option<&str>,
) -> Result<Option<Tokens>> {
    let body = json!({ "refresh_token": token, "client_id": client, "scope": scope, "jkt": jkt });
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
    /// Unix seconds; it is over by then, however long it was to live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<i64>,
    pub scope: Option<String>,
    pub session: Option<&'a str>,
    pub organisation: Option<&'a str>,
    pub client_id: Option<ClientId>,
    /// Thumbprint of the key that an access token is bound to.
    pub jkt: Option<&'a str>,
    /// `ES256`, or `RS256` for what only a client reads.
    pub alg: &'a str,
    pub auth_time: Option<i64>,
    pub acr: Option<&'a str>,
    pub claims: Map<String, Value>,
}

#[derive(Deserialize)]
pub struct Minted {
    pub token: String,
    pub expires_at: Time,
}

/// # Errors
/// 503 when `token-mgr` is away.
pub async fn mint(mint: &Mint<'_>) -> Result<Minted> {
    call("token-mgr").post(format!("{TOKENS}/mint")).json(mint).read().await
}

/// As [`mint`]; None once the end that is asked for has passed.
///
/// # Errors
/// 503 when `token-mgr` is away.
pub async fn mint_in_time(mint: &Mint<'_>) -> Result<Option<Minted>> {
    let asked = call("token-mgr").post(format!("{TOKENS}/mint")).json(mint);
    in_time(&asked.send().await?)
}

fn in_time(reply: &Reply) -> Result<Option<Minted>> {
    if reply.status.is_success() {
        return read(&reply.body, "read a token of token-mgr").map(Some);
    }
    let problem = reply.problem();
    match problem.is_some_and(|problem| problem.r#type.ends_with("/token-lifetime")) {
        true => Ok(None),
        false => Err(away("token-mgr", reply.status.as_u16())),
    }
}

/// What is known of a token (RFC 7662 §2.2).
///
/// # Errors
/// 503 when `token-mgr` is away.
pub async fn introspect(token: &str) -> Result<Map<String, Value>> {
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        // No token of ours; token-mgr would not even take it for a question.
        return Ok(Map::from_iter([("active".to_owned(), false.into())]));
    }
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

/// Whose address it is.
///
/// # Errors
/// 503 when `users` is away.
pub async fn person_of_address(email: &str) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Known {
        id: String,
    }
    let query: String = form_urlencoded::byte_serialize(email.as_bytes()).collect();
    let path = format!("/api/users/v1/internal/users/by-email?email={query}");
    let reply = call("users").get(path).send().await?;
    match reply.status.as_u16() {
        200 => read::<Known>(&reply.body, "read whose address it is").map(|known| Some(known.id)),
        // What is no address has no account.
        404 | 422 => Ok(None),
        status => Err(away("users", status)),
    }
}

/// Makes an account for an address that a provider vouches for.
///
/// # Errors
/// What `users` refuses: a policy that takes no new accounts, or not this address.
pub async fn register(email: &str, name: Option<&str>) -> Result<String> {
    #[derive(Deserialize)]
    struct Made {
        id: String,
    }
    // A name that is too long is none; the person can give one later.
    let name = name.map(str::trim).filter(|name| {
        (1..=120).contains(&name.chars().count()) && !name.contains(char::is_control)
    });
    let body = json!({ "email": email, "email_verified": true, "display_name": name });
    let reply = call("users").post("/api/users/v1/internal/users").json(&body).send().await?;
    match reply.status.as_u16() {
        201 => read::<Made>(&reply.body, "read the account that users made").map(|made| made.id),
        409 => Err(crate::upstream_login::AccountExists.into()),
        403 | 422 => {
            let told = reply.problem().map(|problem| problem.detail).unwrap_or_default();
            Err(crate::upstream_login::AccountNeeded.because(told).into())
        }
        status => Err(away("users", status)),
    }
}

/// Whoever came in, or is asked for more: the words of `user-auth` for the browser.
pub struct Entered {
    pub value: Map<String, Value>,
    pub cookies: Vec<HeaderValue>,
}

/// Lets somebody in whom a provider has named. `unclaimed` where nobody may be able to come into
/// the account yet. `headers` say which browser it is.
///
/// # Errors
/// What `user-auth` refuses: a suspended account, one that somebody can come into.
pub async fn enter(subject: &str, headers: &HeaderMap, unclaimed: bool) -> Result<Entered> {
    let body = json!({ "user": subject, "amr": ["fed"], "unclaimed": unclaimed });
    let mut asked = call("user-auth").post("/api/user-auth/v1/internal/entrances").json(&body);
    for (name, value) in browser(headers) {
        asked = asked.header(name, value);
    }
    let reply = asked.send().await?;
    match reply.status.as_u16() {
        200 => Ok(Entered {
            value: read(&reply.body, "read how user-auth lets somebody in")?,
            cookies: reply.headers.get_all(header::SET_COOKIE).iter().cloned().collect(),
        }),
        404 => Err(standard::NotFound.into()),
        409 => Err(crate::upstream_login::AccountExists.into()),
        403 => {
            let told = reply.problem().map(|problem| problem.detail).unwrap_or_default();
            Err(standard::Forbidden.because(told).into())
        }
        status => Err(away("user-auth", status)),
    }
}

/// Where a request came from: what our own front end says of its visitor, and otherwise what the
/// host saw.
fn browser(headers: &HeaderMap) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
    let front = headers.get("nexus-caller").is_some_and(|caller| caller == "frontend-app");
    let pairs = match front {
        true => [
            ("nexus-client-addr", "nexus-client-addr"),
            ("nexus-client-agent", "nexus-client-agent"),
        ],
        false => [("spin-client-addr", "nexus-client-addr"), ("user-agent", "nexus-client-agent")],
    };
    pairs
        .into_iter()
        .filter_map(|(from, to)| Some((HeaderName::from_static(to), headers.get(from)?.clone())))
}

const UPSTREAM_KEY: &str = "/api/kms/v1/internal/keys/upstreams";

/// Seals a provider's secret: only with the same provider's id it opens again.
///
/// # Errors
/// 503 when `kms` is away.
pub async fn seal(id: UpstreamId, secret: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Sealed {
        ciphertext: String,
    }
    let kind = json!({ "type": "aes256-gcm96", "tenant": true });
    let _made: Value = call("kms").post(UPSTREAM_KEY).json(&kind).read().await?;
    let body = json!({ "plaintext": STANDARD.encode(secret), "context": id, "tenant": true });
    let asked = call("kms").post(format!("{UPSTREAM_KEY}/encrypt")).json(&body);
    asked.read::<Sealed>().await.map(|sealed| sealed.ciphertext)
}

/// # Errors
/// 503 when `kms` is away.
pub async fn unseal(id: UpstreamId, ciphertext: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Open {
        plaintext: String,
    }
    let body = json!({ "ciphertext": ciphertext, "context": id, "tenant": true });
    let asked = call("kms").post(format!("{UPSTREAM_KEY}/decrypt")).json(&body);
    let open: Open = asked.read().await?;
    let bytes = STANDARD.decode(open.plaintext).context("decode an opened secret")?;
    Ok(String::from_utf8(bytes).context("read an opened secret")?)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &Value) -> Result<Option<String>> {
        let status = StatusCode::from_u16(status).unwrap();
        let reply = Reply { status, headers: HeaderMap::new(), body: body.to_string().into() };
        in_time(&reply).map(|minted| minted.map(|minted| minted.token))
    }

    #[test]
    fn an_end_that_has_passed_is_no_fault_of_whoever_mints() {
        let minted = json!({ "token": "a.b.c", "expires_at": "2026-01-01T00:00:00Z" });
        assert_eq!(said(200, &minted).unwrap().as_deref(), Some("a.b.c"));
        let problem = |name: &str, status: u16| {
            let kind = format!("/problems/token-mgr/{name}");
            json!({ "type": kind, "title": name, "status": status, "detail": "" })
        };
        assert_eq!(said(422, &problem("token-lifetime", 422)).unwrap(), None);
        assert!(said(422, &problem("claim-reserved", 422)).is_err());
        assert!(said(503, &problem("unavailable", 503)).is_err());
    }
}
