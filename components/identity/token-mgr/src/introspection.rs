//! What a token stands for now, and the giving back of one. Every kind is known by its digest:
//! whoever shows one that is in our tables shows one that we made, so that no signature is verified
//! again and no claim is believed unseen.

use crate::families::{self, Door};
use crate::opaque::{API_KEY_PREFIX, REFRESH_PREFIX, digest};
use crate::{api_keys, jose, store};
use nexus_sdk::prelude::*;
use serde_json::{Map, Value};

/// RFC 7662 §2.2: of a token that is worth nothing, nothing is told.
///
/// # Errors
/// 503 when session-mgr is away.
pub async fn introspect(by: &Ctx, token: &str) -> Result<Map<String, Value>> {
    let told = if token.starts_with(REFRESH_PREFIX) {
        refresh_token(by, token).await?
    } else if token.starts_with(API_KEY_PREFIX) {
        api_key(by, token).await?
    } else {
        signed(by, token).await?
    };
    Ok(told.unwrap_or_else(|| object(json!({ "active": false }))))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => {
            members.into_iter().filter(|(_, value)| !value.is_null()).collect()
        }
        _ => Map::new(),
    }
}

async fn refresh_token(by: &Ctx, token: &str) -> Result<Option<Map<String, Value>>> {
    let kept = store::families::token(by.db(), &digest(token)).await?;
    let Some(kept) = kept.filter(|kept| kept.used_at.is_none()) else {
        return Ok(None);
    };
    let family = kept.family;
    if family.ended || family.expires_at <= by.now() || !families::still_good(by, &family).await? {
        return Ok(None);
    }
    Ok(Some(object(json!({
        "active": true,
        "token_type": "refresh_token",
        "client_id": family.client_id,
        "scope": family.scope,
        "sub": family.subject,
        "org": family.organisation,
        "sid": family.session,
        "tenant": by.tenant(),
        "iat": family.created_at.timestamp(),
        "exp": family.expires_at.timestamp(),
    }))))
}

async fn api_key(by: &Ctx, token: &str) -> Result<Option<Map<String, Value>>> {
    let Some(key) = store::api_keys::of_digest(by.db(), &digest(token), by.now()).await? else {
        return Ok(None);
    };
    let organisation = key.organisation.as_deref();
    if store::subjects::permissions(by.db(), &key.subject, organisation).await?.is_none() {
        return Ok(None);
    }
    Ok(Some(object(json!({
        "active": true,
        "token_type": "api_key",
        "client_id": key.id,
        "scope": key.permissions.map(|words| words.join(" ")),
        "sub": key.subject,
        "org": key.organisation,
        "tenant": by.tenant(),
        "iat": key.created_at.timestamp(),
        "exp": key.expires_at.timestamp(),
    }))))
}

async fn signed(by: &Ctx, token: &str) -> Result<Option<Map<String, Value>>> {
    let issued = store::issued::find(by.db(), &digest(token), by.now()).await?;
    let (Some(issued), Some(mut claims)) = (issued, jose::claims(token)) else {
        return Ok(None);
    };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    // A program that acts for itself is nobody's subject.
    if text("kind") == Some("user") {
        let held = store::subjects::permissions(by.db(), &issued.subject, text("org")).await?;
        if held.is_none() {
            return Ok(None);
        }
    }
    if let Some(session) = &issued.session
        && !families::session_stands(session).await?
    {
        return Ok(None);
    }
    claims.insert("active".into(), true.into());
    let bound = claims.get("cnf").is_some_and(|key| key.get("jkt").is_some());
    claims.insert("token_type".into(), if bound { "DPoP" } else { "Bearer" }.into());
    Ok(Some(claims))
}

/// Ends what the token stands for: a refresh token its family, a signed token itself, a key itself.
/// Of somebody else's client, or where there is none, nothing; the answer is the same.
pub async fn revoke(by: &Ctx, door: Door, token: &str, client: &str) -> Result<NoContent> {
    if token.starts_with(REFRESH_PREFIX) {
        let kept = store::families::token(by.db(), &digest(token)).await?;
        let own = kept.map(|kept| kept.family).filter(|family| {
            family.client_id == client && family.by_auth == (door == Door::Auth) && !family.ended
        });
        if let Some(family) = own {
            families::end(by, &family, "revoked").await?;
        }
    } else if token.starts_with(API_KEY_PREFIX) {
        if let Some(key) = store::api_keys::of_digest(by.db(), &digest(token), by.now()).await? {
            api_keys::end(by, &key).await?;
        }
    } else if let Some(issued) = store::issued::find(by.db(), &digest(token), by.now()).await? {
        if issued.client_id.as_deref() == Some(client) {
            by.commit([
                store::issued::revoke(issued.jti, by.now()),
                store::issued::revoke_everywhere(issued.jti, issued.expires_at),
            ])
            .await?;
        }
    }
    Ok(NoContent)
}
