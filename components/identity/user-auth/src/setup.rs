//! The first administrator of an installation, by the link that the host prints.

use crate::caller::Caller;
use crate::email_address::Email;
use crate::entrance::{self, Entrance, Proven};
use crate::registration::{LinkInvalid, display_name};
use crate::store::registrations::Registration;
use crate::throttle::{Tries, Turned};
use crate::{hashing, password_rules, peers, secrets, store};
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

/// The link is used up in one commit with what was typed; then the account is made. When that breaks
/// off, whoever holds the link goes on within the hour, and nobody else.
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
    let begun = store::registrations::of_setup(by.db(), &digest, by.now()).await?;
    let phc = hashing::hash(&asked.password).await?;
    let registration = Registration {
        id: by.new_id(),
        email: email.as_str().to_owned(),
        phc,
        display_name: name,
        locale: None,
        expires_at: by.now() + minutes(RESUME_MINUTES),
    };
    if begun.is_none() {
        by.commit([
            store::registrations::redeem_setup(&digest).or_refuse(LinkInvalid),
            store::registrations::insert(&registration, Some(&digest), by.now())
                .on_conflict_refuse("registration_setup", LinkInvalid),
        ])
        .await?;
    }
    let name = registration.display_name.as_deref();
    let user = peers::create_administrator(&registration.email, name).await?;
    let mut writes = vec![
        store::registrations::remove_setup(&digest).or_refuse(LinkInvalid),
        store::passwords::put(user, &registration.phc, by.now()),
        emit(UserRegistered { id: user }),
        emit(UserVerified { id: user }),
    ];
    writes.push(store::registrations::remove_links(&registration.email));
    by.commit(writes).await?;
    let person = peers::person(user).await?.ok_or(LinkInvalid)?;
    let amr = vec!["pwd".into()];
    let proven = Proven { person, amr, method: "password", persistent: false };
    Ok(entrance::first(&by, &caller, proven, Vec::new(), None).await?)
}
