//! Pictures in the size that somebody asks for: made once, kept as long as they are asked for.

use crate::links::{self, Fit, Size};
use crate::store::images::{Image, State};
use crate::{objects, store};
use media_contract::thumbnailer::ThumbnailJobSettled;
use media_contract::{AssetId, BUCKET};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    ImageFailed = 422, "no picture of this size could be made";
    /// Somebody else asks for the same at this moment; never told to a client.
    ImageAsked = 409, "this picture is being made"
}

/// Looks, and the pause between two: a picture takes a moment, and a browser waits so long.
const LOOKS_MAX: u32 = 60;
const LOOK_MS: u64 = 100;
/// A picture that nobody asks for is made again when somebody does.
const KEPT_DAYS: i32 = 30;
const PURGED_MAX: usize = 20;
const ATTEMPTS_MAX: i32 = 3;
const WALL_MS: i64 = 60_000;
/// Somebody looks at an empty frame.
const PRIORITY: i32 = 80;

pub fn router() -> Router {
    Router::new().route("/images/{id}", get(show))
}

#[derive(Deserialize, JsonSchema)]
struct Wanted {
    w: i32,
    h: i32,
    fit: Fit,
    /// From an address that `POST /items/{id}/links` gave.
    sig: String,
}

/// The poster of an asset in a size; 202 with `retry-after` while it is being made for long.
async fn show(
    by: Public,
    Path(id): Path<AssetId>,
    Query(wanted): Query<Wanted>,
) -> Result<Response> {
    let size = Size { width: wanted.w, height: wanted.h, fit: wanted.fit };
    size.check()?;
    links::verify(by.tenant(), id, &size, &wanted.sig).await?;
    let source = store::items::poster_key(by.db(), id).await?;
    let mut image = match store::images::find(by.db(), &source, &size).await? {
        Some(image) => image,
        None => ask(&by, id, &source, &size).await?,
    };
    for _ in 0..LOOKS_MAX {
        if image.state != State::Running {
            break;
        }
        pause().await;
        image = store::images::find(by.db(), &source, &size).await?.ok_or(standard::NotFound)?;
    }
    match image.state {
        State::Running => Ok((StatusCode::ACCEPTED, [(header::RETRY_AFTER, "1")]).into_response()),
        State::Failed => Err(ImageFailed.into()),
        State::Ready => serve(&by, &image).await,
    }
}

async fn serve(by: &Ctx, image: &Image) -> Result<Response> {
    let Some(bytes) = objects::read(&image.key).await? else {
        by.commit(store::images::forget(image.id)).await?;
        return Ok((StatusCode::ACCEPTED, [(header::RETRY_AFTER, "1")]).into_response());
    };
    if image.used_at < by.now() - days(1) {
        by.commit(store::images::used(image.id, by.now())).await?;
    }
    let head = [
        (header::CONTENT_TYPE, "image/jpeg"),
        // The owner may choose another poster.
        (header::CACHE_CONTROL, "public, max-age=300, stale-while-revalidate=86400"),
    ];
    Ok((head, bytes).into_response())
}

async fn ask(by: &Ctx, asset: AssetId, source: &str, size: &Size) -> Result<Image> {
    let id: Uuid = by.new_id::<AssetId>().into();
    let image = Image {
        id,
        key: format!("images/{asset}/{id}.jpg"),
        state: State::Running,
        used_at: by.now(),
    };
    let args = json!({
        "source": { "bucket": BUCKET, "key": source },
        "target": { "bucket": BUCKET, "key": image.key },
        "width": size.width, "height": size.height, "fit": size.fit, "format": "jpeg",
    });
    let options = json!({
        "priority": PRIORITY, "attempts_max": ATTEMPTS_MAX, "wall_ms": WALL_MS,
        "result_topic": "media.thumbnail_job.settled.v1",
    });
    let insert = store::images::insert(&image, asset, source, size, by.now());
    let insert = insert.on_conflict_refuse("image_size", ImageAsked);
    match by.commit([insert, store::jobs::submit("image", id, &args, &options)]).await {
        Err(error) if error.is(&ImageAsked) => {
            let first = store::images::find(by.db(), source, size).await?;
            Ok(first.ok_or(standard::NotFound)?)
        }
        committed => committed.map(|_| image),
    }
}

pub async fn on_settled(ctx: Ctx, event: ThumbnailJobSettled) -> Result<NoContent> {
    let state = if event.state == "succeeded" { State::Ready } else { State::Failed };
    ctx.commit(store::images::end(event.id, state)).await
}

/// An asset is gone, and its pictures go with it. Those of its packages are the pipeline's.
pub async fn on_deleted(ctx: Ctx, asset: AssetId) -> Result<NoContent> {
    objects::remove(store::images::keys_of(ctx.db(), asset).await?).await?;
    ctx.commit([
        store::jobs::withdraw_of(asset, ctx.now()),
        store::images::forget_of(asset),
        store::items::forget(asset),
    ])
    .await
}

/// Forgets pictures that nobody asks for, those that could not be made, and jobs that are over.
pub async fn purge(system: System) -> Result<NoContent> {
    let before = system.now() - days(KEPT_DAYS);
    for _ in 0..PURGED_MAX {
        let old = store::images::unused(system.db(), before).await?;
        if old.is_empty() {
            break;
        }
        objects::remove(old.iter().map(|image| image.key.clone()).collect()).await?;
        let ids: Vec<AssetId> = old.iter().map(|image| image.id).collect();
        system.commit(store::images::forget_all(ids)).await?;
    }
    system.commit(store::jobs::purge(before)).await
}

#[cfg(target_arch = "wasm32")]
async fn pause() {
    use nexus_sdk::spin_sdk::wasip3::clocks::monotonic_clock::wait_for;
    wait_for(LOOK_MS * 1_000_000).await;
}

/// Natively there is no host whose clock could be waited for.
#[cfg(not(target_arch = "wasm32"))]
async fn pause() {
    unreachable!("a picture is waited for by a guest, for {LOOK_MS} ms each time")
}
