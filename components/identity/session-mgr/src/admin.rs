//! Other people's sessions, for those who look after a tenant.

use crate::own::Shown;
use crate::{Manage, ending, store};
use identity_contract::SessionId;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/users/{subject}/sessions", get(list).delete(end_all))
        .route("/users/{subject}/sessions/{id}", delete(end))
}

async fn list(
    by: Allowed<Manage>,
    Path(subject): Path<String>,
    cursor: Cursor,
) -> Result<Page<Shown>> {
    let sessions = store::list(by.db(), &subject, None, by.now(), &cursor).await?;
    Ok(sessions.map(Shown::from))
}

async fn end_all(by: Allowed<Manage>, Path(subject): Path<String>) -> Result<NoContent> {
    ending::end_those(&by, &subject, "ended", |_| true).await
}

async fn end(
    by: Allowed<Manage>,
    Path((subject, id)): Path<(String, SessionId)>,
) -> Result<NoContent> {
    let open = store::open(by.db(), &subject).await?;
    if !open.iter().any(|open| open.id == id) {
        return Err(standard::NotFound.into());
    }
    ending::end_those(&by, &subject, "ended", |open| open.id == id).await
}
