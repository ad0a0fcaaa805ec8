//! What is to be protected: decided for an asset by its owner, and for all others by the tenant.

use crate::domain::{Asset, State};
use crate::flow::{self, Cause};
use crate::{Manage, store};
use media_contract::drm::{Protection, ProtectionDecided, ProtectionDefaultDecided};
use media_contract::{AssetId, PackageId};
use nexus_sdk::Allowed;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    RotateRange = 422, "keys are replaced after 1 to 365 days"
}

const ROTATE_DAYS: std::ops::RangeInclusive<i32> = 1..=365;

pub fn router() -> Router {
    Router::new()
        .route("/policies/{asset}", get(show).put(decide).delete(reset))
        .route("/default", get(show_default).put(decide_default))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Policy {
    protection: Protection,
    /// After so many days another package with other keys takes the place of the one there is.
    #[serde(default)]
    rotate_days: Option<i32>,
}

/// What holds for an asset, and how far its protection is.
#[derive(Debug, Serialize, JsonSchema)]
struct Shown {
    asset_id: AssetId,
    protection: Protection,
    /// It was decided for this asset; otherwise the tenant's default holds.
    own: bool,
    rotate_days: Option<i32>,
    /// The newest protected package.
    package_id: Option<PackageId>,
    /// `none`, `pending`, `playable`, `complete` or `failed`.
    state: String,
    failure: Option<String>,
}

async fn shown(ctx: &Ctx, asset: Asset) -> Result<Json<Shown>> {
    let default = store::assets::default_protection(ctx.db()).await?;
    let package = match asset.is_protected(default) {
        true => store::packages::newest(ctx.db(), asset.id).await?,
        false => None,
    };
    let state = match (asset.is_protected(default), package.as_ref().map(|it| it.state)) {
        (false, _) => "none",
        (true, None | Some(State::Making)) => "pending",
        (true, Some(State::Playable)) => "playable",
        (true, Some(State::Complete)) => "complete",
        (true, Some(State::Failed)) => "failed",
    };
    Ok(Json(Shown {
        asset_id: asset.id,
        protection: asset.protection.unwrap_or(default),
        own: asset.protection.is_some(),
        rotate_days: asset.rotate_days,
        package_id: package.as_ref().map(|package| package.id),
        state: state.to_owned(),
        failure: package.and_then(|package| package.failure),
    }))
}

async fn show(by: SignedIn, Path(id): Path<AssetId>) -> Result<Json<Shown>> {
    let asset = store::assets::of(by.db(), id, crate::seen_by(&by)?).await?;
    shown(&by, asset).await
}

async fn decide(
    by: SignedIn,
    Path(id): Path<AssetId>,
    Json(policy): Json<Policy>,
) -> Result<NoContent> {
    if policy.rotate_days.is_some_and(|days| !ROTATE_DAYS.contains(&days)) {
        return Err(RotateRange.at("rotate_days").into());
    }
    set(&by, id, Some(policy.protection), policy.rotate_days).await
}

/// Back to what holds for all.
async fn reset(by: SignedIn, Path(id): Path<AssetId>) -> Result<NoContent> {
    set(&by, id, None, None).await
}

async fn set(
    by: &Ctx,
    id: AssetId,
    protection: Option<Protection>,
    rotate_days: Option<i32>,
) -> Result<NoContent> {
    store::assets::of(by.db(), id, crate::changed_by(by)?).await?;
    let at = by.now();
    let told = || vec![emit(ProtectionDecided { asset: id, protection, at })];
    let change = |asset: &mut Asset| {
        asset.protection = protection;
        asset.rotate_days = rotate_days;
    };
    flow::turn(by, id, Cause::default(), &told, &change).await
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DefaultPolicy {
    protection: Protection,
}

async fn show_default(by: SignedIn) -> Result<Json<DefaultPolicy>> {
    let protection = store::assets::default_protection(by.db()).await?;
    Ok(Json(DefaultPolicy { protection }))
}

/// Holds for all assets of which nothing else was decided, within a minute.
async fn decide_default(
    by: Allowed<Manage>,
    Json(DefaultPolicy { protection }): Json<DefaultPolicy>,
) -> Result<NoContent> {
    let (tenant, at) = (by.tenant().into(), by.now());
    by.commit([
        store::assets::put_default(protection, at),
        emit(ProtectionDefaultDecided { tenant, protection, at }),
    ])
    .await
}
