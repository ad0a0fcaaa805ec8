//! How sessions end: always the row, the hosts' credential, the tokens that name it and the event
//! in one commit, so that nothing of a session outlives it anywhere.

use crate::internal::TRIES;
use crate::store::{self, Open};
use identity_contract::session_mgr::SessionRevoked;
use identity_contract::users::{UserErased, UserSuspended};
use identity_contract::{SessionId, UserId};
use nexus_sdk::Delivery;
use nexus_sdk::prelude::*;

/// Access tokens live ten minutes and refresh tokens die by the event; a day is for an event that
/// is held up.
const TOKENS_REVOKED_FOR_DAYS: i32 = 1;

/// What ends one session.
pub fn writes(id: SessionId, subject: &str, reason: &str, now: Time) -> [Write; 4] {
    [
        store::end(id, reason, now),
        store::revoke_credential(id),
        store::revoke_tokens(id, now + days(TOKENS_REVOKED_FOR_DAYS)),
        emit(SessionRevoked { id, subject: subject.to_owned(), reason: reason.to_owned() }),
    ]
}

/// Ends those of a subject's sessions that `ends` picks.
pub async fn end_those(
    ctx: &Ctx,
    subject: &str,
    reason: &str,
    ends: impl Fn(&Open) -> bool,
) -> Result<NoContent> {
    end_and(ctx, subject, reason, ends, Vec::new).await
}

/// As [`end_those`], with more to write in the same commit.
async fn end_and(
    ctx: &Ctx,
    subject: &str,
    reason: &str,
    ends: impl Fn(&Open) -> bool,
    more: impl Fn() -> Vec<Write>,
) -> Result<NoContent> {
    for attempt in 1.. {
        let open = store::open(ctx.db(), subject).await?;
        let mut changes = vec![store::take_turn(subject, ctx.now())];
        for session in open.iter().filter(|open| ends(open)) {
            changes.extend(writes(session.id, subject, reason, ctx.now()));
        }
        changes.extend(more());
        match ctx.commit(changes).await {
            // Somebody else has just ended one of them: look again.
            Err(error) if error.is(&standard::Conflict) && attempt < TRIES => {}
            ended => return ended,
        }
    }
    Ok(NoContent)
}

pub async fn on_suspended(ctx: Ctx, event: UserSuspended) -> Result<NoContent> {
    end_those(&ctx, &event.id.to_string(), "suspended", |_| true).await
}

/// Addresses and devices are about a person, also those of sessions long ended.
pub async fn on_erased(ctx: Ctx, event: UserErased) -> Result<NoContent> {
    let subject = event.id.to_string();
    let forget = || vec![store::forget(&subject), store::forget_owner(&subject)];
    end_and(&ctx, &subject, "erased", |_| true, forget).await
}

/// What this service reads of `identity.password.changed.v1`; without a session, nobody's stays.
#[derive(Deserialize)]
struct PasswordChange {
    user: UserId,
    /// The session in which it was changed.
    #[serde(default)]
    session: Option<SessionId>,
}

/// Whoever knew the old password is out. A session that began after the change had the new one.
pub async fn on_password_changed(ctx: Ctx, delivery: Delivery) -> Result<NoContent> {
    let change: PasswordChange =
        serde_json::from_slice(&delivery.payload).context("read a password change")?;
    let changed_at = delivery.published_at;
    let before = |open: &Open| open.created_at < changed_at && Some(open.id) != change.session;
    end_those(&ctx, &change.user.to_string(), "password-changed", before).await
}
