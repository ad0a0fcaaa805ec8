//! The step `thumbnail`: an order becomes a worker's job, and the job's end the answer.

use crate::items::{Item, Poster, Sprite};
use crate::store::jobs::Running;
use crate::{Pipeline, store, storyboard};
use media_contract::asset_pipeline::StepRequested;
use media_contract::step::{Outcome, Step, StepDone, StepStarted};
use media_contract::thumbnailer::ThumbnailJobSettled;
use media_contract::{AssetId, Reason, RunId};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

nexus_sdk::refusals! {
    /// The same order is being taken at this moment; never told to a client.
    StepTaken = 409, "this step has just been taken"
}

const ATTEMPTS_MAX: i32 = 5;
/// Decoding keyframes only takes a fraction of what lasts.
const WALL_MS: i64 = 2 * 3600 * 1000;
const POSTERS: i32 = 4;

pub fn router() -> Router {
    Router::new().route("/internal/runs/{id}", get(progress))
}

pub async fn on_requested(ctx: Ctx, event: StepRequested) -> Result<NoContent> {
    if event.step != Step::Thumbnail
        || store::jobs::is_taken(ctx.db(), event.run, event.attempt).await?
    {
        return ctx.commit([]).await;
    }
    let facts = event.facts.clone().unwrap_or_default();
    let prefix = format!("packages/{}", event.package);
    let args = json!({
        "source": event.source,
        "prefix": { "bucket": event.source.bucket, "key": prefix },
        "posters": POSTERS,
        "sprite": {
            "interval_seconds": storyboard::interval_seconds(facts.duration_ms),
            "tile_width": storyboard::TILE_WIDTH,
            "columns": storyboard::COLUMNS,
            "rows": storyboard::ROWS,
        },
        "facts": facts,
    });
    let options = json!({
        "priority": event.priority, "attempts_max": ATTEMPTS_MAX, "wall_ms": WALL_MS,
        "result_topic": "media.thumbnail_job.settled.v1",
    });
    let id: Uuid = ctx.new_id::<AssetId>().into();
    let started = StepStarted {
        asset: event.asset,
        run: event.run,
        step: Step::Thumbnail,
        lane: None,
        attempt: event.attempt,
    };
    let insert = store::jobs::insert(id, &event, ctx.now());
    let insert = insert.on_conflict_refuse("job_step", StepTaken);
    let submit = store::jobs::submit("thumbnail", id, &args, &options);
    ctx.commit([insert, submit, emit(started)]).await
}

/// What a worker says; `media-native/thumbnail` writes it.
#[derive(Debug, Deserialize)]
struct Said {
    posters: Vec<Poster>,
    #[serde(default)]
    sprites: Vec<Sprite>,
    #[serde(default)]
    interval_ms: i64,
    #[serde(default)]
    tile: Tile,
}

#[derive(Debug, Default, Deserialize)]
struct Tile {
    w: i32,
    h: i32,
}

pub async fn on_settled(ctx: Ctx, event: ThumbnailJobSettled) -> Result<NoContent> {
    let Some(job) = store::jobs::running(ctx.db(), event.id).await? else {
        // Withdrawn, forgotten, or told before.
        return ctx.commit([]).await;
    };
    match event.output {
        Some(output) if event.state == "succeeded" => {
            let said = serde_json::from_value::<Said>(output);
            let said =
                said.map_err(|why| Failure::new(why).context("read what the worker says"))?;
            succeed(&ctx, &job, said).await
        }
        _ => fail(&ctx, &job, &event.state, &event.error.unwrap_or_default()).await,
    }
}

async fn succeed(ctx: &Ctx, job: &Running, mut said: Said) -> Result<NoContent> {
    let order = &job.request;
    said.posters.sort_by(|one, other| other.score.total_cmp(&one.score));
    let item = Item {
        asset_id: order.asset,
        package_id: order.package,
        duration_ms: order.facts.as_ref().map_or(0, |facts| facts.duration_ms),
        posters: said.posters,
        poster: 0,
        sprites: said.sprites,
        interval_ms: said.interval_ms.max(1),
        tile_width: said.tile.w,
        tile_height: said.tile.h,
        tile_columns: storyboard::COLUMNS,
        updated_at: ctx.now(),
    };
    let result = json!({ "posters": item.posters, "sprites": item.sprites });
    let told = done(order, Outcome::Succeeded, None, false, result);
    let end = store::jobs::end(job.id, "succeeded", None, ctx.now());
    ctx.commit([end, store::items::put(&item, order.owner), emit(told)]).await
}

async fn fail(ctx: &Ctx, job: &Running, state: &str, error: &str) -> Result<NoContent> {
    let told = Reason::told(error);
    let may_retry = told.is_none() && state != "cancelled";
    let reason = told.unwrap_or_else(|| match state {
        "cancelled" => Reason { code: "cancelled".into(), detail: "somebody stopped it".into() },
        // What a worker says of itself is for the log, not for people.
        _ => Reason { code: "worker".into(), detail: "no pictures could be taken".into() },
    });
    let end = store::jobs::end(job.id, "failed", Some(&reason.code), ctx.now());
    let told = done(&job.request, Outcome::Failed, Some(reason), may_retry, Value::Null);
    ctx.commit([end, emit(told)]).await
}

fn done(
    order: &StepRequested,
    outcome: Outcome,
    reason: Option<Reason>,
    may_retry: bool,
    result: Value,
) -> StepDone {
    StepDone {
        asset: order.asset,
        run: order.run,
        step: Step::Thumbnail,
        lane: None,
        attempt: order.attempt,
        outcome,
        reason,
        may_retry,
        result,
    }
}

/// How far a worker is, as it last told.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkerProgress {
    /// Empty: there is one way only.
    lane: String,
    /// 0 to 1.
    fraction: f64,
    stage: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Workers {
    items: Vec<WorkerProgress>,
}

async fn progress(by: Called<Pipeline>, Path(id): Path<RunId>) -> Result<Json<Workers>> {
    Ok(Json(Workers { items: store::jobs::progress(by.db(), id).await? }))
}
