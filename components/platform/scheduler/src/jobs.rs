//! Jobs: put into a queue with a payload, looked at, cancelled.

use crate::{Enqueue, View, store};
use nexus_sdk::prelude::*;
use platform_contract::{AttemptId, JobId, QueueId, ScheduleId};
use serde_json::Value;

nexus_sdk::refusals! {
    JobPayload = 422, "a payload takes at most 256 KiB of JSON";
    JobDelay = 422, "a job waits at most 30 days; give run_at or delay_seconds, not both";
    JobPriority = 422, "a priority takes -100 to 100";
    JobGroup = 422, "a group takes 1 to 150 characters, in a queue that is ordered";
    JobDedupKey = 422, "a dedup_key takes 1 to 150 characters";
    JobNotQueued = 409, "only a job that waits can be cancelled";
    QueueFull = 429, "10000 jobs wait in this queue; put more in when some are done";
    QueueGone = 409, "the queue was removed"
}

pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
const KEY_CHARS: std::ops::RangeInclusive<usize> = 1..=150;
pub const PRIORITIES: std::ops::RangeInclusive<i32> = -100..=100;

pub fn router() -> Router {
    Router::new()
        .route("/jobs", get(list).post(create))
        .route("/jobs/{id}", get(show))
        .route("/jobs/{id}/cancel", post(cancel))
        .route("/jobs/{id}/attempts", get(attempts))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits: for its time, for a free place, or for its next attempt.
    Queued,
    Running,
    Succeeded,
    /// Out of attempts, or nothing that could ever succeed. A dead letter, which can be sent again.
    Dead,
    Cancelled,
}

impl ToParam for State {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// A job without its payload.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    pub id: JobId,
    /// None of a run, which a schedule sends by itself.
    pub queue_id: Option<QueueId>,
    pub schedule_id: Option<ScheduleId>,
    pub scheduled_at: Option<Time>,
    pub state: State,
    pub attempt: i32,
    pub priority: i32,
    pub group_key: Option<String>,
    pub dedup_key: Option<String>,
    /// Not before.
    pub run_at: Time,
    /// HTTP status of the last answer.
    pub status: Option<i32>,
    /// What was wrong with it.
    pub reason: Option<String>,
    pub created_at: Time,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Job {
    #[serde(flatten)]
    pub summary: Summary,
    pub payload: Option<Value>,
}

/// One call and the beginning of its answer.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    pub id: AttemptId,
    /// Starts again at 1 when a dead letter is sent again.
    pub number: i32,
    pub started_at: Time,
    pub duration_ms: i64,
    pub status: Option<i32>,
    /// Empty where all went well.
    pub reason: String,
    /// At most 2 KiB.
    pub body: String,
}

#[derive(Serialize, JsonSchema)]
struct Placed {
    #[serde(flatten)]
    job: Job,
    /// Whether this is an earlier job with the same `dedup_key`.
    deduplicated: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    queue_id: QueueId,
    /// Sent as it is.
    payload: Value,
    #[serde(default)]
    delay_seconds: Option<i64>,
    #[serde(default)]
    run_at: Option<Time>,
    /// Higher goes first, within a queue.
    #[serde(default)]
    priority: i32,
    /// Jobs of one group are worked on one after another; one that fails holds up the others.
    #[serde(default)]
    group: Option<String>,
    /// Within the queue's window, only the first job of a key is put in.
    #[serde(default)]
    dedup_key: Option<String>,
}

/// A job on its way into a queue.
pub struct Placement<'a> {
    pub id: JobId,
    pub queue: QueueId,
    pub schedule: Option<ScheduleId>,
    pub payload: &'a Value,
    pub priority: i32,
    pub group: Option<&'a str>,
    pub dedup_key: Option<&'a str>,
    pub run_at: Time,
    pub now: Time,
}

impl Draft {
    fn check(&self, ordered: bool, now: Time) -> Result<Time, Refusal> {
        if self.payload.to_string().len() > PAYLOAD_BYTES_MAX {
            return Err(JobPayload.at("payload"));
        }
        if !PRIORITIES.contains(&self.priority) {
            return Err(JobPriority.at("priority"));
        }
        let fits = |text: &String| KEY_CHARS.contains(&text.chars().count());
        if self.group.as_ref().is_some_and(|group| !ordered || !fits(group)) {
            return Err(JobGroup.at("group"));
        }
        if self.dedup_key.as_ref().is_some_and(|key| !fits(key)) {
            return Err(JobDedupKey.at("dedup_key"));
        }
        let longest = days(30);
        match (self.run_at, self.delay_seconds) {
            (None, None) => Ok(now),
            (Some(at), None) if at - now <= longest => Ok(at.max(now)),
            (None, Some(delay)) if (0..=longest.num_seconds()).contains(&delay) => {
                Ok(now + seconds(delay as i32))
            }
            (Some(_), _) => Err(JobDelay.at("run_at")),
            (None, Some(_)) => Err(JobDelay.at("delay_seconds")),
        }
    }
}

/// The write, with what can be refused inside of it.
pub fn place(placement: &Placement<'_>) -> Write {
    store::jobs::put(placement)
        .on_conflict_refuse("job_queued_max", QueueFull)
        .on_conflict_refuse("job_queue_gone", QueueGone)
}

async fn create(by: Allowed<Enqueue>, Json(draft): Json<Draft>) -> Result<Created<Placed>> {
    let queue = store::queues::find(by.db(), draft.queue_id).await?;
    let run_at = draft.check(queue.ordered, by.now())?;
    let id = by.new_id();
    by.commit(place(&Placement {
        id,
        queue: draft.queue_id,
        schedule: None,
        payload: &draft.payload,
        priority: draft.priority,
        group: draft.group.as_deref(),
        dedup_key: draft.dedup_key.as_deref(),
        run_at,
        now: by.now(),
    }))
    .await?;
    let first = match &draft.dedup_key {
        None => id,
        Some(key) => store::jobs::of_key(by.db(), draft.queue_id, key).await?.unwrap_or(id),
    };
    let job = store::jobs::find(by.db(), first).await?;
    Ok(Created(Placed { job, deduplicated: first != id }))
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    queue_id: Option<QueueId>,
    schedule_id: Option<ScheduleId>,
    state: Option<State>,
}

/// Newest first.
async fn list(
    by: Allowed<View>,
    cursor: Cursor,
    Query(search): Query<Search>,
) -> Result<Page<Summary>> {
    let (queue, schedule) = (search.queue_id, search.schedule_id);
    store::jobs::list(by.db(), "job", queue, schedule, search.state, &cursor).await
}

async fn show(by: Allowed<View>, Path(id): Path<JobId>) -> Result<Json<Job>> {
    store::jobs::find(by.db(), id).await.map(Json)
}

async fn attempts(
    by: Allowed<View>,
    Path(id): Path<JobId>,
    cursor: Cursor,
) -> Result<Page<Attempt>> {
    store::jobs::find(by.db(), id).await?;
    store::jobs::attempts(by.db(), id, &cursor).await
}

async fn cancel(by: Allowed<Enqueue>, Path(id): Path<JobId>) -> Result<NoContent> {
    let job = store::jobs::find(by.db(), id).await?.summary;
    let Some(queue) = job.queue_id else { return Err(JobNotQueued.into()) };
    let queue = store::queues::find(by.db(), queue).await?;
    let withdraw = store::queues::withdraw_one(queue.id, &queue.name, id, by.now());
    by.commit(withdraw.or_refuse(JobNotQueued)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Time {
        "2026-03-01T10:00:00Z".parse().unwrap()
    }

    fn draft(more: Value) -> Draft {
        let mut draft = json!({ "queue_id": Uuid::nil(), "payload": { "a": 1 } });
        let more = more.as_object().cloned().unwrap_or_default();
        draft.as_object_mut().unwrap().extend(more);
        serde_json::from_value(draft).unwrap()
    }

    fn refused(more: Value) -> Option<&'static str> {
        draft(more).check(false, now()).err().map(|refusal| refusal.name)
    }

    #[test]
    fn a_job_runs_now_or_within_thirty_days() {
        let run_at = |more| draft(more).check(false, now()).unwrap();
        assert_eq!(run_at(json!({})), now());
        assert_eq!(run_at(json!({ "delay_seconds": 90 })), now() + seconds(90));
        assert_eq!(run_at(json!({ "run_at": "2026-03-02T10:00:00Z" })), now() + days(1));
        assert_eq!(run_at(json!({ "run_at": "2025-01-01T00:00:00Z" })), now());
        assert_eq!(refused(json!({ "delay_seconds": 2_592_001 })), Some("JobDelay"));
        assert_eq!(refused(json!({ "delay_seconds": -1 })), Some("JobDelay"));
        assert_eq!(refused(json!({ "run_at": "2026-05-01T10:00:00Z" })), Some("JobDelay"));
        let both = json!({ "delay_seconds": 1, "run_at": "2026-03-02T10:00:00Z" });
        assert_eq!(refused(both), Some("JobDelay"));
    }

    #[test]
    fn a_group_needs_an_ordered_queue() {
        let grouped = json!({ "group": "channel-7" });
        assert_eq!(refused(grouped.clone()), Some("JobGroup"));
        assert!(draft(grouped).check(true, now()).is_ok());
        assert!(draft(json!({ "group": "" })).check(true, now()).is_err());
    }

    #[test]
    fn sizes_are_bounded() {
        let large = json!({ "payload": "a".repeat(PAYLOAD_BYTES_MAX) });
        assert_eq!(refused(large), Some("JobPayload"));
        assert_eq!(refused(json!({ "priority": 101 })), Some("JobPriority"));
        assert_eq!(refused(json!({ "dedup_key": "k".repeat(151) })), Some("JobDedupKey"));
    }
}
