//! One's own sessions: which devices are signed in, and signing them out. A key of a program has
//! none, and may not sign people out; a token that was cut down for somebody else's client sees and
//! ends no session but its own.

use crate::secret::csrf_token;
use crate::{device, ending, store};
use identity_contract::SessionId;
use nexus_sdk::Kind;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    NoSession = 404, "this credential does not belong to a session"
}

pub fn router() -> Router {
    Router::new()
        .route("/sessions", get(list).delete(end_all))
        .route("/sessions/current", get(current).delete(sign_out))
        .route("/sessions/{id}", delete(end))
}

/// A device that is signed in.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub id: SessionId,
    /// Whether it is the one that asks.
    pub current: bool,
    /// As the browser calls itself.
    pub user_agent: Option<String>,
    pub address: Option<String>,
    pub persistent: bool,
    /// How somebody came in (RFC 8176).
    pub amr: Vec<String>,
    pub acr: String,
    pub auth_time: Time,
    pub created_at: Time,
    pub expires_at: Time,
    /// To the minute.
    pub seen_at: Time,
}

/// As people are shown it.
#[derive(Serialize, JsonSchema)]
pub struct Shown {
    /// `Firefox on Linux`.
    device: String,
    #[serde(flatten)]
    session: Session,
}

impl From<Session> for Shown {
    fn from(session: Session) -> Shown {
        Shown { device: device::in_words(session.user_agent.as_deref()), session }
    }
}

/// The session behind the request, if it is a person's at all.
fn own_session(by: &Ctx) -> Result<Option<SessionId>> {
    let principal = by.principal();
    if principal.kind == Kind::ApiKey {
        return Err(standard::PeopleOnly.into());
    }
    Ok(principal.session.as_deref().and_then(|id| id.parse().ok()))
}

/// As [`own_session`], for whoever may do all that the person may.
fn whole_person(by: &Ctx) -> Result<Option<SessionId>> {
    by.in_person()?;
    own_session(by)
}

async fn list(by: SignedIn, cursor: Cursor) -> Result<Page<Shown>> {
    let current = whole_person(&by)?;
    let subject = &by.principal().subject;
    let own = store::list(by.db(), subject, current, by.now(), &cursor).await?;
    Ok(own.map(Shown::from))
}

#[derive(Serialize, JsonSchema)]
struct Current {
    id: SessionId,
    subject: String,
    /// For `x-csrf-token`, where a browser cannot say that a request is its own site's.
    csrf_token: String,
    amr: Vec<String>,
    acr: String,
    auth_time: Time,
    created_at: Time,
    expires_at: Time,
}

async fn current(by: SignedIn) -> Result<Json<Current>> {
    let id = own_session(&by)?.ok_or(NoSession)?;
    let session = store::standing(by.db(), id, by.now()).await?;
    let own = session.filter(|session| session.subject == by.principal().subject);
    let session = own.ok_or(NoSession)?;
    Ok(Json(Current {
        id,
        csrf_token: csrf_token(&session.digest),
        subject: session.subject,
        amr: session.amr,
        acr: session.acr,
        auth_time: session.auth_time,
        created_at: session.created_at,
        expires_at: session.expires_at,
    }))
}

async fn sign_out(by: SignedIn) -> Result<NoContent> {
    let id = own_session(&by)?.ok_or(NoSession)?;
    let subject = &by.principal().subject;
    ending::end_those(&by, subject, "signed-out", |open| open.id == id).await
}

/// Signing out needs no fresh proof: whoever is not sure any more must be able to do it at once.
async fn end(by: SignedIn, Path(id): Path<SessionId>) -> Result<NoContent> {
    let current = whole_person(&by)?;
    let subject = &by.principal().subject;
    let open = store::open(by.db(), subject).await?;
    if !open.iter().any(|open| open.id == id) {
        return Err(standard::NotFound.into());
    }
    let reason = if current == Some(id) { "signed-out" } else { "ended" };
    ending::end_those(&by, subject, reason, |open| open.id == id).await
}

#[derive(Deserialize, JsonSchema)]
struct Which {
    /// All but the one that asks.
    #[serde(default)]
    others_only: bool,
}

async fn end_all(by: SignedIn, Query(which): Query<Which>) -> Result<NoContent> {
    let current = whole_person(&by)?;
    let stays = |id: SessionId| which.others_only && current == Some(id);
    let subject = &by.principal().subject;
    ending::end_those(&by, subject, "ended", |open| !stays(open.id)).await
}
