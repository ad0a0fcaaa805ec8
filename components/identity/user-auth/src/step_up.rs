//! Proving again who one is, before something that a stolen session must not do. The session goes
//! on under another secret.

use crate::account::{person_of, session_of, user_of};
use crate::caller::Caller;
use crate::entrance::{self, Entrance, WrongCredentials, attempt, failed};
use crate::peers::{self, Grounds};
use crate::proofs::{self, Question};
use crate::store::flows::CeremonyKind;
use crate::throttle::{Tries, Turned};
use crate::webauthn::LoginAnswer;
use crate::{password, store};
use identity_contract::{FlowId, acr};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    OneProof = 422, "send one of password, code, recovery_code, or ceremony with credential"
}

pub fn router() -> Router {
    Router::new().route("/step-up", post(step_up)).route("/step-up/passkey", post(ask_passkey))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Proof {
    #[serde(default)]
    password: Option<String>,
    /// Of an app.
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    recovery_code: Option<String>,
    #[serde(default)]
    ceremony: Option<FlowId>,
    #[serde(default)]
    credential: Option<LoginAnswer>,
}

async fn ask_passkey(by: SignedIn) -> Result<Secret<Json<Question>>> {
    session_of(&by)?;
    let question = proofs::ask_passkey(&by, CeremonyKind::StepUp, Some(user_of(&by)?)).await?;
    Ok(Secret(Json(question)))
}

/// What a proof was worth.
struct Worth {
    amr: Vec<String>,
    acr: &'static str,
    method: &'static str,
    spent: Vec<Write>,
}

async fn step_up(
    by: SignedIn,
    caller: Caller,
    Json(proof): Json<Proof>,
) -> Result<Entrance, Turned> {
    let session = session_of(&by)?;
    let person = person_of(&by).await?;
    let tries = Tries::to_enter(&person.email, &caller, true);
    let worth = prove(&by, &caller, &person, proof, &tries).await?;
    let kept = acr_kept(&by, worth.acr);
    let standing = peers::session(session).await?.ok_or(standard::Unauthenticated)?;
    let mut writes = worth.spent;
    let done = attempt(&by, &caller, worth.method, "stepped-up");
    writes.push(store::attempts::insert(&done, Some(person.id)));
    writes.extend(tries.forget());
    match by.commit(writes).await {
        Err(error) if error.is(&WrongCredentials) => {
            let user = Some(person.id);
            by.aside().commit(failed(&by, &caller, worth.method, "wrong-factor", user)).await?;
            return Err(error.into());
        }
        done => done?,
    };
    let grounds = Grounds { amr: &worth.amr, acr: kept, now: by.now() };
    let begun = peers::raise_session(session, &grounds).await?;
    Ok(entrance::signed_in(&by, begun, person, standing.persistent).await?)
}

/// A weaker proof renews what a stronger one had reached: it adds to it.
fn acr_kept(by: &SignedIn, reached: &'static str) -> &'static str {
    match (by.principal().acr.as_deref(), reached) {
        (Some(acr::PASSKEY), _) => acr::PASSKEY,
        (Some(acr::TWO_FACTORS), acr::SINGLE_FACTOR) => acr::TWO_FACTORS,
        _ => reached,
    }
}

async fn prove(
    by: &SignedIn,
    caller: &Caller,
    person: &peers::Person,
    proof: Proof,
    tries: &Tries,
) -> Result<Worth, Turned> {
    let worth = |amr: &[&str], acr, method, spent| Worth {
        amr: amr.iter().map(|word| (*word).to_owned()).collect(),
        acr,
        method,
        spent,
    };
    // A code on top of whatever began the session makes two factors of it.
    match (proof.password, proof.code, proof.recovery_code, proof.ceremony, proof.credential) {
        (Some(password), None, None, None, None) => {
            password::prove(by, caller, person, &password, tries).await?;
            Ok(worth(&["pwd"], acr::SINGLE_FACTOR, "password", Vec::new()))
        }
        (None, Some(code), None, None, None) => {
            tries.enter(by).await?;
            let spend = proofs::totp(by, person.id, &code).await;
            let spend = noted(by, caller, person, "totp", spend).await?;
            Ok(worth(&["otp", "mfa"], acr::TWO_FACTORS, "totp", vec![spend]))
        }
        (None, None, Some(code), None, None) => {
            tries.enter(by).await?;
            let spend = proofs::recovery_code(by, person.id, &code);
            Ok(worth(&["otp", "mfa"], acr::TWO_FACTORS, "recovery-code", vec![spend]))
        }
        (None, None, None, Some(ceremony), Some(answer)) => {
            tries.enter(by).await?;
            let used = proofs::passkey(by, CeremonyKind::StepUp, ceremony, &answer, false).await;
            let used = noted(by, caller, person, "passkey", used).await?;
            let strength = if used.user_verified { acr::PASSKEY } else { acr::TWO_FACTORS };
            Ok(worth(&[used.amr, "mfa"], strength, "passkey", vec![used.leaves]))
        }
        _ => Err(OneProof.into()),
    }
}

/// Writes a wrong proof down.
async fn noted<T>(
    by: &SignedIn,
    caller: &Caller,
    person: &peers::Person,
    method: &str,
    proof: Result<T>,
) -> Result<T> {
    if let Err(error) = &proof
        && error.is(&WrongCredentials)
    {
        let user = Some(person.id);
        by.aside().commit(failed(by, caller, method, "wrong-factor", user)).await?;
    }
    proof
}
