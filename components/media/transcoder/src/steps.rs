//! The step `transcode`: an order becomes a worker's job, and the job's end the answer.

use crate::plan::{self, Method};
use crate::store::jobs::{Made, Running, Submission};
use crate::{ladder, profiles, store};
use media_contract::asset_pipeline::StepRequested;
use media_contract::step::{Lane, Outcome, Step, StepDone, StepStarted};
use media_contract::transcoder::{TranscodeJobSettled, UsageRecorded};
use media_contract::{AssetId, Object, Reason};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

nexus_sdk::refusals! {
    /// The same order is being taken at this moment; never told to a client.
    StepTaken = 409, "this step has just been taken"
}

/// A worker that dies loses a chunk, and there may be many of them.
const ATTEMPTS_MAX: i32 = 10;

pub async fn on_requested(ctx: Ctx, event: StepRequested) -> Result<NoContent> {
    let (Step::Transcode, Some(lane)) = (event.step, event.lane) else {
        return ctx.commit([]).await;
    };
    if store::jobs::is_taken(ctx.db(), event.run, lane, event.attempt).await? {
        return ctx.commit([]).await;
    }
    let Some(facts) = &event.facts else {
        let detail = "nothing is known of the source".to_owned();
        let reason = Reason { code: "unknown".into(), detail };
        return ctx.commit(emit(done(&event, Err((reason, false))))).await;
    };
    let method = plan::method(lane, facts);
    let started = StepStarted {
        asset: event.asset,
        run: event.run,
        step: Step::Transcode,
        lane: Some(lane),
        attempt: event.attempt,
    };
    let mut writes = submission(&ctx, &event, lane, method).await?;
    writes.push(emit(started));
    ctx.commit(writes).await
}

/// The writes that hand a lane to the workers.
async fn submission(
    ctx: &Ctx,
    order: &StepRequested,
    lane: Lane,
    method: Method,
) -> Result<Vec<Write>> {
    let facts = order.facts.clone().unwrap_or_default();
    // The first tracks are the same whatever the profile says.
    let (profile, sizes) = match lane {
        Lane::Fast => ("fast".to_owned(), ladder::none()),
        Lane::Ladder => profiles::chosen(ctx.db()).await?,
    };
    let plan = plan::plan(order, &facts, method, &sizes);
    let submission = Submission {
        id: ctx.new_id::<AssetId>().into(),
        order,
        lane,
        method,
        profile: &profile,
        profile_hash: &plan.hash,
        args: plan.args,
        options: json!({
            "priority": order.priority, "attempts_max": ATTEMPTS_MAX, "wall_ms": plan.wall_ms,
            "result_topic": "media.transcode_job.settled.v1",
        }),
    };
    let insert = store::jobs::insert(&submission, ctx.now());
    Ok(vec![insert.on_conflict_refuse("job_step", StepTaken), store::jobs::submit(&submission)])
}

/// What a worker says; `media-native/transcode` writes it.
#[derive(Debug, Deserialize)]
struct Said {
    tracks: Vec<Track>,
    duration_ms: i64,
    #[serde(default)]
    encoder: Option<String>,
    cpu_seconds: f64,
    content_seconds: f64,
}

/// A track that is there whole.
#[derive(Debug, Serialize, Deserialize)]
struct Track {
    track: String,
    index: Object,
    segments: i64,
    bytes: i64,
    frames: i64,
}

pub async fn on_settled(ctx: Ctx, event: TranscodeJobSettled) -> Result<NoContent> {
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

async fn succeed(ctx: &Ctx, job: &Running, said: Said) -> Result<NoContent> {
    let order = &job.request;
    // The first tracks were there to be early; players take the better ones instead.
    let replaces: Vec<String> = match order.lane {
        Some(Lane::Ladder) if !said.tracks.is_empty() => {
            let first = store::jobs::fast_tracks(ctx.db(), order.run).await?;
            first.into_iter().filter(|track| track.starts_with('f')).collect()
        }
        _ => Vec::new(),
    };
    let bytes = said.tracks.iter().map(|track| track.bytes).sum();
    let result = json!({
        "tracks": said.tracks, "replaces": replaces, "duration_ms": said.duration_ms,
        "method": job.method, "encoder": said.encoder, "profile": job.profile,
        "profile_hash": job.profile_hash,
    });
    let made = Made {
        id: job.id,
        result: &result,
        cpu_seconds: said.cpu_seconds,
        content_seconds: said.content_seconds,
        bytes,
    };
    let used = UsageRecorded {
        asset: order.asset,
        kind: "transcode".into(),
        cpu_seconds: said.cpu_seconds,
        content_seconds: said.content_seconds,
        bytes,
    };
    let succeed = store::jobs::succeed(&made, ctx.now());
    let told = emit(done(order, Ok(result)));
    ctx.commit([succeed, emit(used), told]).await
}

/// A source that cannot be published as it is after all gets tracks made of it.
async fn fail(ctx: &Ctx, job: &Running, state: &str, error: &str) -> Result<NoContent> {
    let told = Reason::told(error);
    let is_cancelled = state == "cancelled";
    let is_settled = told.is_some();
    let reason = told.unwrap_or_else(|| match is_cancelled {
        true => Reason { code: "cancelled".into(), detail: "somebody stopped it".into() },
        // What a worker says of itself is for the log, not for people.
        false => Reason { code: "worker".into(), detail: "no tracks could be made".into() },
    });
    let mut writes = vec![store::jobs::fail(job.id, &reason, ctx.now())];
    let lane = job.request.lane.unwrap_or(Lane::Fast);
    if job.method == Method::Remux && !is_cancelled {
        writes.extend(submission(ctx, &job.request, lane, Method::Encode).await?);
    } else {
        let may_retry = !is_settled && !is_cancelled;
        writes.push(emit(done(&job.request, Err((reason, may_retry)))));
    }
    ctx.commit(writes).await
}

/// The answer to an order: what was made, or why nothing was and whether another try could.
fn done(order: &StepRequested, result: Result<Value, (Reason, bool)>) -> StepDone {
    let (outcome, reason, may_retry, result) = match result {
        Ok(result) => (Outcome::Succeeded, None, false, result),
        Err((reason, may_retry)) => (Outcome::Failed, Some(reason), may_retry, Value::Null),
    };
    StepDone {
        asset: order.asset,
        run: order.run,
        step: Step::Transcode,
        lane: order.lane,
        attempt: order.attempt,
        outcome,
        reason,
        may_retry,
        result,
    }
}
