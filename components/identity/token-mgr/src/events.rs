//! What happens elsewhere and ends tokens here; and the forgetting of what is over.

use crate::limits::KEPT_DAYS;
use crate::{api_keys, families, keys, kms, store};
use identity_contract::session_mgr::SessionRevoked;
use identity_contract::users::{UserErased, UserSuspended};
use nexus_sdk::prelude::*;
use platform_contract::kms::KeyRotated;

/// Deletions of one statement.
const PRUNED_MAX: i64 = 5000;

/// The key is ours alone, whoever rotated it.
pub async fn on_key_rotated(ctx: Ctx, rotated: KeyRotated) -> Result<NoContent> {
    let ours = kms::Algorithm::ALL.into_iter().find(|algorithm| algorithm.key() == rotated.name);
    if let Some(algorithm) = ours.filter(|_| rotated.owner == kms::OWNER) {
        keys::on_rotated(&ctx, algorithm).await?;
    }
    ctx.commit(Vec::new()).await
}

/// Everything that began in the session. Its signed tokens are refused by every host already, by
/// the session's own revocation.
pub async fn on_session_revoked(ctx: Ctx, event: SessionRevoked) -> Result<NoContent> {
    let session = event.id.to_string();
    end_all(&ctx, &event.subject, Some(&session), "session-ended", Vec::new()).await
}

/// Keys stay: hosts refuse them as long as their owner may not come in.
pub async fn on_suspended(ctx: Ctx, event: UserSuspended) -> Result<NoContent> {
    end_all(&ctx, &event.id.to_string(), None, "subject-ended", Vec::new()).await
}

pub async fn on_erased(ctx: Ctx, event: UserErased) -> Result<NoContent> {
    let subject = event.id.to_string();
    let mut forget = Vec::new();
    for key in store::api_keys::good(ctx.db(), &subject, ctx.now()).await? {
        forget.extend(api_keys::ending(&key, ctx.now()));
    }
    forget.extend([
        store::api_keys::forget(&subject),
        store::families::forget(&subject),
        store::issued::forget(&subject),
        store::subjects::forget_owner(&subject),
    ]);
    end_all(&ctx, &subject, None, "subject-ended", forget).await
}

/// One commit, because an event has one. A family that somebody ends at the same moment brings the
/// event back, and then there is nothing left of it to end.
async fn end_all(
    ctx: &Ctx,
    subject: &str,
    session: Option<&str>,
    reason: &str,
    more: Vec<Write>,
) -> Result<NoContent> {
    let mut writes = vec![store::subjects::take_turn(subject, ctx.now())];
    for family in store::families::open(ctx.db(), subject, session).await? {
        writes.extend(families::ending(&family, reason, ctx.now()));
    }
    writes.push(store::issued::revoke_loose(subject, session, ctx.now()));
    writes.extend(more);
    ctx.commit(writes).await
}

pub async fn prune(system: System) -> Result<NoContent> {
    let before = system.now() - days(KEPT_DAYS);
    system
        .commit([
            store::issued::prune(system.now(), PRUNED_MAX),
            store::families::prune(before, PRUNED_MAX),
            store::api_keys::prune(before, PRUNED_MAX),
        ])
        .await
}
