//! What whoever keeps a tenant in order may do: look through profiles, give and take the badge, and
//! remove a picture or a text that nobody should have to see.

use crate::own::Profile;
use crate::shown::Shown;
use crate::visibility::Viewer;
use crate::{Moderate, View, avatars, store};
use identity_contract::UserId;
use identity_contract::profiles::{ProfileUpdated, ProfileVerified};
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/profiles", get(list))
        .route("/profiles/{user}/verification", put(verify).delete(unverify))
        .route("/profiles/{user}/content", delete(clear))
}

#[derive(Deserialize, JsonSchema)]
struct Filter {
    /// The beginning of a handle or a part of a name, whatever its case.
    q: Option<String>,
    verified: Option<bool>,
}

/// All that is there, whoever may see it.
async fn list(by: Allowed<View>, Query(filter): Query<Filter>, cursor: Cursor) -> Found {
    let page = store::profiles::list(by.db(), filter.q.as_deref(), filter.verified, &cursor);
    Ok(page.await?.map(|profile| Shown::to(Viewer::Owner, profile)))
}

type Found = Result<Page<Shown>>;

async fn seen(by: &Ctx, user: UserId) -> Result<Profile> {
    let found = store::profiles::find(by.db(), user).await?;
    Ok(found.ok_or(standard::NotFound)?)
}

async fn verify(by: Allowed<Moderate>, Path(user): Path<UserId>) -> Result<NoContent> {
    mark(&by, user, true).await
}

async fn unverify(by: Allowed<Moderate>, Path(user): Path<UserId>) -> Result<NoContent> {
    mark(&by, user, false).await
}

async fn mark(by: &Ctx, user: UserId, verified: bool) -> Result<NoContent> {
    let profile = seen(by, user).await?;
    if profile.verified_at.is_some() == verified {
        return Ok(NoContent);
    }
    let who = by.principal().subject.clone();
    let write = store::profiles::mark(user, verified, &who, by.now());
    by.commit([
        write.expect_rows(1).or_refuse(standard::NotFound),
        emit(ProfileVerified { user, verified, by: who }),
    ])
    .await
}

/// The picture, the words and the links; the name one goes by and the settings stay.
async fn clear(by: Allowed<Moderate>, Path(user): Path<UserId>) -> Result<NoContent> {
    let profile = seen(&by, user).await?;
    let fields = ["avatar", "bio", "display_name", "links"].map(str::to_owned).to_vec();
    let write = store::profiles::clear(user, by.now());
    by.commit([
        write.expect_rows(1).or_refuse(standard::NotFound),
        emit(ProfileUpdated { user, fields }),
    ])
    .await?;
    avatars::forget(by.tenant(), profile.avatar_id).await;
    Ok(NoContent)
}
