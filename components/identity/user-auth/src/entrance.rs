//! The last step of every way in: a session, or the question for a second factor.
//!
//! Knows what a first proof is worth, when it is not enough, and what a sign-in leaves behind.
//! Refuses to know how the proof was made.

use crate::caller::Caller;
use crate::orders::{self, Purpose};
use crate::peers::{self, Begun, Grounds, Person};
use crate::store::attempts::Attempt;
use crate::store::factors::Factors;
use crate::store::flows::{Errand, Flow};
use crate::store::orders::Details;
use crate::throttle::Tries;
use crate::{secrets, site, store};
use identity_contract::user_auth::{LoginFailed, LoginSucceeded};
use identity_contract::{FlowId, SessionId, UserId, acr};
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;
use nexus_sdk::{Operation, Output};

nexus_sdk::refusals! {
    WrongCredentials = 401, "this is not the right address and password, code or passkey";
    AddressNotVerified = 403, "prove the address first: the link was mailed, and can be again";
    AccountSuspended = 403, "this account may not be used at the moment";
}

/// A flow lives as long as it takes to find a telephone.
const FLOW_MINUTES: i32 = 10;

/// What one is worth who has proven something.
#[derive(Debug)]
pub struct Proven {
    pub person: Person,
    /// Methods (RFC 8176).
    pub amr: Vec<String>,
    /// `password`, `link`, `passkey`, `totp`, `recovery-code`: for the list of attempts.
    pub method: &'static str,
    pub persistent: bool,
}

/// Either in, or asked for more.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
enum State {
    SignedIn {
        session: SessionShown,
        user: UserShown,
        /// With a second factor that was set up on the way, shown once.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[schemars(default)]
        recovery_codes: Vec<String>,
    },
    SecondFactor(Question),
    /// Two factors are asked of this account and there is one: the other has to be set up now.
    EnrolSecondFactor(Question),
}

#[derive(Serialize, JsonSchema)]
struct SessionShown {
    id: SessionId,
    expires_at: Time,
    /// For requests with the cookie from elsewhere than our own pages: `x-csrf-token`.
    csrf_token: String,
}

#[derive(Serialize, JsonSchema)]
struct UserShown {
    id: UserId,
    email: String,
    display_name: Option<String>,
    locale: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Question {
    flow: FlowId,
    /// Belongs to the browser in which the flow began; never into a URL.
    flow_secret: String,
    /// `totp`, `recovery-code`, `passkey`.
    methods: Vec<&'static str>,
    expires_at: Time,
}

/// The answer of every way in, with the cookie of the session if there is one. Never kept by
/// anybody on the way.
pub struct Entrance {
    state: State,
    cookie: Option<HeaderValue>,
}

impl Entrance {
    /// The same, with codes that its owner has to keep.
    pub fn with_codes(mut self, codes: Vec<String>) -> Self {
        if let State::SignedIn { recovery_codes, .. } = &mut self.state {
            *recovery_codes = codes;
        }
        self
    }
}

impl IntoResponse for Entrance {
    fn into_response(self) -> Response {
        let mut response = Secret(Json(self.state)).into_response();
        if let Some(cookie) = self.cookie {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

impl Output for Entrance {
    fn describe(operation: &mut Operation) {
        Json::<State>::describe(operation);
        operation.response_header("set-cookie");
        [401, 403, 429].into_iter().for_each(|status| operation.problem(status));
    }
}

/// A first proof: enough where there is no second factor. `spent` are the writes that use the proof
/// up, so that nothing can be used twice.
///
/// # Errors
/// 403 when the person may not come in; what `spent` refuses.
pub async fn first(
    by: &Ctx,
    caller: &Caller,
    proven: Proven,
    spent: Vec<Write>,
    tries: Option<&Tries>,
) -> Result<Entrance> {
    if !proven.person.may_enter() {
        let failed = failed(by, caller, proven.method, "suspended", Some(proven.person.id));
        by.commit(failed).await?;
        return Err(AccountSuspended.into());
    }
    let factors = store::factors::of(by.db(), proven.person.id).await?;
    match (factors.demand_second(), proven.person.mfa_required) {
        (true, _) => ask_second(by, proven, spent, &factors).await,
        (false, true) => ask_enrolment(by, proven, spent).await,
        (false, false) => {
            if !spent.is_empty() {
                by.commit(spent).await?;
            }
            enter(by, caller, proven, acr::SINGLE_FACTOR, tries).await
        }
    }
}

async fn ask_second(
    by: &Ctx,
    proven: Proven,
    spent: Vec<Write>,
    factors: &Factors,
) -> Result<Entrance> {
    let all = [
        ("passkey", factors.passkeys > 0),
        ("totp", factors.totp),
        ("recovery-code", factors.recovery_codes_left > 0),
    ];
    let methods = all.iter().filter(|(_, has)| *has).map(|(method, _)| *method).collect();
    let question = question(by, proven, spent, Errand::SecondFactor, methods).await?;
    Ok(Entrance { state: State::SecondFactor(question), cookie: None })
}

async fn ask_enrolment(by: &Ctx, proven: Proven, spent: Vec<Write>) -> Result<Entrance> {
    let question = question(by, proven, spent, Errand::Enrolment, vec!["totp"]).await?;
    Ok(Entrance { state: State::EnrolSecondFactor(question), cookie: None })
}

/// Begins a flow for whoever has proven something and not yet enough.
async fn question(
    by: &Ctx,
    proven: Proven,
    mut spent: Vec<Write>,
    errand: Errand,
    methods: Vec<&'static str>,
) -> Result<Question> {
    let secret = secrets::draw("nxf_");
    let flow = Flow {
        id: by.new_id(),
        digest: secrets::digest(&secret),
        user_id: proven.person.id,
        amr: proven.amr,
        persistent: proven.persistent,
        enrols: errand == Errand::Enrolment,
        expires_at: by.now() + minutes(FLOW_MINUTES),
    };
    spent.push(store::flows::insert(&flow, by.now()));
    by.commit(spent).await?;
    Ok(Question { flow: flow.id, flow_secret: secret, methods, expires_at: flow.expires_at })
}

/// Whoever comes here has proven enough: begins a session and writes down that it began.
pub async fn enter(
    by: &Ctx,
    caller: &Caller,
    proven: Proven,
    strength: &str,
    tries: Option<&Tries>,
) -> Result<Entrance> {
    let user = proven.person.id;
    let grounds = Grounds { amr: &proven.amr, acr: strength, now: by.now() };
    let session = peers::begin_session(user, &grounds, caller, proven.persistent).await?;
    let (network, agent) = (caller.network(), caller.agent_digest());
    let known = store::attempts::acquaintance(by.db(), user, &network, &agent).await?;
    let mut writes = vec![
        store::attempts::insert(&attempt(by, caller, proven.method, "signed-in"), Some(user)),
        store::attempts::seen(user, &network, &agent, by.now()),
        emit(LoginSucceeded { user, amr: proven.amr.clone() }),
    ];
    if known.anywhere && !known.here {
        let details = Details {
            address: caller.address_text(),
            device: caller.device(),
            ..Details::default()
        };
        writes.extend(orders::to_user(by, Purpose::NewSignIn, user, details));
    }
    writes.extend(tries.map(Tries::forget).into_iter().flatten());
    by.commit(writes).await?;
    peers::mark_login(user, by.now()).await.or_log("tell users of a sign-in");
    signed_in(by, session, proven.person, proven.persistent).await
}

/// The answer for somebody who is in.
pub async fn signed_in(
    by: &Ctx,
    session: Begun,
    person: Person,
    persistent: bool,
) -> Result<Entrance> {
    let site = site::of(by).await?;
    let lasts = persistent.then(|| (session.expires_at - by.now()).num_seconds());
    let cookie = Some(site.session_cookie(&session.secret, lasts)?);
    let (id, expires_at, csrf_token) = (session.id, session.expires_at, session.csrf_token);
    let user = UserShown {
        id: person.id,
        email: person.email,
        display_name: person.display_name,
        locale: person.locale,
    };
    let session = SessionShown { id, expires_at, csrf_token };
    let recovery_codes = Vec::new();
    Ok(Entrance { state: State::SignedIn { session, user, recovery_codes }, cookie })
}

pub fn attempt(by: &Ctx, caller: &Caller, method: &str, outcome: &str) -> Attempt {
    Attempt {
        id: by.new_id(),
        outcome: outcome.into(),
        method: method.into(),
        address: caller.address_text(),
        device: caller.device(),
        at: by.now(),
    }
}

/// What a try leaves behind that did not succeed: the same whether there is such an account or not.
pub fn failed(
    by: &Ctx,
    caller: &Caller,
    method: &str,
    reason: &str,
    user: Option<UserId>,
) -> [Write; 2] {
    let attempt = attempt(by, caller, method, reason);
    let told = emit(LoginFailed { id: attempt.id, user, reason: reason.into() });
    [store::attempts::insert(&attempt, user), told]
}
