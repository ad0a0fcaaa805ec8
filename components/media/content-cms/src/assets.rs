//! What others tell of assets: that there is one, that it can be played, that it is gone, and what
//! it looks like.

use crate::{store, turn};
use media_contract::asset_pipeline::AssetDeleted;
use media_contract::content_cms::TitleId;
use media_contract::step::{Outcome, Step, StepDone};
use media_contract::{AssetId, PackageId};
use nexus_sdk::prelude::*;

/// Titles that have waited for it are published now.
pub async fn on_playable(
    ctx: Ctx,
    asset: (AssetId, Uuid, PackageId),
    duration_ms: i64,
) -> Result<NoContent> {
    let id = asset.0;
    ctx.aside().commit(store::assets::playable(asset, duration_ms)).await?;
    look_at_all(&ctx, store::titles::of_asset(ctx.db(), id).await?).await?;
    ctx.commit([]).await
}

/// Titles that show it end. Whatever is not looked at here for want of time, the minute's look
/// finds.
pub async fn on_deleted(ctx: Ctx, event: AssetDeleted) -> Result<NoContent> {
    ctx.aside().commit(store::assets::delete(event.asset, event.owner)).await?;
    look_at_all(&ctx, store::titles::of_asset(ctx.db(), event.asset).await?).await?;
    ctx.commit(store::titles::lose_asset(event.asset, ctx.now())).await
}

/// Each by itself: the event is acknowledged when all of them were looked at.
async fn look_at_all(ctx: &Ctx, titles: Vec<TitleId>) -> Result<()> {
    for id in titles {
        turn::look(&ctx.aside(), id).await?;
    }
    Ok(())
}

/// In points: for a row of a page, and for the whole width of one.
const POSTER: (i32, i32) = (640, 360);
const BACKDROP: (i32, i32) = (1920, 1080);

/// Where a picture of an asset is, as `thumbnailer` says.
#[derive(Deserialize)]
struct Link {
    path: String,
}

/// There are pictures: their addresses stay the same, whichever poster is chosen.
pub async fn on_pictures(ctx: Ctx, event: StepDone) -> Result<NoContent> {
    if event.step != Step::Thumbnail || event.outcome != Outcome::Succeeded {
        return ctx.commit([]).await;
    }
    let poster = link(event.asset, POSTER).await?;
    let backdrop = link(event.asset, BACKDROP).await?;
    let put = store::assets::put_pictures(event.asset, poster.as_deref(), backdrop.as_deref());
    ctx.commit(put).await
}

/// None of an asset that has no picture, or is gone.
async fn link(asset: AssetId, (width, height): (i32, i32)) -> Result<Option<String>> {
    let size = json!({ "width": width, "height": height, "fit": "cover" });
    let path = format!("/api/thumbnailer/v1/internal/items/{asset}/links");
    let reply = call("thumbnailer").post(path).json(&size).send().await?;
    match reply.status {
        StatusCode::OK => {
            let link: Link = serde_json::from_slice(&reply.body).context("read a link")?;
            Ok(Some(link.path))
        }
        StatusCode::NOT_FOUND => Ok(None),
        other => {
            let failure = Failure::msg(format!("thumbnailer answered {other}"));
            Err(Error::unavailable(failure))
        }
    }
}
