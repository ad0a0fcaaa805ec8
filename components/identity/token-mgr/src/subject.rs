//! Who may have tokens and keys made: people who are signed in, with all that they may do. What was
//! cut down must not grow again by asking for something new.

use crate::store;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    SessionNeeded = 403, "this needs a session: sign in";
    NotAMember = 403, "you do not act for this organisation"
}

/// The session of whoever asks, if they are a person with all that they may do.
pub fn session_of(by: &Ctx) -> Result<String> {
    by.in_person()?;
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
