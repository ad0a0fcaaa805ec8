//! Signing in with a password, what follows when that is not enough, and signing out.

use crate::account::session_of;
use crate::caller::Caller;
use crate::email_address::Email;
use crate::entrance::{self, AddressNotVerified, Entrance, Proven, WrongCredentials, failed};
use crate::hashing::{self, Verdict};
use crate::peers::{self, Person};
use crate::proofs::{self, Question};
use crate::store::flows::{CeremonyKind, Errand, Flow};
use crate::throttle::{Tries, Turned};
use crate::webauthn::LoginAnswer;
use crate::{secrets, site, store};
use identity_contract::{FlowId, UserId, acr};
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;
use nexus_sdk::{Operation, Output};

nexus_sdk::refusals! {
    FlowOver = 410, "this sign-in is over: it took too long or too many tries; start again"
}

/// Six digits are guessed once in 200,000 times with as many tries.
const TRIES_MAX: i32 = 5;

pub fn router() -> Router {
    Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/flows/{id}/totp", post(totp))
        .route("/flows/{id}/recovery-code", post(recovery_code))
        .route("/flows/{id}/passkey", post(passkey))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    email: String,
    password: String,
    /// Whether the session outlives the browser.
    #[serde(default)]
    remember: bool,
}

/// One look into `users`, one row, one count, one hash and one commit, whoever is meant.
async fn login(by: Public, caller: Caller, Json(asked): Json<Login>) -> Result<Entrance, Turned> {
    let email = Email::read(&asked.email)?;
    let person = peers::person_of_address(&email).await?;
    let nobody: UserId = Uuid::nil().into();
    let user = person.as_ref().map_or(nobody, |person| person.id);
    let known =
        store::passwords::known(by.db(), user, email.as_str(), &caller.network(), by.now()).await?;
    let tries = Tries::to_enter(email.as_str(), &caller, known.familiar);
    tries.enter(&by).await?;
    let stored = match person {
        Some(_) => known.phc,
        None => known.pending,
    };
    let verdict = hashing::verify(&asked.password, stored.clone()).await?;
    let reason = match (verdict, &person) {
        (Verdict::Mismatch, _) => Some(("wrong-credentials", WrongCredentials)),
        (_, None) => Some(("not-verified", AddressNotVerified)),
        _ => None,
    };
    if let Some((reason, refusal)) = reason {
        let user = person.map(|person| person.id);
        by.commit(failed(&by, &caller, "password", reason, user)).await?;
        return Err(refusal.into());
    }
    let (Some(person), Some(stored)) = (person, stored) else {
        return Err(Failure::msg("a password matched without an account").into());
    };
    let mut spent = Vec::new();
    if verdict == Verdict::MatchOld {
        let fresh = hashing::hash(&asked.password).await?;
        spent.push(store::passwords::rehash(person.id, &stored, &fresh));
    }
    let amr = vec!["pwd".into()];
    let proven = Proven { person, amr, method: "password", persistent: asked.remember };
    Ok(entrance::first(&by, &caller, proven, spent, Some(&tries)).await?)
}

/// The cookie is gone and nothing more is said.
struct SignedOut(HeaderValue);

impl IntoResponse for SignedOut {
    fn into_response(self) -> Response {
        let mut response = NoContent.into_response();
        response.headers_mut().insert(header::SET_COOKIE, self.0);
        response
    }
}

impl Output for SignedOut {
    fn describe(operation: &mut Operation) {
        NoContent::describe(operation);
        operation.response_header("set-cookie");
    }
}

async fn logout(by: SignedIn) -> Result<SignedOut> {
    peers::end_session(session_of(&by)?).await?;
    Ok(SignedOut(site::of(&by).await?.no_cookie()?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    flow_secret: String,
    code: String,
}

/// The flow, when this is the browser in which it began. An id alone is worth nothing and uses no
/// try up.
pub async fn flow(by: &Ctx, id: FlowId, secret: &str, errand: Errand) -> Result<(Flow, Person)> {
    let flow = store::flows::find(by.db(), id, by.now()).await?;
    let flow = flow.filter(|flow| flow.is_for(errand) && secrets::is(secret, &flow.digest));
    let flow = flow.ok_or(FlowOver)?;
    let person = peers::person(flow.user_id).await?.ok_or(FlowOver)?;
    Ok((flow, person))
}

/// Counts a try of the flow and of the account.
pub async fn begin_try(
    by: &Ctx,
    caller: &Caller,
    flow: &Flow,
    person: &Person,
) -> Result<Tries, Turned> {
    let tries = Tries::to_enter(&person.email, caller, false);
    tries.enter(by).await?;
    let begin = store::flows::begin_try(flow.id, TRIES_MAX).or_refuse(FlowOver);
    by.aside().commit(begin).await?;
    Ok(tries)
}

async fn totp(
    by: Public,
    caller: Caller,
    Path(id): Path<FlowId>,
    Json(given): Json<Code>,
) -> Result<Entrance, Turned> {
    let (flow, person) = flow(&by, id, &given.flow_secret, Errand::SecondFactor).await?;
    let tries = begin_try(&by, &caller, &flow, &person).await?;
    let spend = proofs::totp(&by, person.id, &given.code).await;
    Ok(second(&by, &caller, flow, person, "totp", spend, &tries).await?)
}

async fn recovery_code(
    by: Public,
    caller: Caller,
    Path(id): Path<FlowId>,
    Json(given): Json<Code>,
) -> Result<Entrance, Turned> {
    let (flow, person) = flow(&by, id, &given.flow_secret, Errand::SecondFactor).await?;
    let tries = begin_try(&by, &caller, &flow, &person).await?;
    let spend = Ok(proofs::recovery_code(&by, person.id, &given.code));
    Ok(second(&by, &caller, flow, person, "recovery-code", spend, &tries).await?)
}

/// The code and the flow are spent together; what does not fit is a try that failed.
async fn second(
    by: &Ctx,
    caller: &Caller,
    flow: Flow,
    person: Person,
    method: &'static str,
    spend: Result<Write>,
    tries: &Tries,
) -> Result<Entrance> {
    let user = person.id;
    let taken = match spend {
        Ok(spend) => {
            let take = store::flows::take(flow.id).or_refuse(FlowOver);
            by.commit([take, spend.or_refuse(WrongCredentials)]).await.map(drop)
        }
        Err(error) => Err(error),
    };
    if let Err(error) = taken {
        if error.is(&WrongCredentials) {
            by.aside().commit(failed(by, caller, method, "wrong-factor", Some(user))).await?;
        }
        return Err(error);
    }
    let mut amr = flow.amr;
    amr.extend(["otp".to_owned(), "mfa".to_owned()]);
    amr.dedup();
    let proven = Proven { person, amr, method, persistent: flow.persistent };
    admitted(by, caller, proven, acr::TWO_FACTORS, tries).await
}

/// In a flow a suspension may have come in between.
async fn admitted(
    by: &Ctx,
    caller: &Caller,
    proven: Proven,
    strength: &str,
    tries: &Tries,
) -> Result<Entrance> {
    if !proven.person.may_enter() {
        return Err(entrance::AccountSuspended.into());
    }
    entrance::enter(by, caller, proven, strength, Some(tries)).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PasskeyStep {
    flow_secret: String,
    /// With an answer: which question it is to.
    #[serde(default)]
    ceremony: Option<FlowId>,
    #[serde(default)]
    credential: Option<LoginAnswer>,
}

/// A question to the authenticator, or what comes of its answer.
enum PasskeyAnswer {
    Question(Question),
    Entrance(Box<Entrance>),
}

impl IntoResponse for PasskeyAnswer {
    fn into_response(self) -> Response {
        match self {
            PasskeyAnswer::Question(question) => Secret(Json(question)).into_response(),
            PasskeyAnswer::Entrance(entrance) => entrance.into_response(),
        }
    }
}

impl Output for PasskeyAnswer {
    fn describe(operation: &mut Operation) {
        Entrance::describe(operation);
    }
}

async fn passkey(
    by: Public,
    caller: Caller,
    Path(id): Path<FlowId>,
    Json(step): Json<PasskeyStep>,
) -> Result<PasskeyAnswer, Turned> {
    let (flow, person) = flow(&by, id, &step.flow_secret, Errand::SecondFactor).await?;
    let kind = CeremonyKind::SecondFactor;
    let (Some(ceremony), Some(answer)) = (step.ceremony, step.credential) else {
        let question = proofs::ask_passkey(&by, kind, Some(person.id)).await?;
        return Ok(PasskeyAnswer::Question(question));
    };
    let tries = begin_try(&by, &caller, &flow, &person).await?;
    let used = proofs::passkey(&by, kind, ceremony, &answer, false).await;
    let used = match used {
        Ok(used) if used.user == person.id => used,
        Ok(_) => return Err(WrongCredentials.into()),
        Err(error) => {
            if error.is(&WrongCredentials) {
                let user = Some(person.id);
                by.commit(failed(&by, &caller, "passkey", "wrong-factor", user)).await?;
            }
            return Err(error.into());
        }
    };
    by.commit([store::flows::take(flow.id).or_refuse(FlowOver), used.leaves]).await?;
    let mut amr = flow.amr;
    amr.extend([used.amr.to_owned(), "mfa".to_owned()]);
    let proven = Proven { person, amr, method: "passkey", persistent: flow.persistent };
    let strength = if used.user_verified { acr::PASSKEY } else { acr::TWO_FACTORS };
    let entrance = admitted(&by, &caller, proven, strength, &tries).await?;
    Ok(PasskeyAnswer::Entrance(Box::new(entrance)))
}
