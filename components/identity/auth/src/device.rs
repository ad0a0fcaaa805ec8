//! Devices without a keyboard (RFC 8628): the device shows a short code, a person types it where
//! they are signed in, and the device, which has asked all the while, gets its tokens.

use crate::clients::{self, Client, DEVICE_CODE};
use crate::oauth::{
    Denied, access_denied, answer, authorization_pending, expired_token, form, invalid_grant,
    slow_down, unauthorized_client,
};
use crate::requests::{Asking, Scope, described};
use crate::{origin, scopes, secrets, store};
use identity_contract::auth::GrantIssued;
use identity_contract::{ClientId, TokenFamilyId};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    UserCodeUnknown = 404, "no device waits with this code; codes are good for ten minutes"
}

const DEVICE_MINUTES: i32 = 10;
const INTERVAL_SECONDS: i32 = 5;

pub fn protocol() -> Router {
    Router::new().route("/oauth2/device", post(begin))
}

pub fn router() -> Router {
    Router::new()
        .route("/devices/{user_code}", get(show))
        .route("/devices/{user_code}/decision", post(decide))
}

/// A device that waits.
#[derive(Deserialize)]
pub struct Waiting {
    pub user_code: String,
    pub client_id: ClientId,
    pub family: TokenFamilyId,
    pub scopes: Vec<String>,
    pub state: String,
    pub subject: Option<String>,
    pub auth_time: Option<Time>,
    pub acr: Option<String>,
    pub interval_seconds: i32,
    pub asked_at: Option<Time>,
    pub expires_at: Time,
}

async fn begin(by: Public, headers: HeaderMap, body: Bytes) -> Result<Response> {
    answer(begun(&by, &headers, &body).await)
}

async fn begun(by: &Ctx, headers: &HeaderMap, body: &[u8]) -> Result<impl IntoResponse, Denied> {
    let form = form(headers, body)?;
    let client = clients::authenticate(by, headers, &form).await?;
    if !client.grant_types.iter().any(|grant| grant == DEVICE_CODE) {
        return Err(unauthorized_client("this client has no device").into());
    }
    let device_code = secrets::fresh("");
    let waiting = Waiting {
        user_code: secrets::user_code(),
        client_id: client.id,
        family: by.new_id(),
        scopes: scopes::granted(&form.words("scope"), &client.scopes)?,
        state: "pending".into(),
        subject: None,
        auth_time: None,
        acr: None,
        interval_seconds: INTERVAL_SECONDS,
        asked_at: None,
        expires_at: by.now() + minutes(DEVICE_MINUTES),
    };
    by.commit([store::devices::insert(&secrets::digest(&device_code), &waiting)]).await?;
    let page = format!("{}/account/device", origin(by).await?);
    Ok(Secret(Json(json!({
        "device_code": device_code,
        "user_code": waiting.user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={}", waiting.user_code),
        "expires_in": i64::from(DEVICE_MINUTES) * 60,
        "interval": INTERVAL_SECONDS,
    }))))
}

/// The device asks whether it may come in; true once.
///
/// # Errors
/// What RFC 8628 §3.5 says while it may not.
pub async fn redeem(by: &Ctx, client: &Client, device_code: &str) -> Result<Waiting, Denied> {
    let digest = secrets::digest(device_code);
    let found = store::devices::by_digest(by.db(), &digest).await?;
    let refused = || invalid_grant("the device code is unknown or was used");
    let waiting = found.filter(|waiting| waiting.client_id == client.id).ok_or_else(refused)?;
    if waiting.expires_at <= by.now() {
        return Err(expired_token("the person has taken too long").into());
    }
    match waiting.state.as_str() {
        "pending" => {
            let pause = nexus_sdk::seconds(waiting.interval_seconds);
            let hasty = waiting.asked_at.is_some_and(|at| by.now() < at + pause);
            let more = if hasty { INTERVAL_SECONDS } else { 0 };
            by.commit([store::devices::asked(&digest, by.now(), more)]).await?;
            match hasty {
                true => Err(slow_down("ask less often: five seconds more").into()),
                false => Err(authorization_pending("the person has not answered yet").into()),
            }
        }
        "denied" => Err(access_denied("the person has not agreed").into()),
        "approved" => {
            let subject = waiting.subject.as_deref().unwrap_or_default();
            let note = store::families::note(waiting.family, client.id, subject, by.now());
            let taken = by.commit([store::devices::take(&digest), note]).await;
            match taken {
                Ok(_) => Ok(waiting),
                Err(error) if error.is(&standard::Conflict) => Err(refused().into()),
                Err(error) => Err(error.into()),
            }
        }
        _ => Err(refused().into()),
    }
}

/// What the person is asked.
#[derive(Serialize, JsonSchema)]
struct Question {
    user_code: String,
    client: Asking,
    scopes: Vec<Scope>,
    expires_at: Time,
}

async fn find(by: &Ctx, typed: &str) -> Result<Waiting> {
    let code = secrets::user_code_typed(typed).ok_or(UserCodeUnknown)?;
    let waiting = store::devices::by_user_code(by.db(), &code, by.now()).await?;
    Ok(waiting.ok_or(UserCodeUnknown)?)
}

async fn show(by: SignedIn, Path(user_code): Path<String>) -> Result<Json<Question>> {
    by.in_person()?;
    let waiting = find(&by, &user_code).await?;
    let client = store::clients::find(by.db(), waiting.client_id).await?;
    Ok(Json(Question {
        user_code: waiting.user_code,
        client: Asking::of(&client),
        scopes: described(&waiting.scopes, &[]),
        expires_at: waiting.expires_at,
    }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Decision {
    approve: bool,
}

async fn decide(
    by: SignedIn,
    Path(user_code): Path<String>,
    Json(decision): Json<Decision>,
) -> Result<NoContent> {
    by.in_person()?;
    let waiting = find(&by, &user_code).await?;
    let who = by.principal();
    if !decision.approve {
        return by.commit([store::devices::deny(&waiting.user_code, &who.subject)]).await;
    }
    let proven = who.auth_time.and_then(|at| Time::from_timestamp(at, 0));
    let issued = GrantIssued {
        client: waiting.client_id,
        subject: who.subject.clone(),
        scopes: waiting.scopes.clone(),
    };
    by.commit([
        store::devices::approve(&waiting.user_code, &who.subject, proven, who.acr.as_deref()),
        store::consents::agree(&who.subject, waiting.client_id, &waiting.scopes, by.now()),
        emit(issued),
    ])
    .await
}
