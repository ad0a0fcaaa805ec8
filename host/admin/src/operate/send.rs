//! One message into one queue, by hand: as an event would come, to see what the service makes of
//! it.

use super::asked::{Asked, accepted};
use super::queues::named;
use super::{Stores, failure};
use crate::problems;
use nexus_runtime::{Problem, Response};
use nexus_storage::queue::{EnqueueRequest, Kind};
use serde::Deserialize;
use serde_json::{Value, json as object};

/// What the message says it is, where the operator does not.
const TOPIC: &str = "nexus.message.sent.v1";
const SOURCE: &str = "operator";
const KEY_CHARS_MAX: usize = 255;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    payload: Value,
    topic: Option<String>,
    /// Of messages with the same key, the queue takes the first within a day.
    key: Option<String>,
    by: Option<String>,
}

pub(super) async fn answer(
    stores: &Stores,
    service: &str,
    name: &str,
    asked: &Asked,
) -> Result<Response, Problem> {
    let order: Order = asked.order()?;
    let by = asked.actor.by(order.by.as_deref())?;
    let queue = named(stores, service, name).await?;
    // A tick belongs to a run and a job to its row: alone they mean nothing.
    if matches!(queue.kind, Kind::Schedule | Kind::Job) {
        let detail =
            "a schedule is run (POST schedules/{id}/run), a job is submitted by its service";
        return Err(problems::NO_SENDING.detail(detail));
    }
    let topic = order.topic.as_deref().unwrap_or(TOPIC);
    let mut request = EnqueueRequest::new(queue.id, topic, SOURCE, order.payload);
    if order.key.as_ref().is_some_and(|key| !(1..=KEY_CHARS_MAX).contains(&key.chars().count())) {
        return Err(problems::BODY.detail(format!("key takes 1 to {KEY_CHARS_MAX} characters")));
    }
    request.dedup_key = order.key;
    let id = stores.queue.enqueue(&request).await.map_err(|e| failure(&e))?;
    tracing::info!(by, service, queue = name, topic, message = %id, "a message was sent by hand");
    Ok(accepted(&object!({
        "id": id,
        "service": service,
        "queue": name,
        "topic": topic,
        // The queue answers with the message it has already, if the key was there before.
        "existed": id != request.id,
    })))
}
