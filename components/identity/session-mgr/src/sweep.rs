//! What nobody ends: sessions that have run out, told and put away; and the forgetting of old ones.
//! The hosts refuse them at their instant without waiting for this.

use crate::ending;
use crate::store::{self, Due};
use nexus_sdk::prelude::*;

/// Sessions looked at in one go: a few hundred rows of an index.
const BATCH: i64 = 200;
/// Of one run; the next is five minutes away.
const BATCHES_MAX: usize = 50;
/// As long as the platform keeps an ended credential: their owner may still ask.
const KEPT_DAYS: i32 = 30;
/// Deletions of one statement.
const PURGED_MAX: i64 = 5000;

pub async fn sweep(system: System) -> Result<NoContent> {
    for _ in 0..BATCHES_MAX {
        let due = store::due(system.db(), system.now(), BATCH).await?;
        let whole = due.len() as i64 == BATCH;
        for of_one in due.chunk_by(|a, b| (a.tenant_id, &a.subject) == (b.tenant_id, &b.subject)) {
            settle(&system, of_one).await?;
        }
        if !whole {
            break;
        }
    }
    let before = system.now() - days(KEPT_DAYS);
    system.commit(store::purge(before, PURGED_MAX)).await
}

/// Ends those of one subject that have run out, and puts off those that were used meanwhile.
async fn settle(system: &System, due: &[Due]) -> Result<()> {
    let ctx = system.in_tenant(due[0].tenant_id);
    let subject = &due[0].subject;
    let mut writes = vec![store::take_turn(subject, ctx.now())];
    for session in due {
        match still_good(session, ctx.now()) {
            Some((seen_at, end)) => writes.push(store::look_again(session.id, seen_at, end)),
            None => writes.extend(ending::writes(session.id, subject, "expired", ctx.now())),
        }
    }
    match ctx.commit(writes).await {
        // Its owner was faster; the next run looks at what is left.
        Err(error) if error.is(&standard::Conflict) => Ok(()),
        settled => settled.map(drop),
    }
}

/// When it was last seen and when it runs out next, unless it already has.
fn still_good(session: &Due, now: Time) -> Option<(Time, Time)> {
    let seen_at = session.seen_at?;
    let end = session.expires_at.min(seen_at + seconds(session.idle_seconds));
    (end > now).then_some((seen_at, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_sdk::uuid::Uuid;

    fn at(second: i64) -> Time {
        Time::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_session_is_over_when_unused_too_long_or_too_old_or_unknown() {
        let due = |seen: Option<i64>| Due {
            tenant_id: Uuid::nil().into(),
            id: Uuid::nil().into(),
            subject: "ada".into(),
            expires_at: at(1000),
            idle_seconds: 60,
            seen_at: seen.map(at),
        };
        assert_eq!(still_good(&due(Some(100)), at(159)), Some((at(100), at(160))));
        assert_eq!(still_good(&due(Some(100)), at(160)), None);
        assert_eq!(still_good(&due(Some(990)), at(999)), Some((at(990), at(1000))));
        assert_eq!(still_good(&due(Some(999)), at(1000)), None);
        assert_eq!(still_good(&due(None), at(0)), None);
    }
}
