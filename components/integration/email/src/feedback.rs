//! What comes back after a message is out: bounces, complaints and deliveries, as a provider or a
//! mailbox program tells them. Knows the message by its `Message-ID` or our own id; refuses to
//! believe a stranger, who would have people's addresses closed.

use crate::domain::{Category, Message, Reason, State};
use crate::store::suppressions::Entry;
use crate::{Manage, store};
use integration_contract::MessageId;
use integration_contract::email::{EmailBounced, EmailComplained, EmailDelivered};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    FeedbackMessage = 422, "name a message by its id or its Message-ID";
    FeedbackState = 409, "nothing can come back of a message that is not out"
}

pub fn router() -> Router {
    Router::new().route("/feedback", post(take))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Delivered,
    /// There is no such mailbox: the address gets no more mail.
    HardBounce,
    /// A mailbox that is full, a server that is away for long.
    SoftBounce,
    /// Called unwanted: the address gets no more notices.
    Complaint,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Feedback {
    /// Our id, or the `Message-ID` of the message, with its brackets or without.
    message_id: String,
    kind: Kind,
}

/// The id within a `Message-ID`.
fn id_of(text: &str) -> Option<MessageId> {
    let text = text.trim().trim_start_matches('<').trim_end_matches('>');
    text.split_once('@').map_or(text, |(id, _)| id).parse().ok()
}

/// Tells it once: what is known already changes nothing.
async fn take(by: Allowed<Manage>, Json(feedback): Json<Feedback>) -> Result<NoContent> {
    let id = id_of(&feedback.message_id).ok_or_else(|| FeedbackMessage.at("message_id"))?;
    let message = store::messages::find(by.db(), id).await?;
    let (state, reason) = match feedback.kind {
        Kind::Delivered => (State::Delivered, None),
        Kind::HardBounce => (State::Bounced, Some(Reason::HardBounce)),
        Kind::SoftBounce => (State::Bounced, None),
        Kind::Complaint => (State::Complained, Some(Reason::Complaint)),
    };
    if message.state == state {
        return Ok(NoContent);
    }
    let word = reason.map(Reason::name);
    let answer = store::messages::answer(id, state, word, by.now()).or_refuse(FeedbackState);
    let mut writes = vec![answer, told(&message, feedback.kind)];
    if let Some(reason) = reason {
        let entry = Entry {
            address: &message.address,
            reason,
            note: None,
            message: Some(id),
            by: &by.principal().subject,
        };
        writes.push(store::suppressions::add(&entry, by.now()));
    }
    by.commit(writes).await
}

fn told(message: &Message, kind: Kind) -> Write {
    let (id, template) = (message.id, message.template.clone());
    let category = Category::name(message.category).to_owned();
    match kind {
        Kind::Delivered => emit(EmailDelivered { id, template, category }),
        Kind::Complaint => emit(EmailComplained { id, template, category }),
        Kind::HardBounce | Kind::SoftBounce => {
            let permanent = kind == Kind::HardBounce;
            emit(EmailBounced { id, template, category, permanent })
        }
    }
}

#[test]
fn a_message_is_known_by_its_message_id() {
    let id = Uuid::from_u128(7);
    for text in [format!("<{id}@nexus.example>"), format!("{id}@nexus.example"), id.to_string()] {
        assert_eq!(id_of(&text), Some(id.into()), "{text}");
    }
    assert_eq!(id_of("<>"), None);
    assert_eq!(id_of("another@nexus.example"), None);
}
