//! Calling users' machines: what the platform hands out becomes one signed request, and its answer
//! becomes what is kept, told and tried again. A try that failed is written down beside the
//! message, because the message comes again; a success is written down with it, once.

use crate::callback::Callback;
use crate::jobs::{self, Attempt, Placement, State};
use crate::queues::Queue;
use crate::retries::{Retry, Verdict, judge};
use crate::schedules::Target;
use crate::store::jobs::Ended;
use crate::{signature, store};
use nexus_sdk::axum::http::{HeaderName, HeaderValue};
use nexus_sdk::prelude::*;
use nexus_sdk::{Delivery, Echo, Unanswered, letter, release_after, retry_after};
use platform_contract::{JobDead, JobFailed, JobId, JobSucceeded, QueueId, ScheduleId};
use serde_json::Value;
use std::time::{Duration, Instant};

nexus_sdk::refusals! {
    /// The reason that the platform keeps with a dead letter.
    CallFailed = 422, "the call failed for good";
    JobOver = 410, "the job is over";
    RateUsedUp = 410, "the rate of the queue is used up"
}

/// As much of an answer as is kept.
const ANSWER_BYTES_MAX: usize = 2 * 1024;

/// One call to be made, with what its answer means to whom.
struct Errand<'a> {
    job: JobId,
    queue: Option<QueueId>,
    schedule: Option<ScheduleId>,
    callback: &'a Callback,
    retry: &'a Retry,
    attempt: i32,
    body: Vec<u8>,
    /// More headers, beyond the signature.
    about: Vec<(&'static str, String)>,
}

#[derive(Deserialize)]
struct JobDue {
    job: JobId,
}

/// A job's turn has come.
pub async fn on_job(ctx: Ctx, delivery: &Delivery) -> Result<NoContent> {
    let due: JobDue = read(delivery)?;
    let Some(job) = store::jobs::find_if_any(ctx.db(), due.job).await? else {
        return Ok(NoContent);
    };
    let queue = match job.summary.queue_id {
        Some(queue) => store::queues::find_if_any(ctx.db(), queue).await?,
        None => None,
    };
    let Some(queue) = queue else { return Ok(NoContent) };
    let attempt = attempt_of(delivery);
    let mut begin = vec![store::jobs::begin(due.job, attempt, ctx.now()).or_refuse(JobOver)];
    if let Some(rate) = queue.rate_per_minute {
        let place = store::queues::take_place(queue.id, rate, ctx.now()).or_refuse(RateUsedUp);
        begin.push(place);
    }
    match ctx.aside().commit(begin).await {
        Err(error) if error.is(&JobOver) => return Ok(NoContent),
        Err(error) if error.is(&RateUsedUp) => return Err(release_after(next_place(&queue, &ctx))),
        begun => begun?,
    };
    let payload = job.payload.unwrap_or(Value::Null);
    let errand = Errand {
        job: due.job,
        queue: Some(queue.id),
        schedule: job.summary.schedule_id,
        callback: &queue.callback,
        retry: &queue.retry,
        attempt,
        body: serde_json::to_vec(&payload).context("write the payload")?,
        about: vec![("scheduler-queue", queue.name.clone())],
    };
    run(&ctx, &errand).await
}

/// When to come again: somewhere within the time that as many calls take as may wait at once.
fn next_place(queue: &Queue, ctx: &Ctx) -> Duration {
    let apart = Duration::from_mins(1) / queue.rate_per_minute.unwrap_or(1).unsigned_abs();
    let spread = apart * queue.concurrency_max.unsigned_abs();
    apart + spread.mul_f64(f64::from(dice(ctx)) / f64::from(u32::MAX))
}

#[derive(Deserialize)]
struct RunDue {
    schedule_id: ScheduleId,
    scheduled_at: Time,
    fired_at: Time,
    trigger: String,
}

/// A schedule has fired.
pub async fn on_run(ctx: Ctx, delivery: &Delivery) -> Result<NoContent> {
    let due: RunDue = read(delivery)?;
    let Some(orders) = store::schedules::orders(ctx.db(), due.schedule_id).await? else {
        return Ok(NoContent);
    };
    let run: JobId = delivery.id.into();
    match &orders.target {
        Target::Enqueue(placed) => {
            let place = jobs::place(&Placement {
                id: ctx.new_id(),
                queue: placed.queue_id,
                schedule: Some(due.schedule_id),
                payload: &placed.payload,
                priority: placed.priority,
                group: placed.group.as_deref(),
                dedup_key: None,
                run_at: ctx.now(),
                now: ctx.now(),
            });
            ctx.commit(place).await
        }
        Target::Callback(callback) => {
            let attempt = attempt_of(delivery);
            let begin =
                store::jobs::begin_run(run, due.schedule_id, due.scheduled_at, attempt, ctx.now());
            match ctx.aside().commit(begin.or_refuse(JobOver)).await {
                Err(error) if error.is(&JobOver) => return Ok(NoContent),
                begun => begun?,
            };
            let body = match &callback.body {
                Some(body) => body.clone(),
                None => description(&orders.name, run, &due),
            };
            let errand = Errand {
                job: run,
                queue: None,
                schedule: Some(due.schedule_id),
                callback,
                retry: &orders.retry,
                attempt,
                body: serde_json::to_vec(&body).context("write the body")?,
                about: vec![
                    ("scheduler-schedule", due.schedule_id.to_string()),
                    ("scheduler-scheduled-at", due.scheduled_at.to_rfc3339()),
                    ("scheduler-trigger", due.trigger),
                ],
            };
            self::run(&ctx, &errand).await
        }
    }
}

/// What a callback says that was given no body: the form that Standard Webhooks recommends.
fn description(name: &str, run: JobId, due: &RunDue) -> Value {
    json!({
        "type": "schedule.fired",
        "timestamp": due.fired_at,
        "data": {
            "run_id": run,
            "schedule_id": due.schedule_id,
            "schedule": name,
            "scheduled_at": due.scheduled_at,
            "trigger": due.trigger,
        },
    })
}

fn read<T: serde::de::DeserializeOwned>(delivery: &Delivery) -> Result<T> {
    let payload = serde_json::from_slice(&delivery.payload);
    Ok(payload.with_context(|| format!("read {}", delivery.topic))?)
}

fn attempt_of(delivery: &Delivery) -> i32 {
    i32::try_from(delivery.attempt).unwrap_or(i32::MAX)
}

/// Random bits: those of a fresh id of version 7 that are not its time.
fn dice(ctx: &Ctx) -> u32 {
    let id: Uuid = ctx.new_id::<JobId>().into();
    id.as_u128() as u32
}

/// Calls, judges, and writes down what has become of it.
async fn run(ctx: &Ctx, errand: &Errand<'_>) -> Result<NoContent> {
    let begun = Instant::now();
    let answer = call(ctx, errand).await?;
    let verdict = judge(&answer, errand.attempt, errand.retry, ctx.now(), dice(ctx));
    let attempt = attempt(ctx, errand, &answer, &verdict, begun.elapsed());
    let record = store::jobs::record(errand.job, &attempt);
    match verdict {
        Verdict::Done => {
            let end = ended(errand, State::Succeeded, &attempt, Some(ctx.now()));
            let told = emit(JobSucceeded {
                id: errand.job,
                kind: "callback".into(),
                state: "succeeded".into(),
                attempt: errand.attempt,
                output: None,
                error: None,
                queue: errand.queue,
                schedule: errand.schedule,
            });
            ctx.commit([store::jobs::end(&end), record, told]).await
        }
        Verdict::Again { after, reason } => {
            let end = ended(errand, State::Queued, &attempt, None);
            let told = emit(JobFailed {
                id: errand.job,
                kind: "callback".into(),
                state: "queued".into(),
                attempt: errand.attempt,
                output: None,
                error: Some(reason.clone()),
                queue: errand.queue,
                schedule: errand.schedule,
            });
            ctx.aside().commit([store::jobs::end(&end), record, told]).await?;
            Err(retry_after(after, reason))
        }
        Verdict::Dead { reason } => die(ctx, errand, &attempt, reason, Vec::new()).await,
        Verdict::Gone { reason } => {
            let pauses = pauses(ctx, errand, &reason).await?;
            die(ctx, errand, &attempt, reason, pauses).await
        }
    }
}

async fn die(
    ctx: &Ctx,
    errand: &Errand<'_>,
    attempt: &Attempt,
    reason: String,
    more: Vec<Write>,
) -> Result<NoContent> {
    let end = ended(errand, State::Dead, attempt, Some(ctx.now()));
    let told = dead(errand.job, errand.attempt, &reason, errand.queue, errand.schedule);
    let mut writes = vec![store::jobs::end(&end), store::jobs::record(errand.job, attempt), told];
    writes.extend(more);
    ctx.aside().commit(writes).await?;
    Err(CallFailed.because(reason).into())
}

/// The fact that a job is not tried any more.
pub fn dead(
    id: JobId,
    attempt: i32,
    reason: &str,
    queue: Option<QueueId>,
    schedule: Option<ScheduleId>,
) -> Write {
    emit(JobDead {
        id,
        kind: "callback".into(),
        state: "dead".into(),
        attempt,
        output: None,
        error: Some(reason.to_owned()),
        queue,
        schedule,
    })
}

/// Whatever sends to a machine that is gone pauses: its queue, or else its schedule.
async fn pauses(ctx: &Ctx, errand: &Errand<'_>, reason: &str) -> Result<Vec<Write>> {
    let by = "scheduler";
    if let Some(queue) = errand.queue {
        let queue = store::queues::find_if_any(ctx.db(), queue).await?;
        let pause = |queue: Queue| {
            let here = store::queues::pause(queue.id, by, ctx.now());
            vec![here, store::queues::pause_platform_queue(&queue.name)]
        };
        return Ok(queue.map(pause).unwrap_or_default());
    }
    let pause = |schedule| store::schedules::pause(schedule, by, reason);
    Ok(errand.schedule.map(pause).into_iter().collect())
}

fn ended<'a>(
    errand: &Errand<'_>,
    state: State,
    attempt: &'a Attempt,
    finished_at: Option<Time>,
) -> Ended<'a> {
    let reason = Some(attempt.reason.as_str()).filter(|reason| !reason.is_empty());
    Ended { id: errand.job, state, status: attempt.status, reason, finished_at }
}

/// The request, signed with all keys that are active now.
async fn call(ctx: &Ctx, errand: &Errand<'_>) -> Result<Result<Echo, Unanswered>> {
    let keys = store::secrets::active(ctx.db(), ctx.now()).await?;
    if keys.is_empty() {
        return Ok(Err(Unanswered::Refused("there is no signing secret".into())));
    }
    let callback = errand.callback;
    let body: &[u8] = if callback.method.has_body() { &errand.body } else { &[] };
    let id = errand.job.to_string();
    let mut headers = vec![
        ("webhook-id", id.clone()),
        ("webhook-timestamp", ctx.now().timestamp().to_string()),
        ("webhook-signature", signature::sign(&keys, &id, ctx.now(), body)),
        ("scheduler-attempt", errand.attempt.to_string()),
        ("user-agent", "nexus-scheduler/1".to_owned()),
    ];
    if callback.method.has_body() {
        headers.push(("content-type", "application/json".to_owned()));
    }
    headers.extend(errand.about.iter().cloned());
    let theirs = callback.headers.iter().map(|(name, value)| (name.as_str(), value.clone()));
    let mut letter = letter(callback.method.of_http(), callback.url.clone());
    // Theirs come last, so that a content type of their own wins; the check keeps ours ours.
    for (name, value) in headers.into_iter().chain(theirs) {
        let name = name.parse::<HeaderName>().context("write a header's name")?;
        let value = HeaderValue::try_from(value).context("write a header's value")?;
        letter = letter.header(name, value);
    }
    let wall = Duration::from_secs(u64::from(callback.timeout_seconds.unsigned_abs()));
    Ok(letter.body(body.to_vec()).send(wall, ANSWER_BYTES_MAX).await)
}

fn attempt(
    ctx: &Ctx,
    errand: &Errand<'_>,
    answer: &Result<Echo, Unanswered>,
    verdict: &Verdict,
    took: Duration,
) -> Attempt {
    let reason = match verdict {
        Verdict::Done => String::new(),
        Verdict::Again { reason, .. } | Verdict::Dead { reason } | Verdict::Gone { reason } => {
            reason.clone()
        }
    };
    let (status, body) = match answer {
        Ok(echo) => (Some(i32::from(echo.status.as_u16())), shown(&echo.body)),
        Err(_said_in_the_reason) => (None, String::new()),
    };
    Attempt {
        id: ctx.new_id(),
        number: errand.attempt,
        started_at: ctx.now(),
        duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
        status,
        reason,
        body,
    }
}

/// Bytes of anybody's as text that the database can keep.
fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_any_bytes_becomes_text_that_fits() {
        assert_eq!(shown(b"ok"), "ok");
        assert_eq!(shown(b"a\0b"), "a\u{fffd}b");
        let worst = shown(&[0xff; ANSWER_BYTES_MAX]);
        // Three bytes for each: the table takes 8 KiB.
        assert!(worst.len() <= 8192, "{}", worst.len());
    }

    #[test]
    fn what_the_platform_sends_is_read() {
        let due: RunDue = serde_json::from_value(json!({
            "schedule": "nightly",
            "schedule_id": Uuid::nil(),
            "scheduled_at": "2026-03-01T03:15:00.000000Z",
            "fired_at": "2026-03-01T03:15:00.120000Z",
            "trigger": "schedule",
        }))
        .unwrap();
        let described = description("nightly", Uuid::nil().into(), &due);
        assert_eq!(described["data"]["scheduled_at"], "2026-03-01T03:15:00Z");
        assert_eq!(described["type"], "schedule.fired");
    }
}
