//! What happened to a title: who did what, and when.

use crate::store::titles::Title;
use crate::workflow::{Action, State};
use crate::{seen_by, store};
use media_contract::content_cms::TitleId;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    NoteLength = 422, "a note takes at most 2,000 characters"
}

pub fn router() -> Router {
    Router::new().route("/titles/{id}/history", get(list))
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    pub id: Uuid,
    pub title: TitleId,
    pub at: Time,
    /// A person or a service; absent once that person is forgotten.
    pub by: Option<String>,
    pub action: Action,
    /// None of what has just been made.
    pub from: Option<State>,
    pub to: State,
    pub note: Option<String>,
    /// Names of what was changed.
    pub fields: Vec<String>,
}

impl Record {
    pub fn of(
        ctx: &Ctx,
        before: &Title,
        after: &Title,
        action: Action,
        note: Option<String>,
    ) -> Record {
        Record {
            id: ctx.new_id::<TitleId>().into(),
            title: after.id,
            at: ctx.now(),
            by: Some(ctx.principal().subject.clone()),
            action,
            from: Some(before.state),
            to: after.state,
            note,
            fields: before.content.changed(&after.content),
        }
    }
}

/// # Errors
/// 422 `note-length`.
pub fn note(told: Option<String>) -> Result<Option<String>, Refusal> {
    let told = told.map(|told| told.trim().to_owned()).filter(|told| !told.is_empty());
    match told.as_ref().is_some_and(|told| told.chars().count() > 2_000) {
        true => Err(NoteLength.at("note")),
        false => Ok(told),
    }
}

/// Newest first.
async fn list(by: SignedIn, Path(id): Path<TitleId>, cursor: Cursor) -> Result<Page<Record>> {
    store::titles::find(by.db(), id, seen_by(&by)?).await?;
    store::history::list(by.db(), id, &cursor).await
}
