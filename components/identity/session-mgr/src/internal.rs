//! What other components ask: a session for somebody who has proven who they are, a stronger one
//! after a step-up, and whether one still stands.

use crate::secret::{CookieSecret, csrf_token, digest};
use crate::store::Beginning;
use crate::{Askers, LoginFlows, device, ending, policy, store};
use identity_contract::session_mgr::SessionCreated;
use identity_contract::{SessionId, acr};
use nexus_sdk::prelude::*;
use std::net::IpAddr;

nexus_sdk::refusals! {
    SessionSubject = 422, "a subject takes 1 to 255 characters";
    SessionMethods = 422, "methods are 1 to 8 words of RFC 8176";
    SessionStrength = 422, "this is no strength of authentication that is known here";
    SessionProof = 422, "the proof lies in the future";
    IntrospectOne = 422, "name a session by its id or by its secret"
}

/// Clocks of two services of one host are one; of two hosts they may differ by as much.
const PROOF_SECONDS_AHEAD_MAX: i64 = 60;

/// Others who begin or end sessions of the same person at the same moment: each try is a fresh
/// look at what there is.
pub const TRIES: usize = 5;

pub fn router() -> Router {
    Router::new()
        .route("/internal/sessions", post(begin))
        .route("/internal/sessions/{id}", get(show).patch(raise).delete(end))
        .route("/internal/users/{subject}/sessions", delete(end_all))
        .route("/internal/introspect", post(introspect))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    subject: String,
    /// Methods (RFC 8176): `pwd`, `otp`, `hwk`, …
    amr: Vec<String>,
    acr: String,
    /// When that was proven, in Unix seconds.
    auth_time: i64,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    user_agent: Option<String>,
    /// Whether it outlives the browser.
    #[serde(default)]
    persistent: bool,
}

/// A session and, this once, the secret for its cookie.
#[derive(Serialize, JsonSchema)]
struct Begun {
    id: SessionId,
    /// The cookie's value, as it is.
    secret: String,
    csrf_token: String,
    expires_at: Time,
    idle_seconds: i32,
}

/// A session that stands.
#[derive(Debug, Clone, Deserialize)]
pub struct Standing {
    pub id: SessionId,
    pub subject: String,
    pub digest: Vec<u8>,
    pub amr: Vec<String>,
    pub acr: String,
    pub auth_time: Time,
    pub address: Option<String>,
    pub bound_to_address: bool,
    pub persistent: bool,
    pub idle_seconds: i32,
    pub created_at: Time,
    pub expires_at: Time,
}

/// When the proof was given, if methods and strength are words and it was not given tomorrow.
fn proof(amr: &[String], strength: &str, auth_time: i64, now: Time) -> Result<Time, Refusal> {
    let word = |word: &String| {
        (1..=32).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    if !(1..=8).contains(&amr.len()) || !amr.iter().all(word) {
        return Err(SessionMethods.at("amr"));
    }
    if ![acr::SINGLE_FACTOR, acr::TWO_FACTORS, acr::PASSKEY].contains(&strength) {
        return Err(SessionStrength.at("acr"));
    }
    match Time::from_timestamp(auth_time, 0) {
        Some(time) if time <= now + seconds(PROOF_SECONDS_AHEAD_MAX as i32) => Ok(time),
        _ => Err(SessionProof.at("auth_time")),
    }
}

/// The address alone: what is no address is not kept.
fn address_of(text: Option<&str>) -> Option<String> {
    let address: IpAddr = text?.trim().parse().ok()?;
    Some(address.to_canonical().to_string())
}

async fn begin(by: Called<LoginFlows>, Json(draft): Json<Draft>) -> Result<Secret<Created<Begun>>> {
    if !(1..=255).contains(&draft.subject.chars().count()) {
        return Err(SessionSubject.at("subject").into());
    }
    let auth_time = proof(&draft.amr, &draft.acr, draft.auth_time, by.now())?;
    let (policy, _) = policy::current(&by).await?;
    let (idle_seconds, lifetime_seconds) = policy.bounds(draft.persistent);
    let secret = CookieSecret::draw();
    let address = address_of(draft.address.as_deref());
    let session = Beginning {
        id: by.new_id(),
        digest: secret.digest(),
        networks: address.clone().filter(|_| policy.bound_to_address).map(|address| vec![address]),
        subject: draft.subject,
        amr: draft.amr,
        acr: draft.acr,
        auth_time,
        address,
        user_agent: device::kept(draft.user_agent.as_deref()),
        persistent: draft.persistent,
        idle_seconds,
        created_at: by.now(),
        expires_at: by.now() + seconds(lifetime_seconds),
    };
    keep(&by, &session, policy.sessions_max).await?;
    Ok(Secret(Created(Begun {
        id: session.id,
        secret: secret.into_text(),
        csrf_token: csrf_token(&session.digest),
        expires_at: session.expires_at,
        idle_seconds,
    })))
}

/// Writes the session down; the oldest make room where the policy has none left.
async fn keep(by: &Ctx, session: &Beginning, sessions_max: i32) -> Result<()> {
    let subject = &session.subject;
    let room = usize::try_from(sessions_max - 1).unwrap_or(0);
    for attempt in 1.. {
        let open = store::open(by.db(), subject).await?;
        let too_many = open.len().saturating_sub(room);
        let mut writes = vec![store::take_turn(subject, by.now())];
        for oldest in &open[..too_many] {
            writes.extend(ending::writes(oldest.id, subject, "replaced", by.now()));
        }
        writes.extend([
            store::insert(session),
            store::put_credential(session),
            store::within(subject, sessions_max),
            emit(SessionCreated { id: session.id, subject: subject.clone() }),
        ]);
        match by.commit(writes).await {
            Err(error) if error.is(&standard::Conflict) && attempt < TRIES => {}
            kept => return kept.map(drop),
        }
    }
    Ok(())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Proof {
    amr: Vec<String>,
    acr: String,
    /// Unix seconds.
    auth_time: i64,
}

/// After a step-up. The secret is drawn anew: whoever has planted or seen the one before it must
/// not be raised as well (session fixation).
async fn raise(
    by: Called<LoginFlows>,
    Path(id): Path<SessionId>,
    Json(given): Json<Proof>,
) -> Result<Secret<Json<Begun>>> {
    let auth_time = proof(&given.amr, &given.acr, given.auth_time, by.now())?;
    let before = store::standing(by.db(), id, by.now()).await?.ok_or(standard::NotFound)?;
    let secret = CookieSecret::draw();
    let raised = Standing { amr: given.amr, acr: given.acr, auth_time, ..before };
    let digest = secret.digest();
    by.commit([
        store::take_turn(&raised.subject, by.now()),
        store::raise(&raised, &digest),
        store::raise_credential(&raised, &digest),
    ])
    .await?;
    Ok(Secret(Json(Begun {
        id,
        secret: secret.into_text(),
        csrf_token: csrf_token(&digest),
        expires_at: raised.expires_at,
        idle_seconds: raised.idle_seconds,
    })))
}

async fn end(by: Called<LoginFlows>, Path(id): Path<SessionId>) -> Result<NoContent> {
    let session = store::standing(by.db(), id, by.now()).await?.ok_or(standard::NotFound)?;
    ending::end_those(&by, &session.subject, "signed-out", |open| open.id == id).await
}

#[derive(Deserialize, JsonSchema)]
struct Except {
    /// The one that stays.
    except: Option<SessionId>,
}

/// Those of one person: all, or all but one.
async fn end_all(
    by: Called<LoginFlows>,
    Path(subject): Path<String>,
    Query(all): Query<Except>,
) -> Result<NoContent> {
    ending::end_those(&by, &subject, "ended", |open| Some(open.id) != all.except).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Question {
    #[serde(default)]
    id: Option<SessionId>,
    #[serde(default)]
    secret: Option<String>,
}

/// What is known of a session that stands; of any other, only that it does not.
#[derive(Serialize, JsonSchema)]
struct Introspection {
    active: bool,
    #[serde(flatten)]
    session: Option<Shown>,
}

#[derive(Serialize, JsonSchema)]
struct Shown {
    id: SessionId,
    subject: String,
    amr: Vec<String>,
    acr: String,
    /// Unix seconds.
    auth_time: i64,
    persistent: bool,
    created_at: Time,
    expires_at: Time,
}

impl From<Standing> for Shown {
    fn from(s: Standing) -> Shown {
        Shown {
            id: s.id,
            subject: s.subject,
            amr: s.amr,
            acr: s.acr,
            auth_time: s.auth_time.timestamp(),
            persistent: s.persistent,
            created_at: s.created_at,
            expires_at: s.expires_at,
        }
    }
}

async fn show(by: Called<Askers>, Path(id): Path<SessionId>) -> Result<Json<Shown>> {
    let session = store::standing(by.db(), id, by.now()).await?;
    Ok(Json(session.ok_or(standard::NotFound)?.into()))
}

async fn introspect(
    by: Called<Askers>,
    Json(question): Json<Question>,
) -> Result<Json<Introspection>> {
    let id = match (question.id, question.secret) {
        (Some(id), None) => Some(id),
        (None, Some(secret)) => store::id_of(by.db(), &digest(&secret)).await?,
        _ => return Err(IntrospectOne.into()),
    };
    let session = match id {
        Some(id) => store::standing(by.db(), id, by.now()).await?,
        None => None,
    };
    Ok(Json(Introspection { active: session.is_some(), session: session.map(Shown::from) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_has_methods_a_known_strength_and_an_instant_that_has_come() {
        let now = Time::from_timestamp(1_800_000_000, 0).unwrap();
        let pwd = || vec!["pwd".to_owned()];
        let given = |amr: Vec<String>, acr: &str, at: i64| {
            proof(&amr, acr, at, now).map_err(|refusal| refusal.name)
        };
        let one = acr::SINGLE_FACTOR;
        assert_eq!(given(pwd(), one, now.timestamp()), Ok(now));
        assert_eq!(given(vec![], one, 0), Err("SessionMethods"));
        assert_eq!(given(vec!["PWD".into()], one, 0), Err("SessionMethods"));
        assert_eq!(given(vec!["pwd".into(); 9], one, 0), Err("SessionMethods"));
        assert_eq!(given(pwd(), "urn:nexus:acr:none", 0), Err("SessionStrength"));
        assert_eq!(given(pwd(), one, now.timestamp() + 61), Err("SessionProof"));
        assert_eq!(given(pwd(), one, i64::MAX), Err("SessionProof"));
    }

    #[test]
    fn what_is_no_address_is_not_kept() {
        assert_eq!(address_of(Some("203.0.113.7")).as_deref(), Some("203.0.113.7"));
        assert_eq!(address_of(Some("::ffff:203.0.113.7")).as_deref(), Some("203.0.113.7"));
        assert_eq!(address_of(Some("2001:db8::1")).as_deref(), Some("2001:db8::1"));
        for odd in ["203.0.113.7:4711", "<script>", ""] {
            assert_eq!(address_of(Some(odd)), None, "{odd}");
        }
    }
}
