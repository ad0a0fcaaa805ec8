//! From the manifest's `subscribe` to the queues of the database. Refuses to know messages.

use crate::backend::Consumer;
use nexus_runtime::{ComponentId, Subscription};
use nexus_storage::Error;
use nexus_storage::queue::{Kind, Queue, QueueId, Registered, Settings, Start, SubscriptionSpec};
use std::collections::HashSet;
use std::time::Duration;

/// Queues read at once.
const PAGE: u32 = 1000;

/// Makes the subscriptions of the active components those of the database. What one component has
/// wrong is logged and does not keep the others from theirs.
///
/// # Errors
///
/// When the database is away: all of it must be done again.
pub(crate) async fn synchronise(queue: &Queue, consumers: &[Consumer]) -> Result<(), Error> {
    let known = subscribers(queue).await?;
    for consumer in consumers {
        let name = consumer.component.as_str();
        if consumer.subscribe.is_empty() && !known.contains(name) {
            continue;
        }
        let specs: Result<Vec<_>, _> = consumer.subscribe.iter().map(spec).collect();
        let done = match specs {
            Ok(specs) => queue.subscribe(name, &specs).await,
            Err(reason) => {
                tracing::error!(component = name, reason, "its subscriptions are not in force");
                continue;
            }
        };
        match done {
            Err(error) if error.is_unavailable() => return Err(error),
            Err(error) => {
                tracing::error!(component = name, %error, "its subscriptions are not in force");
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Services that have subscriptions in force.
async fn subscribers(queue: &Queue) -> Result<HashSet<String>, Error> {
    let mut found = HashSet::new();
    let mut after = QueueId(0);
    loop {
        let page = queue.registered(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = last.id;
        let live = |q: &Registered| q.kind == Kind::Subscription && q.retired_at.is_none();
        found.extend(page.into_iter().filter(live).map(|q| q.service));
    }
}

fn spec(line: &Subscription) -> Result<SubscriptionSpec, &'static str> {
    let from = match line.from.as_str() {
        "now" => Start::Now,
        "earliest" => Start::Earliest,
        _ => return Err("a subscription starts at `now` or `earliest`"),
    };
    let usual = Settings::default();
    let settings = Settings {
        concurrency_max: line.max_concurrency,
        batch_max: line.batch.unwrap_or(usual.batch_max),
        batch_wait: line.wait_ms.map_or(usual.batch_wait, Duration::from_millis),
        wall: line.wall_ms.map_or(usual.wall, Duration::from_millis),
        attempts_max: line.attempts_max.unwrap_or(usual.attempts_max),
        ordered_by: line.ordered_by.clone(),
        ..usual
    };
    Ok(SubscriptionSpec { topic: line.topic.clone(), from, settings })
}

/// The queues that this host delivers from, each with its component.
///
/// # Errors
///
/// [`Error::Query`].
pub(crate) async fn deliverable(
    queue: &Queue,
    consumers: &[Consumer],
) -> Result<Vec<(Registered, ComponentId)>, Error> {
    let services: Vec<&str> = consumers.iter().map(|c| c.component.as_str()).collect();
    let queues = queue.deliverable(&services).await?;
    let with_component = |queue: Registered| {
        let component = ComponentId::new(&queue.service).ok()?;
        Some((queue, component))
    };
    Ok(queues.into_iter().filter_map(with_component).collect())
}
