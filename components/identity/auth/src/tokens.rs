//! `/oauth2/token`: what a client gets for a code, a refresh token, a device code, or its own name.

use crate::clients::{
    self, AUTHORIZATION_CODE, Client, ClientKind, DEVICE_CODE, GRANT_TYPES, REFRESH_TOKEN,
    TOKEN_EXCHANGE,
};
use crate::codes::Code;
use crate::oauth::{
    Denied, Parameters, answer, form, invalid_dpop_proof, invalid_grant, unauthorized_client,
    unsupported_grant_type,
};
use crate::peers::{self, Grant, Mint, Tokens};
use crate::{device, exchange, proofs, scopes, secrets, store};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Map;

/// As long as an access token of a person.
pub const ACCESS_SECONDS: i64 = 600;
const ID_SECONDS: i64 = 600;

nexus_sdk::refusals! {
    CodeUsed = 409, "this code was used before"
}

pub fn router() -> Router {
    Router::new().route("/oauth2/token", post(token))
}

async fn token(by: Public, headers: HeaderMap, body: Bytes) -> Result<Response> {
    answer(granted(&by, &headers, &body).await.map(|body| Secret(Json(body))))
}

/// RFC 6749 §5.1, with what OpenID Connect adds.
#[derive(Serialize)]
pub struct Granted {
    pub access_token: String,
    pub token_type: &'static str,
    pub expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// RFC 8693 §2.2.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<&'static str>,
    pub scope: String,
}

/// How a token is shown: with a proof of the key that it is bound to, if it is (RFC 9449 §5).
pub fn token_type(jkt: Option<&str>) -> &'static str {
    if jkt.is_some() { "DPoP" } else { "Bearer" }
}

async fn granted(by: &Ctx, headers: &HeaderMap, body: &[u8]) -> Result<Granted, Denied> {
    let form = form(headers, body)?;
    let kind = form.need("grant_type")?;
    if !GRANT_TYPES.contains(&kind) {
        return Err(unsupported_grant_type("this grant type is not known").into());
    }
    let client = clients::authenticate(by, headers, &form).await?;
    if !client.grant_types.iter().any(|grant| grant == kind) {
        return Err(unauthorized_client("this client may not use that grant type").into());
    }
    let jkt = proofs::dpop(by, headers, "/oauth2/token").await?;
    if client.dpop_bound && jkt.is_none() {
        return Err(invalid_dpop_proof("this client shows a proof of its key").into());
    }
    let jkt = jkt.as_deref();
    match kind {
        AUTHORIZATION_CODE => for_code(by, &client, &form, jkt).await,
        REFRESH_TOKEN => for_refresh(&client, &form, jkt).await,
        DEVICE_CODE => for_device(by, &client, &form, jkt).await,
        TOKEN_EXCHANGE => exchange::exchanged(by, &client, &form, jkt).await,
        _ => for_itself(&client, &form, jkt).await,
    }
}

async fn for_code(
    by: &Ctx,
    client: &Client,
    form: &Parameters,
    jkt: Option<&str>,
) -> Result<Granted, Denied> {
    let digest = secrets::digest(form.need("code")?);
    let code = store::codes::find(by.db(), &digest).await?;
    // One sentence for all that can be wrong: a thief learns nothing.
    let refused = || invalid_grant("the code is unknown, used or expired, or not for this client");
    let code = code.ok_or_else(refused)?;
    let address = form.get("redirect_uri");
    let fits = code.client_id == client.id
        && code.expires_at > by.now()
        && address == Some(code.redirect_uri.as_str())
        && (code.jkt.is_none() || code.jkt.as_deref() == jkt)
        && secrets::verifies(form.get("code_verifier").unwrap_or_default(), &code.challenge);
    if code.used_at.is_some() && code.client_id == client.id {
        // Whoever was first may have been a thief (RFC 6749 §4.1.2).
        peers::end_family(code.family).await?;
    }
    if code.used_at.is_some() || !fits {
        return Err(refused().into());
    }
    let taken = by
        .commit([
            store::codes::take(&digest, by.now()).or_refuse(CodeUsed),
            store::families::note(code.family, client.id, &code.subject, by.now()),
        ])
        .await;
    match taken {
        Ok(_) => {}
        Err(error) if error.is(&CodeUsed) => {
            peers::end_family(code.family).await?;
            return Err(refused().into());
        }
        Err(error) => return Err(error.into()),
    }
    let wants_refresh = client.grant_types.iter().any(|grant| grant == REFRESH_TOKEN);
    let refresh = wants_refresh && code.scopes.iter().any(|scope| scope == "offline_access");
    let grant = Grant {
        family: code.family,
        subject: &code.subject,
        client_id: client.id,
        scope: code.scopes.join(" "),
        session: code.session.as_deref(),
        organisation: code.organisation.as_deref(),
        auth_time: code.auth_time.map(|at| at.timestamp()),
        acr: code.acr.as_deref(),
        refresh,
        jkt,
        refresh_bound: client.kind == ClientKind::Public,
    };
    let tokens = peers::open(&grant).await?;
    remember_session(by, client, &code).await?;
    Ok(with_id_token(client, tokens, code.nonce.as_deref(), jkt).await?)
}

/// A client is told when a session ends in which it got tokens.
async fn remember_session(by: &Ctx, client: &Client, code: &Code) -> Result<()> {
    let (Some(session), Some(_)) = (&code.session, &client.logout_uri) else {
        return Ok(());
    };
    let note = store::sessions::note(session, client.id, &code.subject, by.now());
    by.aside().commit([note]).await.map(drop)
}

async fn for_refresh(
    client: &Client,
    form: &Parameters,
    jkt: Option<&str>,
) -> Result<Granted, Denied> {
    let token = form.need("refresh_token")?;
    let scope = form.get("scope");
    if scope.is_some() {
        let allowed = [client.scopes.as_slice(), &["offline_access".to_owned()]].concat();
        scopes::granted(&form.words("scope"), &allowed)?;
    }
    let tokens = peers::refresh(token, client.id, scope, jkt).await?;
    let refused = || invalid_grant("the refresh token is unknown, used, expired or revoked");
    let tokens = tokens.ok_or_else(refused)?;
    Ok(with_id_token(client, tokens, None, jkt).await?)
}

async fn for_device(
    by: &Ctx,
    client: &Client,
    form: &Parameters,
    jkt: Option<&str>,
) -> Result<Granted, Denied> {
    let waiting = device::redeem(by, client, form.need("device_code")?).await?;
    let subject = waiting.subject.as_deref().unwrap_or_default();
    let refresh = client.grant_types.iter().any(|grant| grant == REFRESH_TOKEN)
        && waiting.scopes.iter().any(|scope| scope == "offline_access");
    let grant = Grant {
        family: waiting.family,
        subject,
        client_id: client.id,
        scope: waiting.scopes.join(" "),
        session: None,
        organisation: None,
        auth_time: waiting.auth_time.map(|at| at.timestamp()),
        acr: waiting.acr.as_deref(),
        refresh,
        jkt,
        refresh_bound: client.kind == ClientKind::Public,
    };
    Ok(with_id_token(client, peers::open(&grant).await?, None, jkt).await?)
}

/// A client that acts for itself carries its permissions in the token: there is no person whose
/// permissions could be looked up.
async fn for_itself(
    client: &Client,
    form: &Parameters,
    jkt: Option<&str>,
) -> Result<Granted, Denied> {
    if client.kind != ClientKind::Confidential {
        return Err(unauthorized_client("a public client cannot act for itself").into());
    }
    let wanted = form.words("scope");
    let permissions = match wanted.is_empty() {
        true => client.permissions.clone(),
        false => scopes::granted(&wanted, &client.permissions)?,
    };
    let subject = client.id.to_string();
    let scope = permissions.join(" ");
    let mut claims = Map::new();
    claims.insert("permissions".into(), permissions.into());
    let mint = Mint {
        subject: &subject,
        kind: "service",
        typ: "at+jwt",
        audience: "nexus",
        lifetime_seconds: ACCESS_SECONDS,
        not_after: None,
        scope: Some(scope.clone()),
        session: None,
        organisation: None,
        client_id: Some(client.id),
        jkt,
        alg: "ES256",
        auth_time: None,
        acr: None,
        claims,
    };
    Ok(Granted {
        access_token: peers::mint(&mint).await?.token,
        token_type: token_type(jkt),
        expires_in: ACCESS_SECONDS,
        refresh_token: None,
        id_token: None,
        issued_token_type: None,
        scope,
    })
}

/// Adds an ID token (OpenID Connect Core §2) where `openid` was asked for.
async fn with_id_token(
    client: &Client,
    tokens: Tokens,
    nonce: Option<&str>,
    jkt: Option<&str>,
) -> Result<Granted> {
    let wanted = tokens.scope.split(' ').any(|word| word == "openid");
    let id_token = match wanted {
        true => Some(id_token(client, &tokens, nonce).await?),
        false => None,
    };
    Ok(Granted {
        access_token: tokens.access_token,
        token_type: token_type(jkt),
        expires_in: tokens.expires_in,
        refresh_token: tokens.refresh_token,
        id_token,
        issued_token_type: None,
        scope: tokens.scope,
    })
}

async fn id_token(client: &Client, tokens: &Tokens, nonce: Option<&str>) -> Result<String> {
    let mut claims = Map::new();
    claims.insert("at_hash".into(), secrets::half_digest(&tokens.access_token).into());
    claims.insert("azp".into(), client.id.to_string().into());
    if let Some(nonce) = nonce {
        claims.insert("nonce".into(), nonce.into());
    }
    let audience = client.id.to_string();
    let mint = Mint {
        subject: &tokens.subject,
        kind: "user",
        typ: "JWT",
        audience: &audience,
        lifetime_seconds: ID_SECONDS,
        not_after: None,
        scope: None,
        session: tokens.session.as_deref(),
        organisation: None,
        client_id: None,
        jkt: None,
        alg: client.id_token_alg.name(),
        auth_time: tokens.auth_time,
        acr: tokens.acr.as_deref(),
        claims,
    };
    Ok(peers::mint(&mint).await?.token)
}
