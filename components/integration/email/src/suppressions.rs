//! The suppression list: addresses that get no mail, or none but what must be said.

use crate::address::Address;
use crate::domain::Reason;
use crate::store::suppressions::Entry;
use crate::{Manage, View, store};
use integration_contract::MessageId;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    SuppressionNote = 422, "a note takes at most 200 characters"
}

const NOTE_CHARS_MAX: usize = 200;

pub fn router() -> Router {
    Router::new()
        .route("/suppressions", get(list).post(add))
        .route("/suppressions/{address}/{reason}", delete(remove))
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Suppression {
    pub address: String,
    pub reason: Reason,
    pub note: Option<String>,
    /// The message that came back, or from which somebody has unsubscribed.
    pub message_id: Option<MessageId>,
    pub created_at: Time,
    pub created_by: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    address: String,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    /// Whole.
    address: Option<String>,
}

async fn list(
    by: Allowed<View>,
    cursor: Cursor,
    Query(search): Query<Search>,
) -> Result<Page<Suppression>> {
    let address = search.address.map(|address| address.to_ascii_lowercase());
    store::suppressions::list(by.db(), address.as_deref(), &cursor).await
}

/// By hand, for whoever has asked for it.
async fn add(by: Allowed<Manage>, Json(draft): Json<Draft>) -> Result<NoContent> {
    let address = Address::read(&draft.address).map_err(|why| why.at("address"))?.folded();
    if draft.note.as_ref().is_some_and(|note| note.chars().count() > NOTE_CHARS_MAX) {
        return Err(SuppressionNote.at("note").into());
    }
    let entry = Entry {
        address: &address,
        reason: Reason::Manual,
        note: draft.note.as_deref(),
        message: None,
        by: &by.principal().subject,
    };
    by.commit(store::suppressions::add(&entry, by.now())).await
}

async fn remove(
    by: Allowed<Manage>,
    Path((address, reason)): Path<(String, Reason)>,
) -> Result<NoContent> {
    by.commit(store::suppressions::remove(&address.to_ascii_lowercase(), reason)).await
}
