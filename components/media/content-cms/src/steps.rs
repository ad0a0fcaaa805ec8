//! Steps on the way of a title to the public and back, as people take them.

use crate::history;
use crate::titles::{Shown, permit, tagged};
use crate::turn::{self, Order};
use crate::workflow::{Action, Terms};
use crate::{Manage, Review, changed_by};
use media_contract::content_cms::TitleId;
use nexus_sdk::Permission;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    NoteMissing = 422, "say what is to be changed"
}

pub fn router() -> Router {
    Router::new()
        .route("/titles/{id}/submit", post(submit))
        .route("/titles/{id}/approve", post(approve))
        .route("/titles/{id}/send-back", post(send_back))
        .route("/titles/{id}/schedule", post(schedule))
        .route("/titles/{id}/publish", post(publish))
        .route("/titles/{id}/unpublish", post(unpublish))
        .route("/titles/{id}/archive", post(archive))
        .route("/titles/{id}/restore", post(restore))
}

/// What somebody says beside a step; each step takes what concerns it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Said {
    note: Option<String>,
    /// In the future.
    publish_at: Option<Time>,
    unpublish_at: Option<Time>,
    /// Whether to wait for what cannot be played yet.
    when_ready: bool,
}

type Answer = Result<Tagged<Json<Shown>>>;

/// To be looked at by somebody else.
async fn submit(
    by: SignedIn,
    Path(id): Path<TitleId>,
    version: Option<IfMatch>,
    Json(said): Json<Said>,
) -> Answer {
    own(&by, id, version, said, Action::Submit).await
}

async fn schedule(
    by: SignedIn,
    Path(id): Path<TitleId>,
    version: Option<IfMatch>,
    Json(said): Json<Said>,
) -> Answer {
    own(&by, id, version, said, Action::Schedule).await
}

async fn publish(
    by: SignedIn,
    Path(id): Path<TitleId>,
    version: Option<IfMatch>,
    Json(said): Json<Said>,
) -> Answer {
    own(&by, id, version, said, Action::Publish).await
}

async fn unpublish(
    by: SignedIn,
    Path(id): Path<TitleId>,
    version: Option<IfMatch>,
    Json(said): Json<Said>,
) -> Answer {
    own(&by, id, version, said, Action::Unpublish).await
}

async fn archive(
    by: SignedIn,
    Path(id): Path<TitleId>,
    version: Option<IfMatch>,
    Json(said): Json<Said>,
) -> Answer {
    own(&by, id, version, said, Action::Archive).await
}

async fn restore(
    by: SignedIn,
    Path(id): Path<TitleId>,
    version: Option<IfMatch>,
    Json(said): Json<Said>,
) -> Answer {
    own(&by, id, version, said, Action::Restore).await
}

/// A yes: published now, or when it is due.
async fn approve(
    by: Allowed<Review>,
    Path(id): Path<TitleId>,
    version: Option<IfMatch>,
    Json(said): Json<Said>,
) -> Answer {
    step(&by, id, version, said, Action::Approve, None).await
}

/// A no, with what is to be changed; or an owner who has thought better of it.
async fn send_back(
    by: SignedIn,
    Path(id): Path<TitleId>,
    version: Option<IfMatch>,
    Json(said): Json<Said>,
) -> Answer {
    if !by.principal().may(Review::NAME) {
        return own(&by, id, version, said, Action::SendBack).await;
    }
    if said.note.as_deref().is_none_or(|note| note.trim().is_empty()) {
        return Err(NoteMissing.at("note").into());
    }
    step(&by, id, version, said, Action::SendBack, None).await
}

/// A step that an owner takes; reviewers and administrators take it with everybody's.
async fn own(
    by: &Ctx,
    id: TitleId,
    version: Option<IfMatch>,
    said: Said,
    action: Action,
) -> Answer {
    let owner = match by.principal().may(Review::NAME) || by.principal().may(Manage::NAME) {
        true => None,
        false => {
            permit(by)?;
            changed_by(by)?
        }
    };
    step(by, id, version, said, action, owner).await
}

async fn step(
    by: &Ctx,
    id: TitleId,
    version: Option<IfMatch>,
    said: Said,
    action: Action,
    owner: Option<Uuid>,
) -> Answer {
    let Said { publish_at, unpublish_at, when_ready, note } = said;
    let terms = Terms { publish_at, unpublish_at, when_ready };
    let note = history::note(note)?;
    let order = Order { action, terms, note, change: None, version, owner };
    Ok(tagged(turn::turn(by, id, &order).await?))
}
