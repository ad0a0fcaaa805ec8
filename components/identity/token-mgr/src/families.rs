//! Families of tokens: opened with a sign-in of one client, gone on with by refresh tokens, ended
//! all at once.

use crate::claims::{self, Order};
use crate::kms::Algorithm;
use crate::limits::{ACCESS_SECONDS, FAMILIES_MAX, FAMILY_DAYS, TRIES};
use crate::refresh::{Verdict, judge};
use crate::store::families::{Kept, Token};
use crate::{opaque, scope, store};
use identity_contract::TokenFamilyId;
use identity_contract::token_mgr::{TokenReuseDetected, TokenRevoked};
use nexus_sdk::prelude::*;
use serde_json::Map;

nexus_sdk::refusals! {
    /// Also what a thief is told whose token has just ended the family: nothing more.
    InvalidGrant = 400, "this refresh token is worth nothing here";
    TooManyFamilies = 409, "a person has at most 200 clients with tokens: revoke some";
    FamilyExists = 409, "these tokens were given out before"
}

/// What a client gets.
#[derive(Debug)]
pub struct Tokens {
    pub access_token: String,
    pub expires_in: i32,
    pub refresh_token: Option<String>,
    /// Absent where it is everything.
    pub scope: Option<String>,
    pub family: Kept,
}

/// Who may go on with a family: the client itself, here, or `auth`, where clients prove who they
/// are before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Own,
    Auth,
}

/// Opens a family, with a refresh token if it shall be gone on with. The access token is bound to
/// the key of `jkt`, if there is one; whether refresh tokens are too is the family's.
///
/// # Errors
/// 409 for the same family again, or one too many; 503 when kms is away.
pub async fn open(by: &Ctx, family: Kept, refreshes: bool, jkt: Option<&str>) -> Result<Tokens> {
    let (token, issued) = access(by, &family, family.scope.as_deref(), jkt).await?;
    let refresh_token = refreshes.then(opaque::refresh_token);
    let mut writes = vec![
        store::subjects::take_turn(&family.subject, by.now()),
        store::families::insert(&family, FAMILIES_MAX)
            .or_refuse(TooManyFamilies)
            .on_conflict_refuse("family_pkey", FamilyExists),
        issued,
    ];
    if let Some(text) = &refresh_token {
        let digest = opaque::digest(text);
        writes.push(store::families::insert_token(family.id, &digest, by.now()));
    }
    by.commit(writes).await?;
    let (expires_in, scope) = (lifetime(&family, by.now()), family.scope.clone());
    Ok(Tokens { access_token: token.text, expires_in, refresh_token, scope, family })
}

/// The instant until which a family that begins now can be gone on with.
pub fn expires_at(now: Time) -> Time {
    now + days(FAMILY_DAYS)
}

/// Access tokens end with their family.
fn lifetime(family: &Kept, now: Time) -> i32 {
    let left = (family.expires_at - now).num_seconds().clamp(1, i64::from(ACCESS_SECONDS));
    i32::try_from(left).unwrap_or(ACCESS_SECONDS)
}

async fn access(
    by: &Ctx,
    family: &Kept,
    scope: Option<&str>,
    jkt: Option<&str>,
) -> Result<(claims::Token, Write)> {
    let order = Order {
        typ: claims::ACCESS,
        kind: "user",
        subject: &family.subject,
        audience: claims::AUDIENCE,
        lifetime_seconds: lifetime(family, by.now()),
        not_after: None,
        scope,
        session: family.session.as_deref(),
        organisation: family.organisation.as_deref(),
        client_id: Some(&family.client_id),
        auth_time: family.auth_time.map(|time| time.timestamp()),
        acr: family.acr.as_deref(),
        family: Some(family.id),
        jkt,
        algorithm: Algorithm::Es256,
        more: Map::new(),
    };
    claims::make(by, &order).await
}

/// Whoever shows a refresh token.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    pub door: Door,
    pub client_id: &'a str,
    /// Thumbprint of the key that it has proven to hold.
    pub jkt: Option<&'a str>,
}

impl Holder<'_> {
    fn may_go_on(&self, family: &Kept) -> bool {
        let bound = family.jkt.is_some() && family.jkt.as_deref() != self.jkt;
        family.client_id == self.client_id && family.by_auth == (self.door == Door::Auth) && !bound
    }
}

/// The next tokens of a family.
///
/// # Errors
/// `InvalidGrant` for whatever is worth nothing, `ScopeWider`; 503 when kms or session-mgr is away.
pub async fn refresh(
    by: &Ctx,
    holder: Holder<'_>,
    presented: &str,
    wanted: Option<&str>,
) -> Result<Tokens> {
    for attempt in 1.. {
        let kept = store::families::token(by.db(), &opaque::digest(presented)).await?;
        let kept = kept.filter(|kept| holder.may_go_on(&kept.family)).ok_or(InvalidGrant)?;
        match go_on(by, kept, presented, wanted, holder.jkt).await {
            // Somebody else goes on with the same family at this moment: look again.
            Err(error) if error.is(&standard::Conflict) && attempt < TRIES => {}
            done => return done,
        }
    }
    Err(InvalidGrant.into())
}

async fn go_on(
    by: &Ctx,
    kept: Token,
    presented: &str,
    wanted: Option<&str>,
    jkt: Option<&str>,
) -> Result<Tokens> {
    let verdict = judge(&kept.shown(), by.now());
    let family = kept.family;
    let (digest, now) = (opaque::digest(presented), by.now());
    let (salt, mut writes) = match verdict {
        Verdict::Worthless => return Err(InvalidGrant.into()),
        Verdict::Reuse => {
            end(by, &family, "reuse").await?;
            return Err(InvalidGrant.into());
        }
        Verdict::Again(salt) => {
            let repeats = store::families::still_repeats(&digest, &salt);
            (salt, vec![store::families::touch(family.id, now), repeats])
        }
        Verdict::Next => {
            let salt = opaque::draw();
            let next = opaque::digest(&opaque::successor(presented, &salt));
            let writes = vec![
                store::families::touch(family.id, now),
                store::families::use_token(&digest, &salt, now),
                store::families::forget_salts(family.id, &digest),
                store::families::insert_token(family.id, &next, now),
            ];
            (salt, writes)
        }
    };
    if !still_good(by, &family).await? {
        end(by, &family, "subject-ended").await?;
        return Err(InvalidGrant.into());
    }
    let scope = scope::narrow(family.scope.as_deref(), wanted)?;
    let (token, issued) = access(by, &family, scope.as_deref(), jkt).await?;
    writes.push(issued);
    by.commit(writes).await?;
    Ok(Tokens {
        access_token: token.text,
        expires_in: lifetime(&family, now),
        refresh_token: Some(opaque::successor(presented, &salt)),
        scope,
        family,
    })
}

/// Whether the subject is active, still acts for the organisation, and the session still stands.
pub async fn still_good(by: &Ctx, family: &Kept) -> Result<bool> {
    let organisation = family.organisation.as_deref();
    let held = store::subjects::permissions(by.db(), &family.subject, organisation).await?;
    match &family.session {
        _ if held.is_none() => Ok(false),
        Some(session) => session_stands(session).await,
        None => Ok(true),
    }
}

/// Asked of session-mgr, because its event may still be on the way.
///
/// # Errors
/// 503 when session-mgr is away.
pub async fn session_stands(session: &str) -> Result<bool> {
    #[derive(Deserialize)]
    struct Answer {
        active: bool,
    }
    let Ok(id) = session.parse::<Uuid>() else {
        return Ok(false);
    };
    let path = "/api/session-mgr/v1/internal/introspect";
    let answer: Answer = call("session-mgr").post(path).json(&json!({ "id": id })).read().await?;
    Ok(answer.active)
}

/// What ends a family: its refresh tokens, and every signed token of it on every host.
pub fn ending(family: &Kept, reason: &str, now: Time) -> Vec<Write> {
    let mut writes = vec![
        store::families::end(family.id, reason, now),
        store::issued::revoke_family_everywhere(family.id, now),
        store::issued::revoke_family(family.id, now),
        emit(TokenRevoked {
            family: family.id,
            subject: family.subject.clone(),
            client_id: family.client_id.clone(),
            reason: reason.to_owned(),
        }),
    ];
    if reason == "reuse" {
        writes
            .push(emit(TokenReuseDetected { family: family.id, subject: family.subject.clone() }));
    }
    writes
}

/// Ends one family; one that is over stays as it ended.
pub async fn end(by: &Ctx, family: &Kept, reason: &str) -> Result<()> {
    match by.commit(ending(family, reason, by.now())).await {
        Err(error) if error.is(&standard::Conflict) => Ok(()),
        ended => ended.map(drop),
    }
}

/// A family by its id.
///
/// # Errors
/// 404 when there is none.
pub async fn find(by: &Ctx, id: TokenFamilyId) -> Result<Kept> {
    Ok(store::families::find(by.db(), id).await?.ok_or(standard::NotFound)?)
}
