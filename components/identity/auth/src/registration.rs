//! Dynamic registration (RFC 7591): a program registers itself, with the leave of somebody who may,
//! and looks after that registration by a token of its own from then on (RFC 7592).

use crate::Register;
use crate::clients::{self, AuthMethod, Client, ClientKind, Draft, IdTokenAlg, NewClient};
use crate::oauth::{Denied, OauthError, answer, invalid_token};
use crate::{origin, secrets, store};
use identity_contract::ClientId;
use nexus_sdk::covers;
use nexus_sdk::prelude::*;
use serde_json::Value;

/// What such a token begins with: hosts leave it to us.
const TOKEN_PREFIX: &str = "nxm_";

pub fn router() -> Router {
    Router::new()
        .route("/oauth2/register", post(register))
        .route("/oauth2/register/{client_id}", get(read).put(change).delete(remove))
}

/// What a client says about itself (RFC 7591 §2); what is not known here is left out of the answer.
#[derive(Deserialize, JsonSchema)]
struct Metadata {
    #[serde(default)]
    client_name: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    #[serde(default)]
    post_logout_redirect_uris: Vec<String>,
    #[serde(default)]
    grant_types: Option<Vec<String>>,
    #[serde(default)]
    response_types: Option<Vec<String>>,
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    logo_uri: Option<String>,
    #[serde(default)]
    policy_uri: Option<String>,
    #[serde(default)]
    tos_uri: Option<String>,
    #[serde(default)]
    backchannel_logout_uri: Option<String>,
    #[serde(default)]
    require_pushed_authorization_requests: bool,
    #[serde(default)]
    jwks: Option<Value>,
    #[serde(default)]
    jwks_uri: Option<String>,
    #[serde(default)]
    id_token_signed_response_alg: Option<String>,
    /// RFC 9449 §5.2.
    #[serde(default)]
    dpop_bound_access_tokens: bool,
    /// Of a change: which client, and its secret, as they are (RFC 7592 §2.2).
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    client_secret: Option<String>,
}

impl Metadata {
    fn into_draft(self) -> Result<Draft, OauthError> {
        let method = self.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic");
        let auth_method: AuthMethod = serde_json::from_value(method.into())
            .map_err(|_| wrong("token_endpoint_auth_method is not one of ours"))?;
        let kind = match auth_method {
            AuthMethod::None => ClientKind::Public,
            _ => ClientKind::Confidential,
        };
        let id_token_alg = match self.id_token_signed_response_alg.as_deref() {
            None | Some("ES256") => IdTokenAlg::Es256,
            Some("RS256") => IdTokenAlg::Rs256,
            Some(_) => return Err(wrong("id_token_signed_response_alg is ES256 or RS256")),
        };
        if self.response_types.is_some_and(|types| types.iter().any(|kind| kind != "code")) {
            return Err(wrong("response_types is [\"code\"]"));
        }
        let about = crate::scopes::ABOUT_PEOPLE;
        let scope = self.scope.unwrap_or_default();
        let scopes = scope.split_ascii_whitespace().filter(|word| !about.contains(word));
        let code_only = || vec![clients::AUTHORIZATION_CODE.to_owned()];
        Ok(Draft {
            name: self.client_name.unwrap_or_else(|| "Unnamed program".to_owned()),
            kind,
            redirect_uris: self.redirect_uris,
            post_logout_redirect_uris: self.post_logout_redirect_uris,
            grant_types: self.grant_types.unwrap_or_else(code_only),
            scopes: scopes.map(str::to_owned).collect(),
            permissions: Vec::new(),
            trusted: false,
            require_pushed: self.require_pushed_authorization_requests,
            logo_uri: self.logo_uri,
            policy_uri: self.policy_uri,
            terms_uri: self.tos_uri,
            logout_uri: self.backchannel_logout_uri,
            auth_method: Some(auth_method),
            jwks: self.jwks,
            jwks_uri: self.jwks_uri,
            id_token_alg,
            dpop_bound: self.dpop_bound_access_tokens,
        })
    }
}

fn wrong(description: &str) -> OauthError {
    OauthError { code: "invalid_client_metadata", description: description.to_owned() }
}

/// A refused draft in the words of the protocol.
fn told(error: Error) -> Denied {
    match error {
        Error::Refused(refusal) if refusal.status == 422 => {
            let address = refusal.name == crate::redirects::RedirectForm.name;
            let code = if address { "invalid_redirect_uri" } else { "invalid_client_metadata" };
            OauthError { code, description: refusal.sentence.to_owned() }.into()
        }
        other => other.into(),
    }
}

async fn register(by: Allowed<Register>, Json(metadata): Json<Metadata>) -> Result<Response> {
    answer(registered(&by, metadata).await)
}

async fn registered(by: &Ctx, metadata: Metadata) -> Result<Response, Denied> {
    let draft = metadata.into_draft()?;
    let token = secrets::fresh(TOKEN_PREFIX);
    let made = clients::register(by, draft, Some(secrets::digest(&token))).await.map_err(told)?;
    let origin = origin(by).await?;
    let body = Json(described(made, &token, &origin));
    Ok(Secret((StatusCode::CREATED, body)).into_response())
}

/// The client that a token is for, and the token (RFC 7592 §2).
async fn holder(by: &Ctx, headers: &HeaderMap, id: &str) -> Result<(Client, String), Denied> {
    let refused = || invalid_token("this token is for no registration, or not for this one");
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = sent.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let token = token.filter(|token| token.starts_with(TOKEN_PREFIX)).ok_or_else(refused)?;
    let id: ClientId = id.parse().map_err(|_| refused())?;
    let client = store::clients::find_active(by.db(), id).await?.ok_or_else(refused)?;
    let proof = store::clients::proof(by.db(), id).await?;
    match proof.registration_digest.is_some_and(|digest| secrets::is(token, &digest)) {
        true => Ok((client, token.to_owned())),
        false => Err(refused().into()),
    }
}

async fn read(by: Public, headers: HeaderMap, Path(id): Path<String>) -> Result<Response> {
    let shown = async {
        let (client, token) = holder(&by, &headers, &id).await?;
        let made = NewClient { client, client_secret: None };
        Ok(Secret(Json(described(made, &token, &origin(&by).await?))))
    };
    answer(shown.await)
}

async fn change(
    by: Public,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(metadata): Json<Metadata>,
) -> Result<Response> {
    answer(changed(&by, &headers, &id, metadata).await)
}

/// A program gives itself nothing that it was not given: what it may ask for can only become less.
async fn changed(
    by: &Ctx,
    headers: &HeaderMap,
    id: &str,
    metadata: Metadata,
) -> Result<Response, Denied> {
    let (known, token) = holder(by, headers, id).await?;
    let secret = metadata.client_secret.clone();
    if metadata.client_id.as_deref() != Some(known.id.to_string().as_str()) {
        return Err(wrong("client_id is that of the registration").into());
    }
    let proof = store::clients::proof(by.db(), known.id).await?;
    if secret.is_some_and(|secret| !proof.takes(&secret, by.now())) {
        return Err(wrong("client_secret is that of the registration").into());
    }
    let mut draft = metadata.into_draft()?;
    if draft.kind != known.kind || draft.method().has_secret() != known.auth_method.has_secret() {
        return Err(wrong("a client keeps to its way of proving itself").into());
    }
    draft.permissions = known.permissions.clone();
    draft.trusted = known.trusted;
    let held = [known.scopes.as_slice(), &known.permissions].concat();
    let origin = origin(by).await?;
    draft.check(|word| held.iter().any(|it| covers(it, word)), &origin).map_err(
        |error| match error {
            Error::Refused(refusal) if refusal.status == 403 => wrong(refusal.sentence).into(),
            other => told(other),
        },
    )?;
    let more = draft.grant_types.iter().any(|grant| !known.grant_types.contains(grant));
    if more && draft.grant_types.iter().any(|grant| clients::NEEDS_LEAVE.contains(&grant.as_str()))
    {
        return Err(wrong("these grant types are not the client's to take").into());
    }
    let client = draft.into_client(known.id, known.created_at);
    by.commit([store::clients::replace(&client, known.version)]).await?;
    let made = NewClient { client, client_secret: None };
    Ok(Secret(Json(described(made, &token, &origin))).into_response())
}

/// The client is gone, and its token with it (RFC 7592 §2.3).
async fn remove(by: Public, headers: HeaderMap, Path(id): Path<String>) -> Result<Response> {
    let removed = async {
        let (client, _) = holder(&by, &headers, &id).await?;
        by.commit([store::clients::disable(client.id, by.now())]).await?;
        Ok(NoContent)
    };
    answer(removed.await)
}

/// RFC 7591 §3.2.1, RFC 7592 §3.
fn described(made: NewClient, token: &str, origin: &str) -> Value {
    let client = made.client;
    let mut answer = json!({
        "client_id": client.id,
        "client_id_issued_at": client.created_at.timestamp(),
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "post_logout_redirect_uris": client.post_logout_redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"],
        "token_endpoint_auth_method": client.auth_method,
        "scope": client.scopes.join(" "),
        "require_pushed_authorization_requests": client.require_pushed,
        "id_token_signed_response_alg": client.id_token_alg,
        "dpop_bound_access_tokens": client.dpop_bound,
        "registration_access_token": token,
        "registration_client_uri": format!("{origin}/oauth2/register/{}", client.id),
    });
    if let Some(secret) = made.client_secret {
        answer["client_secret"] = secret.into();
        // It does not run out.
        answer["client_secret_expires_at"] = 0.into();
    }
    for (name, value) in [
        ("logo_uri", client.logo_uri),
        ("policy_uri", client.policy_uri),
        ("tos_uri", client.terms_uri),
        ("backchannel_logout_uri", client.logout_uri),
        ("jwks_uri", client.jwks_uri),
    ] {
        if let Some(value) = value {
            answer[name] = value.into();
        }
    }
    if let Some(set) = client.jwks {
        answer["jwks"] = set;
    }
    answer
}
