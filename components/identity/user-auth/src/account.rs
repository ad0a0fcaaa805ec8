//! Whose account a request is about, and what it takes to change how one proves who one is.

use crate::peers::{self, Person};
use identity_contract::{SessionId, UserId};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    NeedsSession = 403, "this is done by a person who is signed in, not by a program with a key"
}

/// How long a proof counts as recent where something is changed that would lock its owner out.
pub const RECENT_MINUTES: i32 = 10;

/// The session that asks. A program with a key or a token of its own has none, and no business with
/// its owner's credentials.
///
/// # Errors
/// 403 without a session.
pub fn session_of(by: &SignedIn) -> Result<SessionId> {
    let principal = by.principal();
    let person = principal.kind == nexus_sdk::Kind::User;
    // A token with a scope comes out of a session, and is none.
    if person {
        by.in_person()?;
    }
    let session = principal.session.as_deref().filter(|_| person).and_then(|id| id.parse().ok());
    Ok(session.ok_or(NeedsSession)?)
}

/// The user who asks.
///
/// # Errors
/// 403 when it is nobody with an account here.
pub fn user_of(by: &SignedIn) -> Result<UserId> {
    Ok(by.principal().subject.parse().map_err(|_| NeedsSession)?)
}

/// The user, for a change that must not be made with a stolen session.
///
/// # Errors
/// 403 without a session, or `step-up-required`.
pub fn recent_user_of(by: &SignedIn) -> Result<UserId> {
    session_of(by)?;
    by.recently(minutes(RECENT_MINUTES))?;
    user_of(by)
}

/// Who that is, as `users` knows it now.
///
/// # Errors
/// 404 when the account is gone.
pub async fn person_of(by: &SignedIn) -> Result<Person> {
    Ok(peers::person(user_of(by)?).await?.ok_or(standard::NotFound)?)
}
