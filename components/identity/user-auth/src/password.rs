//! A new password for somebody who is in.

use crate::account::{RECENT_MINUTES, person_of, session_of};
use crate::caller::Caller;
use crate::email_address::Email;
use crate::entrance::{WrongCredentials, failed};
use crate::hashing::{self, Verdict};
use crate::orders::{self, Purpose};
use crate::peers;
use crate::store::orders::Details;
use crate::throttle::{Tries, Turned};
use crate::{password_rules, store};
use identity_contract::user_auth::PasswordChanged;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/password", post(change))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    password: String,
    /// May be left out shortly after another proof, or where there is none yet.
    #[serde(default)]
    current_password: Option<String>,
}

/// All sessions but this one are over: whoever knew the old password may be in one of them.
async fn change(
    by: SignedIn,
    caller: Caller,
    Json(change): Json<Change>,
) -> Result<NoContent, Turned> {
    let session = session_of(&by)?;
    let person = person_of(&by).await?;
    password_rules::check(&change.password, &Email::read(&person.email)?, "password")?;
    let mut writes = Vec::new();
    match &change.current_password {
        Some(current) => {
            let tries = Tries::to_enter(&person.email, &caller, true);
            prove(&by, &caller, &person, current, &tries).await?;
            writes.extend(tries.forget());
        }
        None => by.recently(minutes(RECENT_MINUTES))?,
    }
    let phc = hashing::hash(&change.password).await?;
    let details =
        Details { address: caller.address_text(), device: caller.device(), ..Details::default() };
    writes.extend([
        store::passwords::put(person.id, &phc, by.now()),
        store::flows::remove_of_user(person.id),
        emit(PasswordChanged { user: person.id, session: Some(session) }),
    ]);
    writes.extend(orders::to_user(&by, Purpose::PasswordChanged, person.id, details));
    by.commit(writes).await?;
    peers::end_sessions(person.id, Some(session)).await?;
    Ok(NoContent)
}

/// Counts a try and compares; for those who are in.
///
/// # Errors
/// [`WrongCredentials`], written down.
pub async fn prove(
    by: &Ctx,
    caller: &Caller,
    person: &peers::Person,
    password: &str,
    tries: &Tries,
) -> Result<(), Turned> {
    let network = caller.network();
    let known =
        store::passwords::known(by.db(), person.id, &person.email, &network, by.now()).await?;
    tries.enter(by).await?;
    if hashing::verify(password, known.phc).await? == Verdict::Mismatch {
        let user = Some(person.id);
        by.aside().commit(failed(by, caller, "password", "wrong-credentials", user)).await?;
        return Err(WrongCredentials.into());
    }
    Ok(())
}
