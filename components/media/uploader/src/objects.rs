//! What an owner has uploaded: list, look, get, delete.

use crate::bucket;
use crate::domain::{State, Upload, Way};
use crate::store::{contents, uploads};
use crate::{Create, Manage, View, owner_of, removals};
use media_contract::UploadId;
use nexus_sdk::Permission as _;
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;

/// How long a link to a file leads there: long enough to begin.
const LINK_SECONDS: u32 = 900;

pub fn router() -> Router {
    Router::new()
        .route("/objects", get(list))
        .route("/objects/{id}", get(show).delete(remove))
        .route("/objects/{id}/content", get(content))
}

/// An upload as people see it.
#[derive(Serialize, JsonSchema)]
pub struct Shown {
    pub id: UploadId,
    pub owner: Uuid,
    pub file_name: String,
    pub purpose: crate::domain::Purpose,
    pub way: Way,
    pub state: State,
    /// Null until the client has said it.
    pub bytes: Option<i64>,
    /// How many of them are safe.
    pub received: i64,
    /// As the bytes say.
    pub media_type: Option<String>,
    pub sha256: Option<String>,
    /// `clean`, or `not_scanned` where nobody looks at files.
    pub scan: Option<String>,
    /// The owner's earlier upload of the same bytes, which are kept once.
    pub same_as: Option<Uuid>,
    /// Why it was rejected.
    pub reason: Option<String>,
    pub metadata: serde_json::Map<String, serde_json::Value>,
    pub created_at: Time,
    pub completed_at: Option<Time>,
    /// When an unfinished one is forgotten.
    pub expires_at: Option<Time>,
}

impl From<Upload> for Shown {
    fn from(upload: Upload) -> Shown {
        let own = Uuid::from(upload.id);
        Shown {
            id: upload.id,
            owner: upload.owner_id,
            file_name: upload.file_name,
            purpose: upload.purpose,
            way: upload.way,
            state: upload.state,
            bytes: upload.length,
            received: upload.received,
            media_type: upload.media_type,
            sha256: upload.sha256,
            scan: upload.scan,
            same_as: upload.content_id.filter(|content| *content != own),
            reason: upload.reason,
            metadata: upload.metadata,
            created_at: upload.created_at,
            completed_at: upload.completed_at,
            expires_at: upload.expires_at,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
struct Whose {
    /// Another one's, for those who look after all of them.
    owner: Option<Uuid>,
}

fn may_manage(by: &Ctx) -> bool {
    by.principal().may(Manage::NAME)
}

/// One's own upload, or anybody's for those who look after all of them.
async fn reachable(by: &Ctx, id: UploadId) -> Result<Upload> {
    match may_manage(by) {
        true => uploads::of_anybody(by.db(), id).await,
        false => uploads::find(by.db(), id, owner_of(by)?).await,
    }
}

async fn list(by: Allowed<View>, whose: Query<Whose>, cursor: Cursor) -> Result<Page<Shown>> {
    let owner = match whose.owner {
        Some(_) if !may_manage(&by) => {
            let needs = format!("this needs {}", Manage::NAME);
            return Err(standard::Forbidden.because(needs).into());
        }
        Some(owner) => owner,
        None => owner_of(&by)?,
    };
    let Page { items, next } = uploads::page(by.db(), owner, &cursor).await?;
    Ok(Page { items: items.into_iter().map(Shown::from).collect(), next })
}

async fn show(by: Allowed<View>, Path(id): Path<UploadId>) -> Result<Json<Shown>> {
    Ok(Json(reachable(&by, id).await?.into()))
}

async fn content(by: Allowed<View>, Path(id): Path<UploadId>) -> Result<Response> {
    lead(&by, id).await
}

/// Leads to the bytes of a file: the store answers, with ranges.
pub async fn lead(by: &Ctx, id: UploadId) -> Result<Response> {
    let upload = reachable(by, id).await?;
    let content = upload.content_id.ok_or(standard::NotFound)?;
    let content = contents::find(by.db(), content).await?;
    let media_type = &content.media_type;
    let signed =
        bucket::download_url(&content.key, &upload.file_name, media_type, LINK_SECONDS).await?;
    let url = HeaderValue::try_from(signed.url).context("write a signed URL")?;
    // The link is for whoever asked, and not for long.
    let never = HeaderValue::from_static("no-store");
    let fields = [(header::LOCATION, url), (header::CACHE_CONTROL, never)];
    Ok((StatusCode::TEMPORARY_REDIRECT, fields).into_response())
}

async fn remove(by: Allowed<Create>, Path(id): Path<UploadId>) -> Result<NoContent> {
    let upload = reachable(&by, id).await?;
    by.commit(uploads::forget(upload.id, by.now())).await?;
    removals::sweep(&by).await;
    Ok(NoContent)
}
