//! The first administrator of an installation, by the link that the host prints.

use crate::caller::Caller;
use crate::email_address::Email;
use crate::entrance::{self, Entrance, Proven};
use crate::hashing::{self, Verdict};
use crate::peers::{self, EmailTaken};
use crate::registration::{LinkInvalid, display_name, unclaimed};
use crate::store::registrations::Registration;
use crate::throttle::{Tries, Turned};
use crate::{password_rules, secrets, store};
use identity_contract::user_auth::{UserRegistered, UserVerified};
use nexus_sdk::prelude::*;

/// In which what broke off may be taken up again.
const RESUME_MINUTES: i32 = 60;

pub fn router() -> Router {
    Router::new().route("/setup", get(show).post(set_up))
}

#[derive(Deserialize, JsonSchema)]
struct Shown {
    token: String,
}

#[derive(Serialize, JsonSchema)]
struct Standing {
    valid: bool,
}

/// Whether the link would be taken.
async fn show(by: Public, Query(asked): Query<Shown>) -> Result<Secret<Json<Standing>>> {
    let digest = secrets::digest(&asked.token);
    let resumes = store::registrations::of_setup(by.db(), &digest, by.now()).await?.is_some();
    let valid = resumes || store::registrations::setup_is_open(by.db(), &digest).await?;
    Ok(Secret(Json(Standing { valid })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Administrator {
    token: String,
    email: String,
    #[serde(default)]
    display_name: Option<String>,
    password: String,
}

/// The link is used up in one commit with what was typed; then the account is made. When that
/// breaks off, whoever typed it goes on within the hour by typing the same again, and nobody else.
async fn set_up(
    by: Public,
    caller: Caller,
    Json(asked): Json<Administrator>,
) -> Result<Entrance, Turned> {
    let email = Email::read(&asked.email)?;
    password_rules::check(&asked.password, &email, "password")?;
    let name = display_name(asked.display_name.as_deref())?;
    Tries::to_ask(&caller).enter(&by).await?;
    let digest = secrets::digest(&asked.token);
    let registration = match store::registrations::of_setup(by.db(), &digest, by.now()).await? {
        Some(begun) => resumed(begun, &email, &asked.password).await?,
        None => begun(&by, &digest, &email, name, &asked.password).await?,
    };
    let (address, name) = (&registration.email, registration.display_name.as_deref());
    let user = match peers::create_administrator(address, name).await {
        Err(error) if error.is(&EmailTaken) => unclaimed(&by, address).await?,
        made => made?,
    };
    by.commit([
        store::registrations::remove_setup(&digest).or_refuse(LinkInvalid),
        store::registrations::remove_links(address),
        store::passwords::put(user, &registration.phc, by.now()),
        emit(UserRegistered { id: user }),
        emit(UserVerified { id: user }),
    ])
    .await?;
    let person = peers::person(user).await?.ok_or(LinkInvalid)?;
    let amr = vec!["pwd".into()];
    let proven = Proven { person, amr, method: "password", persistent: false };
    Ok(entrance::first(&by, &caller, proven, Vec::new(), None).await?)
}

/// Uses the link up and keeps what was typed.
async fn begun(
    by: &Ctx,
    digest: &[u8],
    email: &Email,
    display_name: Option<String>,
    password: &str,
) -> Result<Registration> {
    let registration = Registration {
        id: by.new_id(),
        email: email.as_str().to_owned(),
        phc: hashing::hash(password).await?,
        display_name,
        locale: None,
        expires_at: by.now() + minutes(RESUME_MINUTES),
    };
    by.commit([
        store::registrations::redeem_setup(digest).or_refuse(LinkInvalid),
        store::registrations::insert(&registration, Some(digest), by.now())
            .on_conflict_refuse("registration_setup", LinkInvalid),
    ])
    .await?;
    Ok(registration)
}

/// What was begun, for whoever began it: a second holder of the link must not become a second
/// administrator.
async fn resumed(begun: Registration, email: &Email, password: &str) -> Result<Registration> {
    let verdict = hashing::verify(password, Some(begun.phc.clone())).await?;
    match begun.email == email.as_str() && verdict != Verdict::Mismatch {
        true => Ok(begun),
        false => Err(LinkInvalid.into()),
    }
}
