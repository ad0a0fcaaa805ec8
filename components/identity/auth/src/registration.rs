//! Dynamic registration (RFC 7591): a program registers itself, with the leave of somebody who may.

use crate::Register;
use crate::clients::{self, ClientKind, Draft, NewClient};
use crate::oauth::OauthError;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/oauth2/register", post(register))
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
}

impl Metadata {
    fn into_draft(self) -> Result<Draft, OauthError> {
        let wrong = |description: &str| OauthError {
            code: "invalid_client_metadata",
            description: description.to_owned(),
        };
        let method = self.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic");
        let kind = match method {
            "none" => ClientKind::Public,
            "client_secret_basic" | "client_secret_post" => ClientKind::Confidential,
            _ => return Err(wrong("token_endpoint_auth_method is not one of ours")),
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
        })
    }
}

async fn register(by: Allowed<Register>, Json(metadata): Json<Metadata>) -> Result<Response> {
    let method = metadata.token_endpoint_auth_method.clone();
    let draft = match metadata.into_draft() {
        Ok(draft) => draft,
        Err(error) => return Ok(error.into_response()),
    };
    match clients::register(&by, draft).await {
        Ok(made) => {
            let body = Json(registered(made, method));
            Ok(Secret((StatusCode::CREATED, body)).into_response())
        }
        Err(Error::Refused(refusal)) if refusal.status == 422 => {
            let address = refusal.name == crate::redirects::RedirectForm.name;
            let code = if address { "invalid_redirect_uri" } else { "invalid_client_metadata" };
            let description = refusal.sentence.to_owned();
            Ok(OauthError { code, description }.into_response())
        }
        Err(error) => Err(error),
    }
}

/// RFC 7591 §3.2.1.
fn registered(made: NewClient, method: Option<String>) -> serde_json::Value {
    let client = made.client;
    let usual = if made.client_secret.is_some() { "client_secret_basic" } else { "none" };
    let mut answer = json!({
        "client_id": client.id,
        "client_id_issued_at": client.created_at.timestamp(),
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "post_logout_redirect_uris": client.post_logout_redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"],
        "token_endpoint_auth_method": method.as_deref().unwrap_or(usual),
        "scope": client.scopes.join(" "),
        "require_pushed_authorization_requests": client.require_pushed,
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
    ] {
        if let Some(value) = value {
            answer[name] = value.into();
        }
    }
    answer
}
