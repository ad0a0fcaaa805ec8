//! Requests that wait for a person's answer: what the consent page shows, and what becomes of the
//! answer. Only the person it was shown to may give it.

use crate::authorize::Wish;
use crate::oauth::{Parameters, access_denied};
use crate::{codes, origin, redirects, scopes, store};
use identity_contract::auth::GrantIssued;
use identity_contract::{ClientId, GrantRequestId};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    RequestAnswered = 409, "this request was answered before, or its time is over"
}

pub fn router() -> Router {
    Router::new().route("/requests/{id}", get(show)).route("/requests/{id}/decision", post(decide))
}

/// A request as it came, and since when it is known.
pub struct Asked {
    pub waiting: Option<Waiting>,
    pub parameters: Parameters,
    pub since: Time,
}

/// A request that is kept.
pub struct Waiting {
    pub id: GrantRequestId,
    pub digest: Option<Vec<u8>>,
    pub client_id: ClientId,
    pub parameters: Parameters,
    pub subject: Option<String>,
    pub created_at: Time,
    pub expires_at: Time,
}

/// What a person is asked.
#[derive(Serialize, JsonSchema)]
pub struct Question {
    pub client: Asking,
    pub scopes: Vec<Scope>,
    /// Where the answer goes: a host's name, or the name of an app.
    pub returns_to: String,
    pub expires_at: Time,
}

/// The program that asks.
#[derive(Serialize, JsonSchema)]
pub struct Asking {
    pub id: ClientId,
    pub name: String,
    pub logo_uri: Option<String>,
    pub policy_uri: Option<String>,
    pub terms_uri: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Scope {
    pub name: String,
    pub in_words: String,
    /// Agreed to before.
    pub known: bool,
}

impl Asking {
    pub fn of(client: &crate::clients::Client) -> Self {
        Self {
            id: client.id,
            name: client.name.clone(),
            logo_uri: client.logo_uri.clone(),
            policy_uri: client.policy_uri.clone(),
            terms_uri: client.terms_uri.clone(),
        }
    }
}

/// Scopes as a person reads them.
pub fn described(wanted: &[String], known: &[String]) -> Vec<Scope> {
    let describe = |name: &String| Scope {
        name: name.clone(),
        in_words: scopes::in_words(name),
        known: known.contains(name),
    };
    wanted.iter().map(describe).collect()
}

async fn show(by: SignedIn, Path(id): Path<GrantRequestId>) -> Result<Json<Question>> {
    let subject = by.in_person()?;
    let waiting = store::requests::of_subject(by.db(), id, subject, by.now()).await?;
    let client = store::clients::find(by.db(), waiting.client_id).await?;
    let wish = Wish::read(&waiting.parameters, &client).map_err(|_| RequestAnswered)?;
    let known = store::consents::scopes(by.db(), subject, client.id).await?.unwrap_or_default();
    Ok(Json(Question {
        client: Asking::of(&client),
        scopes: described(&wish.scopes, &known),
        returns_to: redirects::place(&wish.redirect_uri),
        expires_at: waiting.expires_at,
    }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Decision {
    approve: bool,
}

#[derive(Serialize, JsonSchema)]
struct Onward {
    /// Where the browser goes next.
    redirect_to: String,
}

async fn decide(
    by: SignedIn,
    Path(id): Path<GrantRequestId>,
    Json(decision): Json<Decision>,
) -> Result<Secret<Json<Onward>>> {
    let subject = by.in_person()?.to_owned();
    let waiting = store::requests::of_subject(by.db(), id, &subject, by.now()).await?;
    let client = store::clients::find_active(by.db(), waiting.client_id).await?;
    let client = client.ok_or(RequestAnswered)?;
    let wish = Wish::read(&waiting.parameters, &client).map_err(|_| RequestAnswered)?;
    let issuer = origin(&by).await?;
    if !decision.approve {
        by.commit([store::requests::answer(id, by.now())]).await?;
        let error = access_denied("the person has not agreed");
        let mut query = vec![("error", error.code), ("error_description", &error.description)];
        query.extend(wish.state.as_deref().map(|state| ("state", state)));
        query.push(("iss", &issuer));
        let redirect_to = redirects::with(&wish.redirect_uri, &query);
        return Ok(Secret(Json(Onward { redirect_to })));
    }
    let code = codes::new(&by, &client, &wish);
    let issued =
        GrantIssued { client: client.id, subject: subject.clone(), scopes: wish.scopes.clone() };
    by.commit([
        store::requests::answer(id, by.now()),
        store::consents::agree(&subject, client.id, &wish.scopes, by.now()),
        code.insert(),
        emit(issued),
    ])
    .await?;
    let redirect_to = code.address(&wish, &issuer);
    Ok(Secret(Json(Onward { redirect_to })))
}
