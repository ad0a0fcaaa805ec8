//! Who may have tokens and keys made: people who are signed in, with all that they may do. What was
//! cut down must not grow again by asking for something new.

use crate::{scope, store};
use nexus_sdk::Kind;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    PeopleOnly = 403, "keys and tokens are made, seen and ended by people: an API key does not";
    SessionNeeded = 403, "this needs a session: sign in";
    CredentialLimited = 403, "a credential that may do less than its owner has no say over others";
    NotAMember = 403, "you do not act for this organisation"
}

/// Whoever asks, if they are a person with all that they may do: programs see and end neither keys
/// nor tokens of their owner's.
pub async fn whole_person(by: &Ctx) -> Result<&str> {
    let principal = by.principal();
    if principal.kind != Kind::User {
        return Err(PeopleOnly.into());
    }
    let organisation = principal.organisation.as_deref();
    let held = store::subjects::permissions(by.db(), &principal.subject, organisation).await?;
    let held = held.unwrap_or_default();
    let whole = held.iter().all(|permission| scope::covers(&principal.permissions, permission));
    // Only a token with a scope brings words of OpenID along.
    match whole && !principal.permissions.iter().any(|word| scope::is_about_people(word)) {
        true => Ok(&principal.subject),
        false => Err(CredentialLimited.into()),
    }
}

/// The session of whoever asks, if they are a person with all that they may do.
pub async fn session_of(by: &Ctx) -> Result<String> {
    whole_person(by).await?;
    Ok(by.principal().session.clone().ok_or(SessionNeeded)?)
}

/// What a subject may do for itself or for an organisation.
///
/// # Errors
/// 403 for one who is no member, or is not active any more.
pub async fn held(by: &Ctx, subject: &str, organisation: Option<&str>) -> Result<Vec<String>> {
    let held = store::subjects::permissions(by.db(), subject, organisation).await?;
    Ok(held.ok_or(NotAMember)?)
}
