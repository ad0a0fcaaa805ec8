//! Leaving: a program sends a person here to sign out (OpenID Connect RP-Initiated Logout), and
//! programs are told that a session is over (Back-Channel Logout).

use crate::authorize::see_other;
use crate::oauth::{Parameters, form};
use crate::peers::{self, Mint};
use crate::{origin, redirects, store};
use identity_contract::auth::LogoutDue;
use identity_contract::session_mgr::SessionRevoked;
use identity_contract::users::UserErased;
use nexus_sdk::axum::http::{HeaderValue, Method, Uri};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Map;
use nexus_sdk::{Unanswered, letter, retry_after};
use std::time::Duration;

/// Back-Channel Logout §2.5 asks for prompt answers.
const TELL_WALL: Duration = Duration::from_secs(10);
const LOGOUT_TOKEN_SECONDS: i64 = 120;
const AGAIN: Duration = Duration::from_secs(30);
/// The event that a logout token stands for (Back-Channel Logout §2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

pub fn router() -> Router {
    Router::new().route("/oauth2/logout", get(by_link).post(by_form))
}

async fn by_link(by: Public, uri: Uri) -> Result<Response> {
    let query = uri.query().unwrap_or_default().as_bytes();
    leave(&by, Parameters::parse(query).unwrap_or_default()).await
}

async fn by_form(by: Public, headers: HeaderMap, body: Bytes) -> Result<Response> {
    leave(&by, form(&headers, &body).unwrap_or_default()).await
}

/// Signs out at once where the hint names the person that is signed in; asks otherwise, since a
/// link of anybody's must not sign people out.
async fn leave(by: &Ctx, parameters: Parameters) -> Result<Response> {
    let hint = match parameters.get("id_token_hint") {
        Some(token) => Some(peers::introspect(token).await?),
        None => None,
    };
    let hinted = |name: &str| hint.as_ref().and_then(|claims| claims.get(name)?.as_str());
    // An ID token that has expired still tells where its client may be: only to addresses that the
    // client has registered is anybody sent.
    let claimed = parameters.get("id_token_hint").and_then(crate::telling::payload);
    let claimed = claimed.as_ref().and_then(|claims| claims.get("aud")?.as_str());
    let client = parameters.get("client_id").or(claimed);
    let back = back_to(by, client, &parameters).await?;
    let who = by.principal();
    let Some(session) = &who.session else {
        return Ok(see_other(back.as_deref().unwrap_or("/account/sign-in")));
    };
    if hinted("sub") != Some(who.subject.as_str()) {
        return Ok(see_other("/account/sign-out"));
    }
    peers::end_session(session).await?;
    let mut response = see_other(back.as_deref().unwrap_or("/account/sign-in"));
    let secure = origin(by).await?.starts_with("https:");
    let gone = match secure {
        true => "__Host-nexus-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
        false => "nexus-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
    };
    response.headers_mut().insert(header::SET_COOKIE, HeaderValue::from_static(gone));
    Ok(response)
}

/// Where the client wants the person back, if it has registered that.
async fn back_to(
    by: &Ctx,
    client: Option<&str>,
    parameters: &Parameters,
) -> Result<Option<String>> {
    let address = parameters.get("post_logout_redirect_uri");
    let client = client.and_then(|id| id.parse().ok());
    let (Some(address), Some(id)) = (address, client) else { return Ok(None) };
    let client = store::clients::find_active(by.db(), id).await?;
    let registered = client
        .is_some_and(|client| redirects::is_registered(address, &client.post_logout_redirect_uris));
    let state = parameters.get("state").map(|state| ("state", state));
    Ok(registered.then(|| match state {
        Some(state) => redirects::with(address, &[state]),
        None => address.to_owned(),
    }))
}

/// One order for each program that got tokens in the session.
pub async fn on_session_revoked(ctx: Ctx, event: SessionRevoked) -> Result<NoContent> {
    let session = event.id.to_string();
    let clients = store::sessions::clients(ctx.db(), &session).await?;
    let orders = clients.into_iter().map(|client| {
        emit(LogoutDue { session: session.clone(), subject: event.subject.clone(), client })
    });
    let mut writes: Vec<Write> = orders.collect();
    writes.push(store::sessions::forget(&session));
    ctx.commit(writes).await
}

/// Tells one program; again later when it does not answer.
pub async fn on_logout_due(ctx: Ctx, event: LogoutDue) -> Result<NoContent> {
    let client = store::clients::find_active(ctx.db(), event.client).await?;
    let Some((client, address)) = client.and_then(|client| {
        let address = client.logout_uri.clone()?;
        Some((client, address))
    }) else {
        return Ok(NoContent);
    };
    let mut claims = Map::new();
    claims.insert("events".into(), json!({ EVENT: {} }));
    let audience = client.id.to_string();
    let mint = Mint {
        subject: &event.subject,
        kind: "user",
        typ: "logout+jwt",
        audience: &audience,
        lifetime_seconds: LOGOUT_TOKEN_SECONDS,
        not_after: None,
        scope: None,
        session: Some(&event.session),
        organisation: None,
        client_id: None,
        jkt: None,
        alg: client.id_token_alg.name(),
        auth_time: None,
        acr: None,
        claims,
    };
    let token = peers::mint(&mint).await?.token;
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    let told = letter(Method::POST, address)
        .header(header::CONTENT_TYPE, kind)
        .body(format!("logout_token={token}"))
        .send(TELL_WALL, 0)
        .await;
    match told {
        Ok(echo) if echo.status.is_server_error() => {
            Err(retry_after(AGAIN, format!("{} answered {}", client.id, echo.status)))
        }
        // Any other answer is the program's last word (§2.8).
        Ok(_) => Ok(NoContent),
        Err(Unanswered::Away(why)) => Err(retry_after(AGAIN, why)),
        Err(Unanswered::Refused(_)) => Ok(NoContent),
    }
}

/// Nothing is kept of people who are gone.
pub async fn on_user_erased(ctx: Ctx, event: UserErased) -> Result<NoContent> {
    let subject = event.id.to_string();
    ctx.commit([
        store::consents::forget_person(&subject),
        store::sessions::forget_person(&subject),
        store::upstreams::forget_person(&subject),
    ])
    .await
}
