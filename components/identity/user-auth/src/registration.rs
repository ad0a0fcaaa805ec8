//! Registration: an account comes into being with the proof of its address.

use crate::caller::Caller;
use crate::email_address::Email;
use crate::entrance::{self, Entrance, Proven};
use crate::orders::{self, Purpose};
use crate::peers::{self, EmailTaken};
use crate::store::registrations::{LinkPurpose, Registration};
use crate::throttle::{Tries, Turned};
use crate::{hashing, password_rules, secrets, store};
use identity_contract::UserId;
use identity_contract::user_auth::{UserRegistered, UserVerified};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    DisplayName = 422, "a name takes 1 to 120 characters";
    Locale = 422, "a locale is a language tag such as en or pt-BR";
    LinkInvalid = 410, "this link was used already, is too old, or is not ours; ask for a new one"
}

const NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=120;
/// As long as a mail may lie unread; the link in it does not last longer.
const REGISTRATION_HOURS: i32 = 48;

pub fn router() -> Router {
    Router::new()
        .route("/register", post(register))
        .route("/verify", post(verify))
        .route("/verify/resend", post(resend))
}

/// The same words for everybody.
#[derive(Serialize, JsonSchema)]
pub struct Told {
    message: &'static str,
}

/// What is said whether there is such an account or not.
pub const LOOK_INTO_YOUR_MAIL: Told =
    Told { message: "If this address can be used here, a mail is on its way to it." };

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    email: String,
    password: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    locale: Option<String>,
}

/// A name as it is kept: trimmed, or none.
pub fn display_name(text: Option<&str>) -> Result<Option<String>, Refusal> {
    match text.map(str::trim).filter(|name| !name.is_empty()) {
        None => Ok(None),
        Some(name)
            if NAME_CHARS.contains(&name.chars().count()) && !name.contains(char::is_control) =>
        {
            Ok(Some(name.to_owned()))
        }
        Some(_) => Err(DisplayName.at("display_name")),
    }
}

fn locale(text: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(tag) = text.map(str::trim).filter(|tag| !tag.is_empty()) else { return Ok(None) };
    let part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    match (2..=35).contains(&tag.len()) && tag.split('-').all(part) {
        true => Ok(Some(tag.to_owned())),
        false => Err(Locale.at("locale")),
    }
}

/// Always the same words and the same work: who has the address is not looked up here. Where nobody
/// may register, or nobody of this domain, that is said at once, since it tells of no account.
async fn register(
    by: Public,
    caller: Caller,
    Json(draft): Json<Draft>,
) -> Result<Accepted<Told>, Turned> {
    let email = Email::read(&draft.email)?;
    password_rules::check(&draft.password, &email, "password")?;
    let display_name = display_name(draft.display_name.as_deref())?;
    let locale = locale(draft.locale.as_deref())?;
    Tries::to_ask(&caller).enter(&by).await?;
    peers::policy().await?.admits(email.as_str())?;
    let registration = Registration {
        id: by.new_id(),
        email: email.as_str().to_owned(),
        phc: hashing::hash(&draft.password).await?,
        display_name,
        locale,
        expires_at: by.now() + hours(REGISTRATION_HOURS),
    };
    let [order, due] = orders::of_registration(&by, &registration);
    let insert = store::registrations::insert(&registration, None, by.now());
    by.commit([insert, order, due]).await?;
    Ok(Accepted(LOOK_INTO_YOUR_MAIL))
}

/// An address, to be written to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Address {
    email: String,
}

async fn resend(
    by: Public,
    caller: Caller,
    Json(asked): Json<Address>,
) -> Result<Accepted<Told>, Turned> {
    let email = Email::read(&asked.email)?;
    Tries::to_ask(&caller).enter(&by).await?;
    by.commit(orders::to_address(&by, Purpose::Resend, &email, false)).await?;
    Ok(Accepted(LOOK_INTO_YOUR_MAIL))
}

/// What was mailed, brought back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub token: String,
}

/// The proof of the address: the account comes into being, with the password of this registration
/// and no other, and its owner is in.
async fn verify(by: Public, caller: Caller, Json(brought): Json<Token>) -> Result<Entrance> {
    let digest = secrets::digest(&brought.token);
    let link = store::registrations::find_link(by.db(), LinkPurpose::Verify, &digest, by.now());
    let link = link.await?.ok_or(LinkInvalid)?;
    let id = link.registration_id.ok_or(LinkInvalid)?;
    let registration = store::registrations::find(by.db(), id, by.now()).await?;
    let registration = registration.ok_or(LinkInvalid)?;
    let user = account_of(&by, &registration).await?;
    let email = &registration.email;
    by.commit([
        store::registrations::take_link(&digest).or_refuse(LinkInvalid),
        store::registrations::remove_links(email),
        store::registrations::remove_of_address(email),
        store::passwords::put(user, &registration.phc, by.now()),
        emit(UserRegistered { id: user }),
        emit(UserVerified { id: user }),
    ])
    .await?;
    let person = peers::person(user).await?.ok_or(LinkInvalid)?;
    let proven =
        Proven { person, amr: vec!["otp".into()], method: "link", persistent: link.persistent };
    entrance::first(&by, &caller, proven, Vec::new(), None).await
}

/// A new account; or, where an earlier attempt at this very step broke off in the middle, the one
/// that it made. An account that anybody can already come into is left alone.
async fn account_of(by: &Ctx, registration: &Registration) -> Result<UserId> {
    let (name, locale) = (registration.display_name.as_deref(), registration.locale.as_deref());
    match peers::create_person(&registration.email, name, locale).await {
        Err(error) if error.is(&EmailTaken) => unclaimed(by, &registration.email).await,
        made => made,
    }
}

/// The account of an address that nobody can come into yet.
///
/// # Errors
/// 409 when somebody can.
pub async fn unclaimed(by: &Ctx, email: &str) -> Result<UserId> {
    let person = peers::person_of_address(&Email::read(email)?).await?.ok_or(EmailTaken)?;
    let factors = store::factors::of(by.db(), person.id).await?;
    match factors.password || factors.demand_second() {
        true => Err(EmailTaken.into()),
        false => {
            peers::mark_verified(person.id).await?;
            Ok(person.id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded_and_locales_are_tags() {
        assert_eq!(display_name(Some("  Ada  ")).unwrap().as_deref(), Some("Ada"));
        assert_eq!(display_name(Some("   ")).unwrap(), None);
        assert!(display_name(Some(&"a".repeat(121))).is_err());
        assert!(display_name(Some("Ada\r\nBcc: x")).is_err());
        for good in ["en", "pt-BR", "zh-Hant-TW"] {
            assert_eq!(locale(Some(good)).unwrap().as_deref(), Some(good));
        }
        for bad in ["e", "en_US", "en--US", "<script>", "abcdefghi"] {
            assert!(locale(Some(bad)).is_err(), "{bad}");
        }
    }
}
