//! The steps `probe` and `metadata`: asked for, handed to a worker, told.

use crate::report::Report;
use crate::store::{Job, Submission};
use crate::{domain, store};
use media_contract::asset_pipeline::StepRequested;
use media_contract::facts::Facts;
use media_contract::media_metadata::{MetadataExtracted, ProbeJobSettled};
use media_contract::step::{Outcome, Step, StepDone, StepStarted};
use media_contract::{AssetId, Reason};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

nexus_sdk::refusals! {
    /// The same order is being taken at this moment; never told to a client.
    StepTaken = 409, "this step has just been taken"
}

/// Fetching a large file takes its time; looking at it does not.
const WALL_MS: i64 = 30 * 60 * 1000;
/// What goes wrong here for reasons of its own goes right the next time.
const ATTEMPTS_MAX: i32 = 5;
/// Before the work that it decides about.
const PRIORITY: i16 = 20;

pub async fn on_requested(ctx: Ctx, event: StepRequested) -> Result<NoContent> {
    match event.step {
        Step::Probe => probe(ctx, event).await,
        Step::Metadata => tell(ctx, event).await,
        Step::Transcode | Step::Thumbnail => ctx.commit([]).await,
    }
}

async fn probe(ctx: Ctx, event: StepRequested) -> Result<NoContent> {
    if store::is_taken(ctx.db(), event.run, event.attempt).await? {
        return ctx.commit([]).await;
    }
    let job = Job {
        id: ctx.new_id::<AssetId>().into(),
        asset_id: event.asset,
        owner_id: event.owner,
        run_id: event.run,
        attempt: event.attempt,
    };
    let submission = Submission {
        job: job.id,
        args: json!({ "object": event.source }),
        options: json!({
            "priority": event.priority.saturating_add(PRIORITY).min(100),
            "attempts_max": ATTEMPTS_MAX,
            "wall_ms": WALL_MS,
            "result_topic": "media.probe_job.settled.v1",
        }),
    };
    let started = StepStarted {
        asset: event.asset,
        run: event.run,
        step: Step::Probe,
        lane: None,
        attempt: event.attempt,
    };
    let insert = store::insert(&job, ctx.now()).on_conflict_refuse("job_step", StepTaken);
    ctx.commit([insert, store::submit(&submission), emit(started)]).await
}

/// What is known already, told to everybody.
async fn tell(ctx: Ctx, event: StepRequested) -> Result<NoContent> {
    let done = |outcome, reason: Option<Reason>| StepDone {
        asset: event.asset,
        run: event.run,
        step: Step::Metadata,
        lane: None,
        attempt: event.attempt,
        outcome,
        reason,
        may_retry: false,
        result: Value::Null,
    };
    let Some(item) = store::find_if_any(ctx.db(), event.asset).await? else {
        let detail = "nothing is known of this file any more".to_owned();
        let reason = Reason { code: "unknown".into(), detail };
        return ctx.commit(emit(done(Outcome::Failed, Some(reason)))).await;
    };
    let extracted = MetadataExtracted {
        asset: event.asset,
        owner: event.owner,
        run: event.run,
        facts: item.facts,
        title: item.tags.get("title").cloned(),
    };
    ctx.commit([emit(extracted), emit(done(Outcome::Succeeded, None))]).await
}

pub async fn on_settled(ctx: Ctx, event: ProbeJobSettled) -> Result<NoContent> {
    let Some(job) = store::running(ctx.db(), event.id).await? else {
        // Withdrawn, forgotten, or told before.
        return ctx.commit([]).await;
    };
    let judged = match (event.state.as_str(), event.output) {
        ("succeeded", Some(output)) => {
            let report = serde_json::from_value::<Report>(output);
            let report =
                report.map_err(|why| Failure::new(why).context("read what the worker says"))?;
            domain::facts(&report).map(|facts| (facts, domain::tags(&report)))
        }
        _ => {
            let error = event.error.unwrap_or_default();
            return fail(&ctx, &job, domain::refused(&error), &event.state).await;
        }
    };
    let (facts, tags) = match judged {
        Ok(found) => found,
        Err(reason) => return fail(&ctx, &job, Some(reason), &event.state).await,
    };
    let result = serde_json::to_value(&facts).map_err(Failure::new)?;
    let told = emit(done(&job, Outcome::Succeeded, None, false, result));
    let keep = store::keep(&job, &facts, &tags, ctx.now());
    ctx.commit([store::end(job.id, "succeeded", ctx.now()), keep, told]).await
}

async fn fail(ctx: &Ctx, job: &Job, reason: Option<Reason>, state: &str) -> Result<NoContent> {
    let may_retry = reason.is_none() && state != "cancelled";
    let reason = reason.unwrap_or_else(|| match state {
        "cancelled" => Reason { code: "cancelled".into(), detail: "somebody stopped it".into() },
        // What a worker says of itself is for the log, not for people.
        _ => Reason { code: "worker".into(), detail: "the file could not be looked at".into() },
    });
    let told = emit(done(job, Outcome::Failed, Some(reason), may_retry, Value::Null));
    ctx.commit([store::end(job.id, "failed", ctx.now()), told]).await
}

fn done(
    job: &Job,
    outcome: Outcome,
    reason: Option<Reason>,
    may_retry: bool,
    result: Value,
) -> StepDone {
    StepDone {
        asset: job.asset_id,
        run: job.run_id,
        step: Step::Probe,
        lane: None,
        attempt: job.attempt,
        outcome,
        reason,
        may_retry,
        result,
    }
}

/// What is kept of a file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    pub asset_id: AssetId,
    pub facts: Facts,
    /// What the file calls itself: `title`, `artist`, …
    pub tags: std::collections::BTreeMap<String, String>,
    pub updated_at: Time,
}
