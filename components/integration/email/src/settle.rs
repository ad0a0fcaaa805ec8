//! What becomes of messages: what workers say, what nobody wants to read any more, what is old.

use crate::domain::{Reason, State};
use crate::store::messages::{Ending, Settled};
use crate::store::suppressions::Entry;
use crate::{objects, store};
use integration_contract::email::{
    EmailBounced, EmailDelivered, EmailFailed, EmailSent, MailJobSettled,
};
use nexus_sdk::prelude::*;

/// Messages without their words; afterwards nobody can complain about them any more either.
const KEPT_DAYS: i32 = 90;
/// Of a message that was given up, somebody may still want a retry.
const SEALED_DAYS: i32 = 4;
/// Objects that no message knows: older than any that waits.
const ORPHANED_DAYS: i32 = 10;
/// Deletions, or looks at the bucket, of one run.
const ROUNDS: usize = 20;

/// What a worker says; `media-native/mail` writes it.
#[derive(Debug, Deserialize)]
struct Said {
    result: Outcome,
    /// SMTP reply code, where there was a server.
    #[serde(default)]
    code: Option<i32>,
    /// Of a bounce: there is no such mailbox.
    #[serde(default)]
    permanent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Sent,
    Delivered,
    Bounced,
}

pub async fn on_settled(ctx: Ctx, event: MailJobSettled) -> Result<NoContent> {
    let Some(message) = store::messages::of_job(ctx.db(), event.id).await? else {
        // Forgotten, or sent again since by another job.
        return ctx.commit([]).await;
    };
    if message.state != State::Queued {
        return ctx.commit([]).await;
    }
    let said = match event.output {
        Some(output) if event.state == "succeeded" => {
            let said = serde_json::from_value::<Said>(output);
            Some(said.map_err(|why| Failure::new(why).context("read what the worker says"))?)
        }
        _ => None,
    };
    let (state, reason) = match &said {
        Some(said) => match said.result {
            Outcome::Sent => (State::Sent, None),
            Outcome::Delivered => (State::Delivered, None),
            Outcome::Bounced if said.permanent => (State::Bounced, Some("no_mailbox")),
            Outcome::Bounced => (State::Bounced, Some("refused")),
        },
        None if event.state == "cancelled" => (State::Cancelled, Some("cancelled")),
        None => (State::Failed, Some("attempts")),
    };
    // What was given up can be sent again for a while; all else is said or never will be.
    let is_erased = state != State::Failed;
    if is_erased {
        objects::remove(&objects::key(ctx.tenant(), message.id)).await?;
    }
    let ending = Ending {
        id: message.id,
        state,
        reason,
        attempts: event.attempt,
        smtp_code: said.as_ref().and_then(|said| said.code),
        is_erased,
    };
    let mut writes = vec![store::messages::end(&ending, ctx.now())];
    writes.extend(told(&message, state, said.is_some_and(|said| said.permanent)));
    if reason == Some("no_mailbox") {
        writes.push(store::suppressions::add(&listed(&message), ctx.now()));
    }
    ctx.commit(writes).await
}

fn listed(message: &Settled) -> Entry<'_> {
    Entry {
        address: &message.address,
        reason: Reason::HardBounce,
        note: None,
        message: Some(message.id),
        by: "email",
    }
}

/// The fact that others hear of, if there is one.
fn told(message: &Settled, state: State, permanent: bool) -> Option<Write> {
    let (id, template) = (message.id, message.template.clone());
    let category = message.category.name().to_owned();
    match state {
        State::Sent => Some(emit(EmailSent { id, template, category })),
        State::Delivered => Some(emit(EmailDelivered { id, template, category })),
        State::Bounced => Some(emit(EmailBounced { id, template, category, permanent })),
        State::Failed => Some(emit(EmailFailed { id, template, category })),
        State::Queued | State::Complained | State::Suppressed | State::Cancelled => None,
    }
}

/// Gives up what waits and is too old, and erases what was given up and is not wanted again.
pub async fn expire(system: System) -> Result<NoContent> {
    for old in store::messages::expired(system.db(), system.now()).await? {
        let ctx = system.in_tenant(old.tenant_id);
        objects::remove(&objects::key(old.tenant_id, old.id)).await?;
        let (id, template) = (old.id, old.template);
        let category = old.category.name().to_owned();
        let told = emit(EmailFailed { id, template, category });
        match ctx.commit([store::messages::give_up(id, ctx.now()), told]).await {
            // It went out in the meantime.
            Err(error) if error.is(&standard::Conflict) => {}
            given_up => drop(given_up?),
        }
    }
    let before = system.now() - days(SEALED_DAYS);
    for old in store::messages::sealed(system.db(), before).await? {
        objects::remove(&objects::key(old.tenant_id, old.id)).await?;
        system.in_tenant(old.tenant_id).commit(store::messages::erased(old.id)).await?;
    }
    Ok(NoContent)
}

/// Forgets messages that are long over, and objects that a crash has left without one.
pub async fn purge(system: System) -> Result<NoContent> {
    let before = system.now() - days(KEPT_DAYS);
    for _ in 0..ROUNDS {
        system.commit(store::messages::purge(before)).await?;
    }
    let mut cursor = None;
    for _ in 0..ROUNDS {
        let (old, next) = objects::older(system.now() - days(ORPHANED_DAYS), cursor).await?;
        for key in old {
            objects::remove(&key).await?;
        }
        if next.is_none() {
            break;
        }
        cursor = next;
    }
    Ok(NoContent)
}
