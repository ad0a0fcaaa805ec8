//! Tokens for one's own clients (a mobile app, a terminal): taken out of a session, refreshed,
//! given back, listed. Clients of others come by `auth`.

use crate::families::{self, Door, Holder, Tokens};
use crate::store::families::Kept;
use crate::{introspection, scope, store, subject};
use identity_contract::TokenFamilyId;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    ClientName = 422, "a client is named by 1 to 64 letters, digits, dots and dashes"
}

/// Whoever does not say which client it is.
const CLIENT: &str = "nexus";

pub fn router() -> Router {
    Router::new()
        .route("/tokens", get(list).post(create))
        .route("/tokens/refresh", post(refresh))
        .route("/tokens/revoke", post(revoke))
        .route("/tokens/{family}", delete(end))
}

/// A client that has tokens.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Family {
    pub id: TokenFamilyId,
    pub client_id: String,
    pub organisation: Option<String>,
    pub session: Option<String>,
    pub scope: Option<String>,
    pub created_at: Time,
    pub refreshed_at: Time,
    pub expires_at: Time,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// What the tokens may do at most; without it, all that their owner may.
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    organisation: Option<String>,
    /// Told again at each refresh.
    #[serde(default)]
    client_id: Option<String>,
}

/// As an OAuth client reads it (RFC 6749 §5.1).
#[derive(Serialize, JsonSchema)]
struct Bearer {
    access_token: String,
    token_type: String,
    /// Seconds.
    expires_in: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

impl From<Tokens> for Bearer {
    fn from(tokens: Tokens) -> Bearer {
        Bearer {
            access_token: tokens.access_token,
            token_type: "Bearer".into(),
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh_token,
            scope: tokens.scope,
        }
    }
}

fn client(name: Option<String>) -> Result<String, Refusal> {
    let name = name.unwrap_or_else(|| CLIENT.to_owned());
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    match (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        true => Ok(name),
        false => Err(ClientName.at("client_id")),
    }
}

async fn create(by: SignedIn, Json(wish): Json<Wish>) -> Result<Secret<Json<Bearer>>> {
    let session = subject::session_of(&by)?;
    let principal = by.principal();
    subject::held(&by, &principal.subject, wish.organisation.as_deref()).await?;
    let family = Kept {
        id: by.new_id(),
        subject: principal.subject.clone(),
        organisation: wish.organisation,
        client_id: client(wish.client_id)?,
        by_auth: false,
        session: Some(session),
        scope: wish.scope.as_deref().map(scope::tidy).transpose()?,
        auth_time: principal.auth_time.and_then(|at| Time::from_timestamp(at, 0)),
        acr: principal.acr.clone(),
        created_at: by.now(),
        expires_at: families::expires_at(by.now()),
        jkt: None,
        ended: false,
    };
    Ok(Secret(Json(families::open(&by, family, true, None).await?.into())))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Refresh {
    refresh_token: String,
    #[serde(default)]
    client_id: Option<String>,
    /// A narrower one, for this access token alone.
    #[serde(default)]
    scope: Option<String>,
}

async fn refresh(by: Public, Json(asked): Json<Refresh>) -> Result<Secret<Json<Bearer>>> {
    let client = client(asked.client_id)?;
    let wanted = asked.scope.as_deref();
    let holder = Holder { door: Door::Own, client_id: &client, jkt: None };
    let tokens = families::refresh(&by, holder, &asked.refresh_token, wanted).await?;
    Ok(Secret(Json(tokens.into())))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Given {
    /// A refresh token, an access token or an API key: whoever has it may give it back.
    token: String,
    #[serde(default)]
    client_id: Option<String>,
}

/// 204 whether there was one or not (RFC 7009 §2.2).
async fn revoke(by: Public, Json(given): Json<Given>) -> Result<NoContent> {
    let client = client(given.client_id)?;
    introspection::revoke(&by, Door::Own, &given.token, &client).await
}

async fn list(by: SignedIn, cursor: Cursor) -> Result<Page<Family>> {
    let subject = by.in_person()?;
    store::families::list(by.db(), subject, by.now(), &cursor).await
}

async fn end(by: SignedIn, Path(id): Path<TokenFamilyId>) -> Result<NoContent> {
    let subject = by.in_person()?;
    let family = families::find(&by, id).await?;
    if family.subject != subject || family.ended {
        return Err(standard::NotFound.into());
    }
    families::end(&by, &family, "revoked").await?;
    Ok(NoContent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_a_plain_name_or_the_usual_one() {
        assert_eq!(client(None).unwrap(), "nexus");
        assert_eq!(client(Some("nexus-tv_1.2".into())).unwrap(), "nexus-tv_1.2");
        for odd in ["", "a b", "a/b", &"a".repeat(65)] {
            assert!(client(Some(odd.to_owned())).is_err(), "{odd:?}");
        }
    }
}
