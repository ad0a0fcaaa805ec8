//! What is told about tokens and people: introspection, revocation, userinfo, and what this server
//! can do (discovery).

use crate::clients::{self, ClientKind};
use crate::jose::Algorithm;
use crate::oauth::{Denied, answer, form, unauthorized_client};
use crate::{origin, peers, scopes};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value};

nexus_sdk::refusals! {
    OpenidScope = 403, "this token was not issued for openid"
}

/// How clients prove themselves; the last is no proof.
const METHODS: [&str; 4] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];

/// Discovery is asked for by every client that starts.
const DISCOVERY_CACHE: HeaderValue = HeaderValue::from_static("public, max-age=3600");

pub fn router() -> Router {
    Router::new()
        .route("/oauth2/introspect", post(introspect))
        .route("/oauth2/revoke", post(revoke))
        .route("/oauth2/userinfo", get(userinfo).post(userinfo))
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/.well-known/oauth-authorization-server", get(discovery))
}

/// RFC 7662. Only a client that can prove who it is may ask.
async fn introspect(by: Public, headers: HeaderMap, body: Bytes) -> Result<Response> {
    answer(introspected(&by, &headers, &body).await.map(|known| Secret(Json(known))))
}

async fn introspected(
    by: &Ctx,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Map<String, Value>, Denied> {
    let form = form(headers, body)?;
    let client = clients::authenticate(by, headers, &form).await?;
    if client.kind != ClientKind::Confidential {
        return Err(unauthorized_client("only a client with a secret may ask").into());
    }
    Ok(peers::introspect(form.need("token")?).await?)
}

/// RFC 7009: an unknown token is as revoked as it can be.
async fn revoke(by: Public, headers: HeaderMap, body: Bytes) -> Result<Response> {
    answer(revoked(&by, &headers, &body).await)
}

async fn revoked(by: &Ctx, headers: &HeaderMap, body: &[u8]) -> Result<StatusCode, Denied> {
    let form = form(headers, body)?;
    let client = clients::authenticate(by, headers, &form).await?;
    peers::revoke(form.need("token")?, client.id).await?;
    Ok(StatusCode::OK)
}

/// Claims about the person of an access token (OpenID Connect Core §5.3), as far as its scopes go.
async fn userinfo(by: SignedIn) -> Result<Json<Map<String, Value>>> {
    // The host hands on the words of the token's scope; `*` is no such word.
    let has = |word: &str| by.principal().permissions.iter().any(|held| held == word);
    if !has("openid") {
        return Err(OpenidScope.into());
    }
    let subject = &by.principal().subject;
    let mut claims = Map::new();
    claims.insert("sub".into(), subject.clone().into());
    if !has("profile") && !has("email") {
        return Ok(Json(claims));
    }
    let person = peers::person(subject).await?;
    if has("profile") {
        claims.extend(person.display_name.map(|name| ("name".to_owned(), name.into())));
        claims.extend(person.locale.map(|locale| ("locale".to_owned(), locale.into())));
    }
    if let (true, Some(email)) = (has("email"), person.email) {
        claims.insert("email".into(), email.into());
        claims.insert("email_verified".into(), person.email_verified.into());
    }
    Ok(Json(claims))
}

/// What a token claims, believed by nobody who has not verified it.
pub fn payload(token: &str) -> Option<Value> {
    let payload = URL_SAFE_NO_PAD.decode(token.trim().split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// OpenID Connect Discovery 1.0 §3 and RFC 8414 §2: one document for both.
async fn discovery(by: Public) -> Result<Response> {
    let issuer = origin(&by).await?;
    let at = |path: &str| format!("{issuer}{path}");
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth2/authorize"),
        "token_endpoint": at("/oauth2/token"),
        "userinfo_endpoint": at("/oauth2/userinfo"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "registration_endpoint": at("/oauth2/register"),
        "introspection_endpoint": at("/oauth2/introspect"),
        "revocation_endpoint": at("/oauth2/revoke"),
        "end_session_endpoint": at("/oauth2/logout"),
        "device_authorization_endpoint": at("/oauth2/device"),
        "pushed_authorization_request_endpoint": at("/oauth2/par"),
        "scopes_supported": scopes::ABOUT_PEOPLE,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": clients::GRANT_TYPES,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": Algorithm::NAMES,
        "introspection_endpoint_auth_methods_supported": METHODS[..3],
        "introspection_endpoint_auth_signing_alg_values_supported": Algorithm::NAMES,
        "revocation_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": Algorithm::NAMES,
        "dpop_signing_alg_values_supported": ["ES256", "EdDSA"],
        "code_challenge_methods_supported": ["S256"],
        "acr_values_supported": [
            identity_contract::acr::SINGLE_FACTOR, identity_contract::acr::TWO_FACTORS,
            identity_contract::acr::PASSKEY,
        ],
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "nonce", "at_hash", "azp", "sid",
            "name", "locale", "email", "email_verified",
        ],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    });
    let mut response = Json(document).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, DISCOVERY_CACHE);
    Ok(response)
}

#[test]
fn what_a_token_claims_is_read_without_believing_it() {
    let claims = URL_SAFE_NO_PAD.encode(r#"{"aud":"shop"}"#);
    assert_eq!(payload(&format!("eyJ.{claims}.sig")), Some(json!({ "aud": "shop" })));
    for other in ["", "nx_live_1_2", "a.b.c", "a.!.c"] {
        assert_eq!(payload(other), None, "{other}");
    }
}
