//! Mails that are owed: ordered in the commit of what they are about, written by the event that
//! follows.
//!
//! Here, and not in a stranger's request, it is looked up whether there is anybody at an address:
//! so neither words nor time of an answer tell. Secrets are drawn here as well: they stand in the
//! mail and nowhere else.

use crate::email_address::Email;
use crate::peers::{self, Person};
use crate::site::Site;
use crate::store::orders::{Details, Order};
use crate::store::registrations::{Link, LinkDraft, LinkPurpose, Registration};
use crate::throttle::{Tries, Turned};
use crate::{secrets, site, store};
use identity_contract::user_auth::MailDue;
use identity_contract::{FlowId, UserId};
use nexus_sdk::prelude::*;
use serde_json::Value;

/// A day is enough to find a mail in the wrong folder.
const VERIFY_MINUTES: i32 = 24 * 60;
const RECOVER_MINUTES: i32 = 30;
const MAGIC_MINUTES: i32 = 15;
/// What could not be written for so long is about nothing any more.
const ORDER_HOURS_MAX: i32 = 6;

/// Why somebody gets a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Register,
    Resend,
    Recover,
    Magic,
    PasswordChanged,
    NewSignIn,
    FactorsChanged,
}

/// The template for somebody whose address was typed into a registration.
const EXISTS: &str = "account-exists";

const PURPOSES: [(Purpose, &str); 7] = [
    (Purpose::Register, "register"),
    (Purpose::Resend, "resend"),
    (Purpose::Recover, "recover"),
    (Purpose::Magic, "magic"),
    (Purpose::PasswordChanged, "password-changed"),
    (Purpose::NewSignIn, "new-sign-in"),
    (Purpose::FactorsChanged, "mfa-changed"),
];

impl Purpose {
    fn word(self) -> &'static str {
        let own = PURPOSES.iter().find(|(purpose, _)| *purpose == self);
        own.expect("the table has all of them").1
    }

    fn of(word: &str) -> Option<Purpose> {
        PURPOSES.iter().find(|(_, own)| *own == word).map(|(purpose, _)| *purpose)
    }

    /// Asked for by anybody who types an address.
    fn is_asked_by_strangers(self) -> bool {
        matches!(self, Purpose::Register | Purpose::Resend | Purpose::Recover | Purpose::Magic)
    }
}

/// A mail to an address that somebody typed.
pub fn to_address(by: &Ctx, purpose: Purpose, email: &Email, persistent: bool) -> [Write; 2] {
    let details = Details { persistent, ..Details::default() };
    order(by, purpose, Some(email.as_str().to_owned()), None, None, details)
}

/// The mail of a registration.
pub fn of_registration(by: &Ctx, registration: &Registration) -> [Write; 2] {
    let email = Some(registration.email.clone());
    order(by, Purpose::Register, email, None, Some(registration.id), Details::default())
}

/// A mail to somebody who is known.
pub fn to_user(by: &Ctx, purpose: Purpose, user: UserId, details: Details) -> [Write; 2] {
    order(by, purpose, None, Some(user), None, details)
}

fn order(
    by: &Ctx,
    purpose: Purpose,
    email: Option<String>,
    user_id: Option<UserId>,
    registration_id: Option<FlowId>,
    details: Details,
) -> [Write; 2] {
    let purpose = purpose.word().to_owned();
    let (id, created_at) = (by.new_id(), by.now());
    let order = Order {
        id,
        purpose: purpose.clone(),
        email,
        user_id,
        registration_id,
        details,
        created_at,
    };
    [store::orders::insert(&order), emit(MailDue { order: id, purpose })]
}

/// Writes a mail that is owed. A link is kept before it is mailed, beside the event: when this is
/// tried again there are two that work, of which one was mailed, and using one ends both.
pub async fn on_due(ctx: Ctx, due: MailDue) -> Result<NoContent> {
    let Some(order) = store::orders::find(ctx.db(), due.order).await? else {
        return ctx.commit(Vec::new()).await;
    };
    if ctx.now() - order.created_at < hours(ORDER_HOURS_MAX)
        && let Some(letter) = compose(&ctx, &order).await?
    {
        peers::mail(&letter).await?;
    }
    ctx.commit(store::orders::remove(order.id)).await
}

async fn compose(ctx: &Ctx, order: &Order) -> Result<Option<Value>> {
    let purpose = Purpose::of(&order.purpose)
        .ok_or_else(|| Failure::msg(format!("write a mail: for {:?}?", order.purpose)))?;
    if let Some(user) = order.user_id {
        let person = peers::person(user).await?;
        return Ok(person.map(|person| notice(order, purpose, &person)));
    }
    let email = Email::read(order.email.as_deref().unwrap_or_default())?;
    if purpose.is_asked_by_strangers() {
        match Tries::to_mail(email.as_str()).enter(ctx).await {
            Ok(()) => {}
            Err(Turned::Away { .. }) => return Ok(None),
            Err(Turned::Wrong(error)) => return Err(error),
        }
    }
    let person = peers::person_of_address(&email).await?;
    let site = site::of(ctx).await?;
    match (purpose, person) {
        (Purpose::Register | Purpose::Resend, None) => {
            verification(ctx, order, &site, &email).await
        }
        // Somebody registers with the address of an account: its owner is told, and how to come in.
        (Purpose::Register | Purpose::Recover | Purpose::Magic, Some(person))
            if person.may_enter() =>
        {
            linked(ctx, order, &site, purpose, &person).await.map(Some)
        }
        _ => Ok(None),
    }
}

async fn verification(
    ctx: &Ctx,
    order: &Order,
    site: &Site,
    email: &Email,
) -> Result<Option<Value>> {
    let registration = match order.registration_id {
        Some(id) => store::registrations::find(ctx.db(), id, ctx.now()).await?,
        None => store::registrations::newest(ctx.db(), email.as_str(), ctx.now()).await?,
    };
    let Some(registration) = registration else { return Ok(None) };
    let link = Link {
        email: registration.email.clone(),
        user_id: None,
        registration_id: Some(registration.id),
        persistent: false,
    };
    let token = keep(ctx, LinkPurpose::Verify, &link, VERIFY_MINUTES).await?;
    let model = json!({
        "link": format!("{}/account/verify?token={token}", site.origin),
        "expires_in_minutes": VERIFY_MINUTES,
    });
    let to = Addressee {
        email: &registration.email,
        name: registration.display_name.as_deref(),
        locale: registration.locale.as_deref(),
    };
    Ok(Some(message(order, &to, "verify-email", model)))
}

async fn linked(
    ctx: &Ctx,
    order: &Order,
    site: &Site,
    purpose: Purpose,
    person: &Person,
) -> Result<Value> {
    let (kind, path, minutes, template) = match purpose {
        Purpose::Recover => {
            (LinkPurpose::Recover, "recover/finish", RECOVER_MINUTES, "recover-password")
        }
        Purpose::Register => (LinkPurpose::Recover, "recover/finish", RECOVER_MINUTES, EXISTS),
        _ => (LinkPurpose::Magic, "magic-link", MAGIC_MINUTES, "magic-link"),
    };
    let link = Link {
        email: person.email.clone(),
        user_id: Some(person.id),
        registration_id: None,
        persistent: order.details.persistent,
    };
    let token = keep(ctx, kind, &link, minutes).await?;
    let model = json!({
        "link": format!("{}/account/{path}?token={token}", site.origin),
        "expires_in_minutes": minutes,
    });
    Ok(message(order, &person.into(), template, model))
}

/// Draws the secret of a link and keeps its digest.
async fn keep(ctx: &Ctx, purpose: LinkPurpose, link: &Link, lasts_minutes: i32) -> Result<String> {
    let token = secrets::draw("nxl_");
    let digest = secrets::digest(&token);
    let expires_at = ctx.now() + minutes(lasts_minutes);
    let draft = LinkDraft { digest: &digest, purpose, link, expires_at };
    ctx.aside().commit(store::registrations::insert_link(&draft, ctx.now())).await?;
    Ok(token)
}

fn notice(order: &Order, purpose: Purpose, person: &Person) -> Value {
    let model = json!({ "address": order.details.address, "device": order.details.device });
    message(order, &person.into(), purpose.word(), model)
}

/// Whom a mail is for.
struct Addressee<'a> {
    email: &'a str,
    name: Option<&'a str>,
    locale: Option<&'a str>,
}

impl<'a> From<&'a Person> for Addressee<'a> {
    fn from(person: &'a Person) -> Addressee<'a> {
        let (name, locale) = (person.display_name.as_deref(), person.locale.as_deref());
        Addressee { email: &person.email, name, locale }
    }
}

/// What is not known is left out of the model.
fn message(order: &Order, to: &Addressee<'_>, template: &str, mut model: Value) -> Value {
    if let Some(model) = model.as_object_mut() {
        model.extend(to.name.map(|name| ("name".to_owned(), name.into())));
        model.retain(|_, value| !value.is_null());
    }
    json!({
        "to": to.email, "template": template, "locale": to.locale, "category": "security",
        "dedup_key": order.id, "model": model,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_has_a_word_and_is_found_by_it() {
        for (purpose, word) in PURPOSES {
            assert_eq!(purpose.word(), word);
            assert_eq!(Purpose::of(word), Some(purpose));
        }
        assert_eq!(Purpose::of("spam"), None);
    }

    #[test]
    fn what_is_not_known_is_not_in_the_mail() {
        let order = Order {
            id: Uuid::nil().into(),
            purpose: "new-sign-in".into(),
            email: None,
            user_id: None,
            registration_id: None,
            details: Details { address: Some("192.0.2.1".into()), ..Details::default() },
            created_at: Time::UNIX_EPOCH,
        };
        let person = Person {
            mfa_required: false,
            id: Uuid::nil().into(),
            status: "active".into(),
            email: "ada@example.org".into(),
            email_verified: true,
            display_name: Some("Ada".into()),
            locale: None,
        };
        let letter = notice(&order, Purpose::NewSignIn, &person);
        assert_eq!(letter["model"], json!({ "name": "Ada", "address": "192.0.2.1" }));
        assert_eq!(letter["template"], "new-sign-in");
        assert_eq!(letter["to"], "ada@example.org");
    }
}
