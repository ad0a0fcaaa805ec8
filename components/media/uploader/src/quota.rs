//! How much somebody may hold. What a tenant may, `users` tells; what an owner may is said here.
//! Room is promised when an upload begins, and becomes use when it is done.

use crate::domain::OWNER_BYTES_DEFAULT;
use crate::store::accounts;
use crate::{Create, Manage, owner_of};
use nexus_sdk::prelude::*;

/// What bounds a promise. Bytes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Of an owner of whom nothing else was said.
    pub owner: i64,
    /// None does not bound.
    pub tenant: Option<i64>,
}

pub fn router() -> Router {
    Router::new()
        .route("/quota", get(own))
        .route("/quota/{owner}", get(of).put(bound).delete(unbound))
}

#[derive(Deserialize)]
struct Told {
    amount: Option<i64>,
}

/// Asks what the tenant may hold. Without an answer nobody may upload: a promise that nobody has
/// counted cannot be taken back.
pub async fn bounds() -> Result<Bounds> {
    let path = "/api/users/v1/internal/quotas/storage_bytes";
    let told: Told = call("users").get(path).read().await?;
    Ok(Bounds { owner: OWNER_BYTES_DEFAULT, tenant: told.amount })
}

/// Bytes of one owner.
#[derive(Serialize, JsonSchema)]
struct Quota {
    owner: Uuid,
    bytes_max: i64,
    used: i64,
    /// Promised to uploads that are not finished.
    reserved: i64,
    left: i64,
}

async fn quota_of(by: &Ctx, owner: Uuid) -> Result<Json<Quota>> {
    let account = accounts::find(by.db(), owner).await?;
    let bytes_max = account.bytes_max.unwrap_or(OWNER_BYTES_DEFAULT);
    let left = (bytes_max - account.used - account.reserved).max(0);
    let accounts::Account { used, reserved, .. } = account;
    Ok(Json(Quota { owner, bytes_max, used, reserved, left }))
}

async fn own(by: Allowed<Create>) -> Result<Json<Quota>> {
    quota_of(&by, owner_of(&by)?).await
}

async fn of(by: Allowed<Manage>, Path(owner): Path<Uuid>) -> Result<Json<Quota>> {
    quota_of(&by, owner).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Bound {
    bytes_max: i64,
}

async fn bound(
    by: Allowed<Manage>,
    Path(owner): Path<Uuid>,
    Json(Bound { bytes_max }): Json<Bound>,
) -> Result<NoContent> {
    if bytes_max < 0 {
        return Err(standard::InvalidBody.at("bytes_max").into());
    }
    by.commit(accounts::bound(owner, Some(bytes_max))).await
}

async fn unbound(by: Allowed<Manage>, Path(owner): Path<Uuid>) -> Result<NoContent> {
    by.commit(accounts::bound(owner, None)).await
}
