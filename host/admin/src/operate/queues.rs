//! Queues: how deep they are, and what an operator does to all messages of one.

use super::asked::{self, Asked, json, page};
use super::instant::{self, Instant};
use super::{Stores, failure};
use crate::problems;
use nexus_runtime::{Problem, Response};
use nexus_storage::queue::{Depth, Filter, Kind, Registered, State};
use serde::Deserialize;
use serde_json::{Value, json as object};
use uuid::Uuid;

/// Messages that one order reaches; the storage stops there.
const REACH: u64 = 10_000;
const IDS_MAX: usize = 1_000;
const RATE_MAX: f64 = 10_000.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    service: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(super) async fn list(stores: &Stores, asked: &Asked) -> Result<Response, Problem> {
    let query: ListQuery = asked.query()?;
    let limit = page(query.limit)?;
    let after = asked::read_cursor(query.cursor.as_deref(), |text| text.split_once('/'))?;
    let after = after.unwrap_or((query.service.as_deref().unwrap_or_default(), ""));
    let mut depths = stores.queue.list(after, limit).await.map_err(|e| failure(&e))?;
    let rows = depths.len();
    if let Some(service) = &query.service {
        depths.retain(|depth| depth.service == *service);
    }
    let queues: Vec<Value> = depths.iter().map(depth).collect();
    // A row of another service is where the list of this one ends.
    let full = if depths.len() == rows { rows } else { 0 };
    let last = || depths.last().map(|d| format!("{}/{}", d.service, d.name)).unwrap_or_default();
    Ok(json(&object!({ "queues": queues, "cursor": asked::cursor(full, limit, last) })))
}

pub(super) async fn show(stores: &Stores, service: &str, name: &str) -> Result<Response, Problem> {
    let queue = named(stores, service, name).await?;
    Ok(json(&describe(stores, &queue).await?))
}

/// The queue that a path names.
pub(super) async fn named(
    stores: &Stores,
    service: &str,
    name: &str,
) -> Result<Registered, Problem> {
    let found = stores.queue.named(service, name).await.map_err(|e| failure(&e))?;
    let detail = || format!("{service} has no queue {name}; /api/v1/queues lists what there is");
    found.ok_or_else(|| problems::NO_QUEUE.detail(detail()))
}

async fn describe(stores: &Stores, queue: &Registered) -> Result<Value, Problem> {
    let found = stores.queue.depth(queue.id).await.map_err(|e| failure(&e))?;
    let pace = stores.queue.pace(queue.id).await.map_err(|e| failure(&e))?;
    let mut described = found.as_ref().map(depth).unwrap_or_default();
    described["handler"] = queue.handler.as_str().into();
    described["paused_at"] = instant::maybe(queue.paused.as_ref().map(|paused| paused.at));
    described["paused_by"] = queue.paused.as_ref().map(|paused| paused.by.as_str()).into();
    described["retired_at"] = instant::maybe(queue.retired_at);
    described["settings"] = queue.settings.to_json();
    described["rates"] = object!({
        "done_per_second": pace.done_per_second,
        "died_last_hour": pace.died_last_hour,
    });
    Ok(described)
}

fn depth(depth: &Depth) -> Value {
    object!({
        "service": depth.service,
        "queue": depth.name,
        "kind": depth.kind,
        "paused": depth.paused,
        "retired": depth.retired,
        "ready": depth.ready,
        "deferred": depth.deferred,
        "leased": depth.leased,
        "dead": depth.dead,
        "oldest_ready_seconds": depth.oldest_ready_seconds,
    })
}

/// Which messages, as an order says it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    ids: Option<Vec<Uuid>>,
    topic: Option<String>,
    tenant_id: Option<Uuid>,
    reason: Option<String>,
    since: Option<Instant>,
    before: Option<Instant>,
    #[serde(default)]
    all: bool,
}

impl Which {
    /// A filter that says something: what is done to many messages at once must say to which.
    fn filter(self) -> Result<Filter, Problem> {
        let filter = Filter {
            ids: self.ids,
            topic: self.topic,
            tenant: self.tenant_id,
            reason: self.reason,
            before: self.before.map(|at| at.0),
            since: self.since.map(|at| at.0),
            all: false,
        };
        if filter.ids.as_ref().is_some_and(|ids| ids.len() > IDS_MAX) {
            return Err(problems::FILTER.detail(format!("at most {IDS_MAX} ids at once")));
        }
        match (self.all, filter == Filter::default()) {
            (true, true) => Ok(Filter::all()),
            (true, false) => Err(problems::FILTER.detail("`all` stands alone")),
            (false, true) => Err(problems::FILTER),
            (false, false) => Ok(filter),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redrive {
    #[serde(default)]
    filter: Which,
    #[serde(default)]
    dry_run: bool,
    rate_per_second: Option<f64>,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Purge {
    state: Option<String>,
    #[serde(default)]
    filter: Which,
    #[serde(default)]
    dry_run: bool,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    by: Option<String>,
}

/// What is posted to a queue.
pub(super) async fn order(
    stores: &Stores,
    service: &str,
    name: &str,
    verb: &str,
    asked: &Asked,
) -> Result<Response, Problem> {
    match verb {
        "redrive" => {
            let order: Redrive = asked.order()?;
            let by = asked.actor.by(order.by.as_deref())?;
            redrive(stores, &named(stores, service, name).await?, order, &by).await
        }
        "purge" => {
            let order: Purge = asked.order()?;
            let by = asked.actor.by(order.by.as_deref())?;
            purge(stores, &named(stores, service, name).await?, order, &by).await
        }
        "pause" | "resume" => {
            let order: Switch = asked.order()?;
            let queue = named(stores, service, name).await?;
            let by = asked.actor.by(order.by.as_deref())?;
            switch(stores, &queue, verb == "pause", &by).await
        }
        "messages" => Err(problems::METHOD),
        _ => Err(problems::NOT_FOUND),
    }
}

async fn redrive(
    stores: &Stores,
    queue: &Registered,
    order: Redrive,
    by: &str,
) -> Result<Response, Problem> {
    let rate = order.rate_per_second;
    if rate.is_some_and(|rate| !(rate > 0.0 && rate <= RATE_MAX)) {
        let detail = format!("rate_per_second is above 0 and at most {RATE_MAX}");
        return Err(problems::BODY.detail(detail));
    }
    let (filter, dry_run) = (order.filter.filter()?, order.dry_run);
    let messages = stores.queue.redrive(queue.id, &filter, dry_run, rate).await;
    let messages = messages.map_err(|e| failure(&e))?;
    if !dry_run {
        let (service, queue) = (&queue.service, &queue.name);
        tracing::info!(by, service, queue, messages, "dead letters were sent back to work");
    }
    Ok(reached(dry_run, messages))
}

/// How many dead letters of a queue a redrive of all would reach.
pub(crate) async fn would_redrive(
    stores: &Stores,
    service: &str,
    name: &str,
) -> Result<u64, Problem> {
    let queue = named(stores, service, name).await?;
    stores.queue.redrive(queue.id, &Filter::all(), true, None).await.map_err(|e| failure(&e))
}

async fn purge(
    stores: &Stores,
    queue: &Registered,
    order: Purge,
    by: &str,
) -> Result<Response, Problem> {
    let state = match order.state.as_deref() {
        None | Some("dead") => State::Dead,
        Some("ready") => State::Ready,
        Some("deferred") => State::Deferred,
        Some(_) => return Err(problems::BODY.detail("state is ready, deferred or dead")),
    };
    if queue.kind == Kind::Job && state != State::Dead {
        let detail = "a job that waits is cancelled: POST /api/v1/jobs/{id}/cancel";
        return Err(problems::PURGE_OF_JOBS.detail(detail));
    }
    let (filter, dry_run) = (order.filter.filter()?, order.dry_run);
    let messages = stores.queue.purge(queue.id, state, &filter, dry_run).await;
    let messages = messages.map_err(|e| failure(&e))?;
    if !dry_run {
        let (service, queue, state) = (&queue.service, &queue.name, state.as_str());
        tracing::info!(by, service, queue, state, messages, "messages were thrown away");
    }
    Ok(reached(dry_run, messages))
}

fn reached(dry_run: bool, messages: u64) -> Response {
    json(&object!({ "dry_run": dry_run, "messages": messages, "more": messages >= REACH }))
}

async fn switch(
    stores: &Stores,
    queue: &Registered,
    pause: bool,
    by: &str,
) -> Result<Response, Problem> {
    let changed = match pause {
        true => stores.queue.pause(queue.id, by).await,
        false => stores.queue.resume(queue.id).await,
    };
    let changed = changed.map_err(|e| failure(&e))?;
    let (service, name) = (&queue.service, &queue.name);
    if changed {
        tracing::info!(by, service, queue = name, paused = pause, "a queue was switched");
    }
    let now = self::named(stores, service, name).await?;
    let mut described = describe(stores, &now).await?;
    described["changed"] = changed.into();
    Ok(json(&described))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(body: Value) -> Result<Filter, String> {
        let which: Which = serde_json::from_value(body).map_err(|error| error.to_string())?;
        which.filter().map_err(|problem| problem.name.to_owned())
    }

    #[test]
    fn a_filter_says_which_messages_or_is_refused() {
        assert_eq!(filter(object!({})), Err("filter-needed".into()));
        assert_eq!(filter(object!({ "all": false })), Err("filter-needed".into()));
        assert_eq!(filter(object!({ "all": true })), Ok(Filter::all()));
        assert!(filter(object!({ "all": true, "topic": "a.**" })).is_err());
        assert!(filter(object!({ "topics": "a.**" })).unwrap_err().contains("topics"));
        assert!(filter(object!({ "since": "yesterday" })).is_err());
        let reason = filter(object!({ "reason": "timeout", "since": "2027-01-31T03:15:00Z" }));
        let reason = reason.unwrap();
        assert_eq!(reason.reason.as_deref(), Some("timeout"));
        assert!(reason.since.is_some() && !reason.all);
        let many = vec![Uuid::nil(); IDS_MAX + 1];
        assert!(filter(object!({ "ids": many })).is_err());
    }
}
