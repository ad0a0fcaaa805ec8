//! Email: what the suite says to people by mail. Knows templates, who wants no mail, and what has
//! become of each message; refuses to know SMTP, which is a native worker's (`media-native/mail`),
//! and why somebody is written to, which is the caller's.
//!
//! A message is rendered and sealed in the request that asks for it; what it says is from then on
//! in an object store only, as ciphertext, and nowhere in the database, the log or an event.

mod address;
mod compose;
mod domain;
mod feedback;
mod messages;
mod objects;
mod render;
mod seal;
mod senders;
mod settle;
mod store;
mod suppressions;
mod templates;
mod unsubscribe;
mod words;

use integration_contract::email::MailJobSettled;
use nexus_sdk::prelude::*;

nexus_sdk::permissions! {
    View = "email:view";
    /// Templates, the sender, the suppression list, retries.
    Manage = "email:manage";
    /// Sending messages.
    Send = "email:send"
}

nexus_sdk::callers! {
    /// What a message says is the caller's, and every component has something to say.
    Anyone = ["*"]
}

nexus_sdk::service! {
    http: router,
    events: { "notify.mail_job.settled.v1" => on_settled },
    cron: [expire, purge],
}

fn router() -> Router {
    Router::new()
        .merge(messages::router())
        .merge(templates::router())
        .merge(senders::router())
        .merge(suppressions::router())
        .merge(unsubscribe::router())
        .merge(feedback::router())
}

async fn on_settled(ctx: Ctx, event: MailJobSettled) -> Result<NoContent> {
    settle::on_settled(ctx, event).await
}

async fn expire(system: System) -> Result<NoContent> {
    settle::expire(system).await
}

async fn purge(system: System) -> Result<NoContent> {
    settle::purge(system).await
}
