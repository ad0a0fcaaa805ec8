//! Coming in with what was mailed: a new password, or a link that signs in. Either proves the
//! address; neither stands in for a second factor.

use crate::caller::Caller;
use crate::email_address::Email;
use crate::entrance::{self, Entrance, Proven};
use crate::orders::{self, Purpose};
use crate::peers::{self, Person};
use crate::registration::{LOOK_INTO_YOUR_MAIL, LinkInvalid, Token, Told};
use crate::store::orders::Details;
use crate::store::registrations::{Link, LinkPurpose};
use crate::throttle::{Tries, Turned};
use crate::{hashing, password_rules, secrets, store};
use identity_contract::user_auth::{PasswordChanged, UserVerified};
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/recover", post(recover))
        .route("/recover/finish", post(finish_recovery))
        .route("/magic-link", post(magic_link))
        .route("/magic-link/finish", post(finish_magic_link))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Lost {
    email: String,
}

async fn recover(
    by: Public,
    caller: Caller,
    Json(lost): Json<Lost>,
) -> Result<Accepted<Told>, Turned> {
    ask(&by, &caller, Purpose::Recover, &lost.email, false).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinkAsked {
    email: String,
    /// Whether the session outlives the browser.
    #[serde(default)]
    remember: bool,
}

async fn magic_link(
    by: Public,
    caller: Caller,
    Json(asked): Json<LinkAsked>,
) -> Result<Accepted<Told>, Turned> {
    ask(&by, &caller, Purpose::Magic, &asked.email, asked.remember).await
}

async fn ask(
    by: &Ctx,
    caller: &Caller,
    purpose: Purpose,
    email: &str,
    persistent: bool,
) -> Result<Accepted<Told>, Turned> {
    let email = Email::read(email)?;
    Tries::to_ask(caller).enter(by).await?;
    by.commit(orders::to_address(by, purpose, &email, persistent)).await?;
    Ok(Accepted(LOOK_INTO_YOUR_MAIL))
}

/// The link that was brought back, and whose it is.
async fn brought(by: &Ctx, purpose: LinkPurpose, token: &str) -> Result<(Vec<u8>, Link, Person)> {
    let digest = secrets::digest(token);
    let link = store::registrations::find_link(by.db(), purpose, &digest, by.now()).await?;
    let link = link.ok_or(LinkInvalid)?;
    let person = peers::person(link.user_id.ok_or(LinkInvalid)?).await?.ok_or(LinkInvalid)?;
    // A link to an address that the account no longer has opens nothing.
    if !person.email.eq_ignore_ascii_case(&link.email) {
        return Err(LinkInvalid.into());
    }
    Ok((digest, link, person))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    token: String,
    password: String,
}

/// A new password. Whoever came in with the old one is out again.
async fn finish_recovery(
    by: Public,
    caller: Caller,
    Json(new): Json<NewPassword>,
) -> Result<Entrance> {
    let (digest, link, person) = brought(&by, LinkPurpose::Recover, &new.token).await?;
    password_rules::check(&new.password, &Email::read(&person.email)?, "password")?;
    let phc = hashing::hash(&new.password).await?;
    let mut writes = vec![
        store::registrations::take_link(&digest).or_refuse(LinkInvalid),
        store::registrations::remove_links(&link.email),
        store::flows::remove_of_user(person.id),
        store::passwords::put(person.id, &phc, by.now()),
        emit(PasswordChanged { user: person.id, session: None }),
    ];
    let details =
        Details { address: caller.address_text(), device: caller.device(), ..Details::default() };
    writes.extend(orders::to_user(&by, Purpose::PasswordChanged, person.id, details));
    if !person.email_verified {
        writes.push(emit(UserVerified { id: person.id }));
    }
    by.commit(writes).await?;
    peers::end_sessions(person.id, None).await?;
    proven_address(&person).await?;
    let proven = Proven { person, amr: vec!["otp".into()], method: "link", persistent: false };
    entrance::first(&by, &caller, proven, Vec::new(), None).await
}

async fn finish_magic_link(
    by: Public,
    caller: Caller,
    Json(given): Json<Token>,
) -> Result<Entrance> {
    let (digest, link, person) = brought(&by, LinkPurpose::Magic, &given.token).await?;
    let mut spent = vec![
        store::registrations::take_link(&digest).or_refuse(LinkInvalid),
        store::registrations::remove_links(&link.email),
    ];
    if !person.email_verified {
        spent.push(emit(UserVerified { id: person.id }));
        proven_address(&person).await?;
    }
    let persistent = link.persistent;
    let proven = Proven { person, amr: vec!["otp".into()], method: "link", persistent };
    entrance::first(&by, &caller, proven, spent, None).await
}

async fn proven_address(person: &Person) -> Result<()> {
    match person.email_verified {
        true => Ok(()),
        false => peers::mark_verified(person.id).await,
    }
}
