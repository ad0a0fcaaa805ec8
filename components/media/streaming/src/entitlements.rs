//! What somebody may have. Set by an administrator, until what is bought is heard of.

use crate::domain::Entitlement;
use crate::{Manage, View, store};
use nexus_sdk::Allowed;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    ConcurrencyRange = 422, "players at once are 1 to 100"
}

pub fn router() -> Router {
    Router::new()
        .route("/entitlement", get(own))
        .route("/entitlements/{subject}", get(show).put(set).delete(reset))
}

/// As [`Entitlement`], with what it comes to.
#[derive(Serialize, JsonSchema)]
struct Shown {
    #[serde(flatten)]
    entitlement: Entitlement,
    height_max: u16,
    sessions_max: i32,
}

impl From<Entitlement> for Shown {
    fn from(entitlement: Entitlement) -> Shown {
        let (height_max, sessions_max) = (entitlement.plan.height_max(), entitlement.concurrency());
        Shown { entitlement, height_max, sessions_max }
    }
}

async fn own(by: SignedIn) -> Result<Json<Shown>> {
    let entitlement = store::entitlements::of(by.db(), crate::viewer(&by)?).await?;
    Ok(Json(entitlement.into()))
}

async fn show(by: Allowed<View>, Path(subject): Path<Uuid>) -> Result<Json<Shown>> {
    let entitlement = store::entitlements::of(by.db(), subject).await?;
    Ok(Json(entitlement.into()))
}

async fn set(
    by: Allowed<Manage>,
    Path(subject): Path<Uuid>,
    Json(entitlement): Json<Entitlement>,
) -> Result<NoContent> {
    if !entitlement.is_sane() {
        return Err(ConcurrencyRange.at("concurrency").into());
    }
    by.commit(granted(subject, entitlement, by.now())).await
}

/// Back to what is free.
async fn reset(by: Allowed<Manage>, Path(subject): Path<Uuid>) -> Result<NoContent> {
    by.commit(granted(subject, Entitlement::default(), by.now())).await
}

/// Players that have more than this allows end at once.
fn granted(subject: Uuid, entitlement: Entitlement, now: Time) -> Vec<Write> {
    vec![
        store::entitlements::put(subject, &entitlement, now),
        store::sessions::end_beyond(subject, &entitlement, now),
    ]
}
