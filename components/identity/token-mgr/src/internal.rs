//! What `auth` asks, which speaks OAuth to the outside: families for its clients, single tokens,
//! and what a token stands for.

use crate::claims::{self, Order};
use crate::families::{self, Door, Holder, Tokens};
use crate::kms::Algorithm;
use crate::store::families::Kept;
use crate::{Askers, Protocols, introspection, scope, subject};
use identity_contract::TokenFamilyId;
use identity_contract::token_mgr::TokenId;
use nexus_sdk::prelude::*;
use serde_json::{Map, Value};

pub fn router() -> Router {
    Router::new()
        .route("/internal/mint", post(mint))
        .route("/internal/families", post(open))
        .route("/internal/families/refresh", post(refresh))
        .route("/internal/families/{id}", delete(end))
        .route("/internal/introspect", post(introspect))
        .route("/internal/revoke", post(revoke))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Mint {
    subject: String,
    /// `user` or `service`.
    kind: String,
    /// `at+jwt`, `JWT` or `logout+jwt`.
    typ: String,
    audience: String,
    lifetime_seconds: i32,
    /// Unix seconds; it is over by then, however long it was to live.
    #[serde(default)]
    not_after: Option<i64>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    organisation: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    /// Unix seconds.
    #[serde(default)]
    auth_time: Option<i64>,
    #[serde(default)]
    acr: Option<String>,
    /// Thumbprint of the key that an access token is bound to.
    #[serde(default)]
    jkt: Option<String>,
    /// `ES256` where nothing is said; `RS256` for tokens that only clients read.
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    claims: Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
struct Minted {
    token: String,
    jti: TokenId,
    expires_at: Time,
}

async fn mint(by: Called<Protocols>, Json(asked): Json<Mint>) -> Result<Secret<Json<Minted>>> {
    let algorithm = Algorithm::named(asked.alg.as_deref().unwrap_or("ES256"));
    let order = Order {
        typ: &asked.typ,
        kind: &asked.kind,
        subject: &asked.subject,
        audience: &asked.audience,
        lifetime_seconds: asked.lifetime_seconds,
        not_after: asked.not_after,
        scope: asked.scope.as_deref(),
        session: asked.session.as_deref(),
        organisation: asked.organisation.as_deref(),
        client_id: asked.client_id.as_deref(),
        auth_time: asked.auth_time,
        acr: asked.acr.as_deref(),
        family: None,
        jkt: asked.jkt.as_deref(),
        algorithm: algorithm.ok_or(claims::TokenForm.at("alg"))?,
        more: asked.claims.clone(),
    };
    let (token, issued) = claims::make(&by, &order).await?;
    by.commit(issued).await?;
    let minted = Minted { token: token.text, jti: token.jti, expires_at: token.expires_at };
    Ok(Secret(Json(minted)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Grant {
    /// Chosen by `auth`, so that it can end the family although the answer was lost.
    family: TokenFamilyId,
    subject: String,
    client_id: String,
    scope: String,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    organisation: Option<String>,
    /// Unix seconds.
    #[serde(default)]
    auth_time: Option<i64>,
    #[serde(default)]
    acr: Option<String>,
    /// Whether the client may come back without the person.
    #[serde(default)]
    refresh: bool,
    /// Thumbprint of the key that the access token is bound to.
    #[serde(default)]
    jkt: Option<String>,
    /// Whether refresh tokens are bound to it, too: those of a client without a secret.
    #[serde(default)]
    refresh_bound: bool,
}

#[derive(Serialize, JsonSchema)]
struct Given {
    family: TokenFamilyId,
    access_token: String,
    expires_in: i32,
    refresh_token: Option<String>,
    scope: String,
    subject: String,
    session: Option<String>,
    organisation: Option<String>,
    auth_time: Option<i64>,
    acr: Option<String>,
}

impl From<Tokens> for Given {
    fn from(tokens: Tokens) -> Given {
        let family = tokens.family;
        Given {
            family: family.id,
            access_token: tokens.access_token,
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh_token,
            scope: tokens.scope.unwrap_or_default(),
            subject: family.subject,
            session: family.session,
            organisation: family.organisation,
            auth_time: family.auth_time.map(|time| time.timestamp()),
            acr: family.acr,
        }
    }
}

async fn open(by: Called<Protocols>, Json(grant): Json<Grant>) -> Result<Secret<Json<Given>>> {
    subject::held(&by, &grant.subject, grant.organisation.as_deref()).await?;
    let family = Kept {
        id: grant.family,
        subject: grant.subject,
        organisation: grant.organisation,
        client_id: grant.client_id,
        by_auth: true,
        session: grant.session,
        scope: Some(scope::tidy(&grant.scope)?),
        auth_time: grant.auth_time.and_then(|at| Time::from_timestamp(at, 0)),
        acr: grant.acr,
        created_at: by.now(),
        expires_at: families::expires_at(by.now()),
        jkt: grant.jkt.clone().filter(|_| grant.refresh_bound),
        ended: false,
    };
    let tokens = families::open(&by, family, grant.refresh, grant.jkt.as_deref()).await?;
    Ok(Secret(Json(tokens.into())))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Refresh {
    refresh_token: String,
    client_id: String,
    #[serde(default)]
    scope: Option<String>,
    /// Thumbprint of the key that the client has proven to hold.
    #[serde(default)]
    jkt: Option<String>,
}

async fn refresh(by: Called<Protocols>, Json(asked): Json<Refresh>) -> Result<Secret<Json<Given>>> {
    let (client_id, jkt) = (asked.client_id.as_str(), asked.jkt.as_deref());
    let holder = Holder { door: Door::Auth, client_id, jkt };
    let wanted = asked.scope.as_deref();
    let tokens = families::refresh(&by, holder, &asked.refresh_token, wanted).await?;
    Ok(Secret(Json(tokens.into())))
}

async fn end(by: Called<Protocols>, Path(id): Path<TokenFamilyId>) -> Result<NoContent> {
    let family = families::find(&by, id).await?;
    families::end(&by, &family, "revoked").await?;
    Ok(NoContent)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Question {
    token: String,
}

/// RFC 7662 §2.2.
async fn introspect(
    by: Called<Askers>,
    Json(question): Json<Question>,
) -> Result<Secret<Json<Map<String, Value>>>> {
    Ok(Secret(Json(introspection::introspect(&by, &question.token).await?)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GivenBack {
    token: String,
    client_id: String,
}

async fn revoke(by: Called<Protocols>, Json(given): Json<GivenBack>) -> Result<NoContent> {
    introspection::revoke(&by, Door::Auth, &given.token, &given.client_id).await
}
