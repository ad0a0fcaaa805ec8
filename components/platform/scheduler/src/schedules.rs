//! Schedules: made, shown, replaced and removed, run by hand, paused, and asked for their instants.

use crate::callback::Callback;
use crate::jobs::PRIORITIES;
use crate::retries::Retry;
use crate::timing::{Overlap, Timing};
use crate::{Manage, Operate, View, calendar, secrets, store};
use nexus_sdk::prelude::*;
use platform_contract::{BackfillId, JobId, QueueId, ScheduleId};
use serde_json::Value;

nexus_sdk::refusals! {
    ScheduleName = 422, "a name takes 1 to 120 characters";
    ScheduleExists = 409, "a schedule with this name exists";
    TooManySchedules = 409, "a tenant has at most 500 schedules";
    NoMoreSchedules = 409, "this installation has no room for another tenant's schedules";
    TargetQueue = 422, "there is no such queue";
    TargetPayload = 422, "a payload takes at most 64 KiB of JSON";
    TargetPriority = 422, "a priority takes -100 to 100";
    TargetGroup = 422, "a group takes 1 to 150 characters, in a queue that is ordered";
    PauseReason = 422, "a reason takes at most 1000 characters";
    NextCount = 422, "ask for 1 to 100 instants";
    BackfillRange = 422, "a backfill starts before it ends";
    BackfillTooLong = 422, "a backfill takes at most 1000 instants: choose a shorter stretch"
}

/// Per tenant. All of a tenant's are read to show one of them with its state.
const SCHEDULES_MAX: i64 = 500;
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
const NEXT_MAX: u32 = 100;
/// As many as the platform's backfill makes.
const BACKFILL_MAX: u32 = 1000;

/// The name of the function that the platform calls for a run.
const FUNCTION: &str = "platform.run.due.v1";

/// Calls of one tenant's schedules at once, over all hosts: a tenant with slow receivers holds up
/// its own runs and nobody else's.
const RUNS_AT_ONCE_MAX: i32 = 16;

pub fn router() -> Router {
    Router::new()
        .route("/schedules", get(list).post(create))
        .route("/schedules/{id}", get(show).put(replace).delete(remove))
        .route("/schedules/{id}/trigger", post(trigger))
        .route("/schedules/{id}/pause", post(pause))
        .route("/schedules/{id}/resume", post(resume))
        .route("/schedules/{id}/backfill", post(backfill))
        .route("/schedules/{id}/next", get(next))
}

/// What a fire does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Calls a machine. The run is over when it has answered.
    Callback(Callback),
    /// Puts a job into one of the tenant's queues. The run is over when it is there.
    Enqueue(Placed),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    pub queue_id: QueueId,
    pub payload: Value,
    #[serde(default)]
    pub priority: i32,
    #[serde(default)]
    pub group: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    pub id: ScheduleId,
    pub name: String,
    pub timing: Timing,
    pub retry: Retry,
    pub target: Target,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
    pub updated_by: String,
    pub paused_at: Option<Time>,
    pub paused_by: Option<String>,
    pub paused_reason: Option<String>,
    /// Absent while paused, within a second of a change, and when there is none.
    pub next_at: Option<Time>,
    pub last_at: Option<Time>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
    timing: Timing,
    /// Of a callback; a job is tried as its queue says.
    #[serde(default)]
    retry: Retry,
    target: Target,
}

impl Draft {
    async fn checked(mut self, by: &Ctx) -> Result<Draft> {
        self.name = self.name.trim().to_owned();
        if !(1..=120).contains(&self.name.chars().count()) {
            return Err(ScheduleName.at("name").into());
        }
        self.timing.check()?;
        self.retry.check()?;
        match &self.target {
            Target::Callback(callback) => {
                callback.check("target/callback")?;
                secrets::require(by).await?;
            }
            Target::Enqueue(placed) => {
                let queue = store::queues::find_if_any(by.db(), placed.queue_id).await?;
                let queue = queue.ok_or_else(|| TargetQueue.at("target/enqueue/queue_id"))?;
                placed.check(queue.ordered)?;
            }
        }
        calendar::check(&self.timing, by.now()).await?;
        Ok(self)
    }
}

impl Placed {
    fn check(&self, ordered: bool) -> Result<(), Refusal> {
        if self.payload.to_string().len() > PAYLOAD_BYTES_MAX {
            return Err(TargetPayload.at("target/enqueue/payload"));
        }
        if !PRIORITIES.contains(&self.priority) {
            return Err(TargetPriority.at("target/enqueue/priority"));
        }
        let fits = |group: &String| (1..=150).contains(&group.chars().count());
        if self.group.as_ref().is_some_and(|group| !ordered || !fits(group)) {
            return Err(TargetGroup.at("target/enqueue/group"));
        }
        Ok(())
    }
}

async fn list(by: Allowed<View>, cursor: Cursor) -> Result<Page<Schedule>> {
    store::schedules::list(by.db(), &cursor).await
}

async fn show(by: Allowed<View>, Path(id): Path<ScheduleId>) -> Result<Tagged<Json<Schedule>>> {
    let schedule = store::schedules::find(by.db(), id).await?;
    Ok(Tagged(Etag::of_version(schedule.version), Json(schedule)))
}

async fn create(by: Allowed<Manage>, Json(draft): Json<Draft>) -> Result<Created<Schedule>> {
    let draft = draft.checked(&by).await?;
    let schedule = Schedule {
        id: by.new_id(),
        name: draft.name,
        timing: draft.timing,
        retry: draft.retry,
        target: draft.target,
        version: 1,
        created_at: by.now(),
        updated_at: by.now(),
        updated_by: by.principal().subject.clone(),
        paused_at: None,
        paused_by: None,
        paused_reason: None,
        next_at: None,
        last_at: None,
    };
    let insert = store::schedules::insert(&schedule, SCHEDULES_MAX)
        .or_refuse(TooManySchedules)
        .on_conflict_refuse("schedule_name", ScheduleExists);
    let runs = store::schedules::put_run_queue(FUNCTION, &run_settings())
        .on_conflict_refuse("platform_queues_max", NoMoreSchedules);
    by.commit([insert, runs, store::schedules::put(&schedule, FUNCTION)]).await?;
    Ok(Created(schedule))
}

/// Retries are each schedule's own; the queue's bounds only stop what never comes to an answer.
fn run_settings() -> Value {
    json!({
        "concurrency_max": RUNS_AT_ONCE_MAX,
        "wall_ms": 2 * 1000 * i64::from(crate::callback::TIMEOUT_SECONDS_MAX),
        "attempts_max": 50,
    })
}

async fn replace(
    by: Allowed<Manage>,
    Path(id): Path<ScheduleId>,
    version: IfMatch,
    Json(draft): Json<Draft>,
) -> Result<Tagged<Json<Schedule>>> {
    let mut schedule = store::schedules::find(by.db(), id).await?;
    let seen = version.version()?;
    let draft = draft.checked(&by).await?;
    schedule.name = draft.name;
    schedule.timing = draft.timing;
    schedule.retry = draft.retry;
    schedule.target = draft.target;
    schedule.version = seen + 1;
    schedule.updated_at = by.now();
    schedule.updated_by = by.principal().subject.clone();
    let update = store::schedules::update(&schedule, seen)
        .or_refuse(standard::PreconditionFailed)
        .on_conflict_refuse("schedule_name", ScheduleExists);
    by.commit([update, store::schedules::put(&schedule, FUNCTION)]).await?;
    Ok(Tagged(Etag::of_version(schedule.version), Json(schedule)))
}

async fn remove(by: Allowed<Manage>, Path(id): Path<ScheduleId>) -> Result<NoContent> {
    let remove = store::schedules::remove(id).or_refuse(standard::NotFound);
    by.commit([remove, store::schedules::forget(id)]).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Pausing {
    reason: String,
}

impl Default for Pausing {
    fn default() -> Self {
        Self { reason: "paused by hand".into() }
    }
}

async fn pause(
    by: Allowed<Operate>,
    Path(id): Path<ScheduleId>,
    Json(pausing): Json<Pausing>,
) -> Result<NoContent> {
    if pausing.reason.chars().count() > 1000 {
        return Err(PauseReason.at("reason").into());
    }
    store::schedules::find(by.db(), id).await?;
    let subject = &by.principal().subject;
    by.commit(store::schedules::pause(id, subject, &pausing.reason)).await
}

/// What fell into the pause is not made up for; a backfill does that.
async fn resume(by: Allowed<Operate>, Path(id): Path<ScheduleId>) -> Result<NoContent> {
    store::schedules::find(by.db(), id).await?;
    by.commit(store::schedules::resume(id)).await
}

#[derive(Serialize, JsonSchema)]
struct Triggered {
    run_id: JobId,
}

/// Runs once, now, paused or not, beside whatever else is running.
async fn trigger(by: Allowed<Operate>, Path(id): Path<ScheduleId>) -> Result<Accepted<Triggered>> {
    store::schedules::find(by.db(), id).await?;
    let run_id: JobId = by.new_id();
    by.commit(store::schedules::run_now(id, run_id, &by.principal().subject)).await?;
    Ok(Accepted(Triggered { run_id }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Stretch {
    /// The first instant that may be among them.
    from: Time,
    /// The first that may not.
    to: Time,
    #[serde(default = "one_after_another")]
    overlap: Overlap,
    /// Only says which instants it would be.
    #[serde(default)]
    preview: bool,
}

fn one_after_another() -> Overlap {
    Overlap::BufferAll
}

#[derive(Serialize, JsonSchema)]
struct Backfill {
    /// Absent of a preview.
    id: Option<BackfillId>,
    instants: Vec<Time>,
}

async fn backfill(
    by: Allowed<Operate>,
    Path(id): Path<ScheduleId>,
    Json(stretch): Json<Stretch>,
) -> Result<Accepted<Backfill>> {
    let schedule = store::schedules::find(by.db(), id).await?;
    if stretch.to <= stretch.from {
        return Err(BackfillRange.at("to").into());
    }
    let (from, to) = (stretch.from, stretch.to);
    let anchor = schedule.created_at;
    let instants = calendar::between(&schedule.timing, anchor, from, to, BACKFILL_MAX + 1).await?;
    if instants.len() > BACKFILL_MAX as usize {
        return Err(BackfillTooLong.at("to").into());
    }
    if stretch.preview {
        return Ok(Accepted(Backfill { id: None, instants }));
    }
    let order: BackfillId = by.new_id();
    let subject = &by.principal().subject;
    let write = store::schedules::backfill(id, order, from, to, stretch.overlap, subject);
    by.commit(write).await?;
    Ok(Accepted(Backfill { id: Some(order), instants }))
}

#[derive(Deserialize, JsonSchema)]
struct Count {
    count: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
struct Next {
    /// In words, for people.
    description: String,
    /// As the expression says; a pause and jitter are not counted in.
    instants: Vec<Time>,
}

async fn next(
    by: Allowed<View>,
    Path(id): Path<ScheduleId>,
    Query(asked): Query<Count>,
) -> Result<Json<Next>> {
    let count = asked.count.unwrap_or(10);
    if !(1..=NEXT_MAX).contains(&count) {
        return Err(NextCount.into());
    }
    let schedule = store::schedules::find(by.db(), id).await?;
    let (timing, anchor) = (&schedule.timing, schedule.created_at);
    let instants = calendar::next(timing, anchor, by.now(), count).await?;
    Ok(Json(Next { description: calendar::describe(timing, anchor).await?, instants }))
}
