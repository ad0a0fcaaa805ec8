//! What every host does for the queues beside its own work: time that runs, slots that are emptied,
//! days that are dropped, numbers for metrics. Any number of hosts may do each of it at once.

use crate::config::QueueConfig;
use crate::stats::QueueStats;
use nexus_storage::queue::{Queue, QueueId, Registered};
use nexus_storage::{Error, Work};
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio::task::JoinSet;

/// Messages moved by one statement.
const ROWS_MAX: u32 = 1000;

/// Queues whose depth is counted for metrics.
const DEPTHS_MAX: u32 = 2000;

/// Starts all chores; they end with the set.
pub(crate) fn start(config: &QueueConfig, stats: &QueueStats) -> JoinSet<()> {
    let mut chores = JoinSet::new();
    chores.spawn(Work::relay(config.queue.database().clone()));
    let limits = &config.limits;
    let queue = || config.queue.clone();
    let q = queue();
    chores.spawn(every(limits.promote, "promote deferred messages", stats.clone(), move || {
        promote(q.clone())
    }));
    let (q, s) = (queue(), stats.clone());
    chores.spawn(every(limits.expire, "end lapsed leases", stats.clone(), move || {
        expire(q.clone(), s.clone())
    }));
    let q = queue();
    chores.spawn(every(limits.rotate, "empty slots", stats.clone(), move || {
        let q = q.clone();
        async move { q.rotate().await }
    }));
    let (q, retention) = (queue(), limits.retention);
    chores.spawn(every(
        limits.maintain,
        "forget what is past its time",
        stats.clone(),
        move || {
            let q = q.clone();
            async move { maintain(&q, &retention).await }
        },
    ));
    let (q, s) = (queue(), stats.clone());
    chores.spawn(every(limits.depths, "count messages", stats.clone(), move || {
        let (q, s) = (q.clone(), s.clone());
        async move {
            s.counted(q.list(("", ""), DEPTHS_MAX).await?);
            Ok(())
        }
    }));
    chores
}

/// Does a chore over and over, at about this pace. Hosts that start together drift apart.
async fn every<F>(
    pace: Duration,
    chore: &'static str,
    stats: QueueStats,
    mut act: impl FnMut() -> F,
) where
    F: Future<Output = Result<(), Error>>,
{
    loop {
        if let Err(error) = act().await {
            stats.failed();
            match error.is_unavailable() {
                true => tracing::debug!(%error, chore, "the database is away"),
                false => tracing::error!(%error, chore, "a chore of the queue failed"),
            }
        }
        tokio::time::sleep(pace.mul_f64(rand::random_range(0.8..1.2))).await;
    }
}

async fn promote(queue: Queue) -> Result<(), Error> {
    while queue.promote(ROWS_MAX).await? >= u64::from(ROWS_MAX) {}
    Ok(())
}

async fn expire(queue: Queue, stats: QueueStats) -> Result<(), Error> {
    loop {
        let expired = queue.expire(ROWS_MAX).await?;
        if expired.is_empty() {
            return Ok(());
        }
        let names = names(&queue).await?;
        for expired in &expired {
            if let Some(queue) = names.get(&expired.queue) {
                let (service, name) = (&queue.service, &queue.name);
                tracing::warn!(
                    service,
                    queue = name,
                    leases = expired.expired,
                    dead = expired.dead,
                    "leases have lapsed"
                );
                stats.expired(queue, expired);
            }
        }
    }
}

async fn names(queue: &Queue) -> Result<HashMap<QueueId, Registered>, Error> {
    let mut names = HashMap::new();
    let mut after = QueueId(0);
    loop {
        let page = queue.registered(after, ROWS_MAX).await?;
        let Some(last) = page.last() else { return Ok(names) };
        after = last.id;
        names.extend(page.into_iter().map(|queue| (queue.id, queue)));
    }
}

async fn maintain(queue: &Queue, retention: &nexus_storage::queue::Retention) -> Result<(), Error> {
    queue.maintain(retention).await?;
    // Keys and inboxes of the platform, beside the queue's own.
    let session = queue.database().host().await?;
    session.execute("select platform.purge_expired()", &[]).await?;
    Ok(())
}
