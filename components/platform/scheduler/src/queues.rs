//! Queues: where jobs wait for a user's machine, and the policies by which they are handed to it.

use crate::callback::{Callback, TIMEOUT_SECONDS_MAX};
use crate::retries::Retry;
use crate::{Manage, Operate, View, secrets, store};
use nexus_sdk::prelude::*;
use platform_contract::QueueId;
use serde_json::Value;

nexus_sdk::refusals! {
    QueueName = 422, "a name takes 1 to 64 of a-z, 0-9, dot, dash and underscore";
    QueueExists = 409, "a queue with this name exists";
    TooManyQueues = 409, "a tenant has at most 50 queues";
    NoMoreQueues = 409, "this installation has no room for another queue";
    QueueConcurrency = 422, "concurrency takes 1 to 100";
    QueueRate = 422, "a rate takes 1 to 60000 a minute";
    QueueDedupWindow = 422, "a window takes 1 to 86400 seconds";
    QueueBody = 422, "a queue's callback sends the payload of each job: leave its body out";
    QueueInUse = 409, "a schedule puts its jobs into this queue"
}

/// Per tenant. Each is a row that the platform looks at for every claim, and a label of metrics.
pub const QUEUES_MAX: i64 = 50;

/// The name of the function that the platform calls for a job.
const FUNCTION: &str = "platform.job.due.v1";

pub fn router() -> Router {
    Router::new()
        .route("/queues", get(list).post(create))
        .route("/queues/{id}", get(show).put(replace).delete(remove))
        .route("/queues/{id}/pause", post(pause))
        .route("/queues/{id}/resume", post(resume))
        .route("/queues/{id}/purge", post(purge))
        .route("/queues/{id}/stats", get(stats))
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Queue {
    pub id: QueueId,
    pub name: String,
    pub callback: Callback,
    pub retry: Retry,
    pub concurrency_max: i32,
    pub rate_per_minute: Option<i32>,
    pub ordered: bool,
    pub dedup_window_seconds: i32,
    pub version: i64,
    pub paused_at: Option<Time>,
    pub paused_by: Option<String>,
    pub created_at: Time,
    pub updated_at: Time,
    pub updated_by: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
    callback: Callback,
    #[serde(default)]
    retry: Retry,
    #[serde(default)]
    policy: Policy,
    /// Whether jobs may name a group, of which one at a time is worked on. For good.
    #[serde(default)]
    ordered: bool,
}

/// What may be changed; the whole of it is replaced.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Revision {
    callback: Callback,
    #[serde(default)]
    retry: Retry,
    #[serde(default)]
    policy: Policy,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Policy {
    /// Calls at once, over all hosts.
    concurrency_max: i32,
    /// Calls a minute, evenly spread; unbounded if absent.
    rate_per_minute: Option<i32>,
    /// For how long a `dedup_key` is remembered.
    dedup_window_seconds: i32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { concurrency_max: 8, rate_per_minute: None, dedup_window_seconds: 86_400 }
    }
}

impl Revision {
    fn check(&self) -> Result<(), Refusal> {
        self.callback.check("callback")?;
        if self.callback.body.is_some() {
            return Err(QueueBody.at("callback/body"));
        }
        self.retry.check()?;
        let policy = &self.policy;
        if !(1..=100).contains(&policy.concurrency_max) {
            return Err(QueueConcurrency.at("policy/concurrency_max"));
        }
        if policy.rate_per_minute.is_some_and(|rate| !(1..=60_000).contains(&rate)) {
            return Err(QueueRate.at("policy/rate_per_minute"));
        }
        if !(1..=86_400).contains(&policy.dedup_window_seconds) {
            return Err(QueueDedupWindow.at("policy/dedup_window_seconds"));
        }
        Ok(())
    }

    fn apply_to(self, queue: &mut Queue) {
        queue.callback = self.callback;
        queue.retry = self.retry;
        queue.concurrency_max = self.policy.concurrency_max;
        queue.rate_per_minute = self.policy.rate_per_minute;
        queue.dedup_window_seconds = self.policy.dedup_window_seconds;
    }
}

impl Queue {
    /// The same as settings of the platform's queue. Each answer carries its own wait; the backoff
    /// here is for calls that never came to an answer.
    fn settings(&self) -> Value {
        json!({
            "concurrency_max": self.concurrency_max,
            "wall_ms": 2 * 1000 * i64::from(TIMEOUT_SECONDS_MAX),
            "attempts_max": self.retry.attempts_max,
            "backoff_first_ms": self.retry.first_seconds * 1000,
            "backoff_max_ms": self.retry.longest_seconds * 1000,
            "grouped": self.ordered,
        })
    }

    fn platform_queue(&self) -> Write {
        store::queues::put_platform_queue(&self.name, FUNCTION, &self.settings())
            .on_conflict_refuse("platform_queues_max", NoMoreQueues)
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    (1..=64).contains(&name.len())
        && name.bytes().all(allowed)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

async fn list(by: Allowed<View>, cursor: Cursor) -> Result<Page<Queue>> {
    store::queues::list(by.db(), &cursor).await
}

async fn show(by: Allowed<View>, Path(id): Path<QueueId>) -> Result<Tagged<Json<Queue>>> {
    let queue = store::queues::find(by.db(), id).await?;
    Ok(Tagged(Etag::of_version(queue.version), Json(queue)))
}

async fn create(by: Allowed<Manage>, Json(draft): Json<Draft>) -> Result<Created<Queue>> {
    if !is_name(&draft.name) {
        return Err(QueueName.at("name").into());
    }
    let revision = Revision { callback: draft.callback, retry: draft.retry, policy: draft.policy };
    revision.check()?;
    secrets::require(&by).await?;
    let mut queue = Queue {
        id: by.new_id(),
        name: draft.name,
        callback: revision.callback.clone(),
        retry: Retry::default(),
        concurrency_max: 1,
        rate_per_minute: None,
        ordered: draft.ordered,
        dedup_window_seconds: 1,
        version: 1,
        paused_at: None,
        paused_by: None,
        created_at: by.now(),
        updated_at: by.now(),
        updated_by: by.principal().subject.clone(),
    };
    revision.apply_to(&mut queue);
    let insert = store::queues::insert(&queue, QUEUES_MAX)
        .or_refuse(TooManyQueues)
        .on_conflict_refuse("queue_name", QueueExists);
    // A queue of this name may have been there before, and have been left paused.
    let resume = store::queues::resume_platform_queue(&queue.name);
    by.commit([insert, queue.platform_queue(), resume]).await?;
    Ok(Created(queue))
}

async fn replace(
    by: Allowed<Manage>,
    Path(id): Path<QueueId>,
    version: IfMatch,
    Json(revision): Json<Revision>,
) -> Result<Tagged<Json<Queue>>> {
    revision.check()?;
    let mut queue = store::queues::find(by.db(), id).await?;
    let seen = version.version()?;
    revision.apply_to(&mut queue);
    queue.version = seen + 1;
    queue.updated_at = by.now();
    queue.updated_by = by.principal().subject.clone();
    let update = store::queues::update(&queue, seen).or_refuse(standard::PreconditionFailed);
    by.commit([update, queue.platform_queue()]).await?;
    Ok(Tagged(Etag::of_version(queue.version), Json(queue)))
}

/// What waits is cancelled; what is being worked on is finished, and then forgotten by nobody.
async fn remove(by: Allowed<Manage>, Path(id): Path<QueueId>) -> Result<NoContent> {
    let queue = store::queues::find(by.db(), id).await?;
    by.commit([
        store::queues::withdraw(id, &queue.name, by.now()),
        store::queues::discard_dead(&queue.name),
        store::queues::pause_platform_queue(&queue.name),
        store::queues::remove(id).or_refuse(QueueInUse),
    ])
    .await
}

async fn pause(by: Allowed<Operate>, Path(id): Path<QueueId>) -> Result<NoContent> {
    let queue = store::queues::find(by.db(), id).await?;
    let subject = &by.principal().subject;
    by.commit([
        store::queues::pause(id, subject, by.now()),
        store::queues::pause_platform_queue(&queue.name),
    ])
    .await
}

async fn resume(by: Allowed<Operate>, Path(id): Path<QueueId>) -> Result<NoContent> {
    let queue = store::queues::find(by.db(), id).await?;
    by.commit([store::queues::resume(id), store::queues::resume_platform_queue(&queue.name)]).await
}

/// Cancels whatever waits.
async fn purge(by: Allowed<Operate>, Path(id): Path<QueueId>) -> Result<NoContent> {
    let queue = store::queues::find(by.db(), id).await?;
    by.commit(store::queues::withdraw(id, &queue.name, by.now())).await
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    pub paused: bool,
    /// Waiting for a free place.
    pub ready: i64,
    /// Waiting for their time, or for the next attempt.
    pub deferred: i64,
    /// Being worked on.
    pub leased: i64,
    pub dead: i64,
    pub oldest_ready_seconds: f64,
}

async fn stats(by: Allowed<View>, Path(id): Path<QueueId>) -> Result<Json<Stats>> {
    let queue = store::queues::find(by.db(), id).await?;
    store::queues::stats(by.db(), &queue.name).await.map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(field: &str, value: Value) -> Option<&'static str> {
        let mut revision = json!({
            "callback": { "url": "https://example.com/" }, "policy": {}
        });
        let place = revision.pointer_mut(field).unwrap();
        *place = value;
        let revision: Revision = serde_json::from_value(revision).unwrap();
        revision.check().err().map(|refusal| refusal.name)
    }

    #[test]
    fn policies_have_bounds() {
        assert_eq!(refused("/policy", json!({})), None);
        for (policy, name) in [
            (json!({ "concurrency_max": 0 }), "QueueConcurrency"),
            (json!({ "concurrency_max": 101 }), "QueueConcurrency"),
            (json!({ "rate_per_minute": 0 }), "QueueRate"),
            (json!({ "dedup_window_seconds": 86_401 }), "QueueDedupWindow"),
        ] {
            assert_eq!(refused("/policy", policy), Some(name));
        }
        let body = json!({ "url": "https://example.com/", "body": { "a": 1 } });
        assert_eq!(refused("/callback", body), Some("QueueBody"));
    }

    #[test]
    fn a_name_is_a_short_word_that_starts_with_a_letter_or_digit() {
        for (name, fits) in [
            ("mail", true),
            ("4k.transcode_2-b", true),
            ("", false),
            ("~runs", false),
            ("-mail", false),
            ("Mail", false),
            ("mail/x", false),
        ] {
            assert_eq!(is_name(name), fits, "{name}");
        }
        assert!(!is_name(&"a".repeat(65)));
    }
}
