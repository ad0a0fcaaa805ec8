//! The queue itself, with consumers that do nothing: what claiming and ending cost, without a host
//! and without a guest.

use crate::publishers::{Publishers, Sent, old_transaction};
use crate::{percentile, profile, tell};
use anyhow::{Context as _, Result, ensure};
use crash::ground::Ground;
use crash::journal::{SERVICE, TOPIC};
use nexus_storage::queue::{ClaimRequest, Outcome, Queue, Registered, Start, SubscriptionSpec};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Consumers at once, and what each claims; as much as a host of two cores would.
const CONSUMERS: usize = 2;
const MOST: u32 = 100;

/// An idle consumer looks again after this even if nobody has poked it.
const POLL: Duration = Duration::from_millis(250);

/// The steady pace at which the pick-up is timed.
const PER_SECOND: u32 = 200;

/// What is told of the course of a measurement, so that a decline shows.
const STEP: Duration = Duration::from_secs(2);

/// Before anything is counted.
const WARM_UP: Duration = Duration::from_secs(2);

pub(crate) async fn measure(ground: &Ground, length: Duration) -> Result<()> {
    let queue = Queue::new(ground.database().clone());
    let spec = SubscriptionSpec {
        topic: TOPIC.into(),
        from: Start::Now,
        settings: nexus_storage::queue::Settings::default(),
    };
    queue.subscribe(SERVICE, &[spec]).await.context("subscribe")?;
    let registered = queue.named(SERVICE, TOPIC).await.context("find the subscription")?;
    let registered = registered.context("the subscription is there")?;
    let before = throughput(ground, &queue, &registered, length).await?;
    let held = old_transaction(ground).await?;
    let beside = throughput(ground, &queue, &registered, length).await?;
    held.batch("rollback").await.context("end the old transaction")?;
    drop(held);
    let after = throughput(ground, &queue, &registered, length).await?;
    let usual = f64::midpoint(before, after);
    tell("plain_throughput", "/s", usual);
    tell("plain_beside_old_tx", "/s", beside);
    tell("plain_kept_beside_old_tx", "%", 100.0 * beside / usual);
    latency(ground, &queue, &registered, length).await
}

/// Consumers, and the upkeep that a host would do.
struct Running {
    tasks: JoinSet<Result<()>>,
    over: Arc<AtomicBool>,
    worked_off: Arc<AtomicU64>,
}

impl Running {
    fn start(
        queue: &Queue,
        registered: &Registered,
        ahead: &Arc<Semaphore>,
        picked_up: &Arc<dyn Fn(uuid::Uuid) + Send + Sync>,
    ) -> Self {
        let (worked_off, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut tasks = JoinSet::new();
        for _ in 0..CONSUMERS {
            let consumer = Consumer {
                queue: queue.clone(),
                request: ClaimRequest {
                    queues: vec![registered.claim(MOST)],
                    worker: "queue-load".into(),
                    lease: None,
                },
                ahead: ahead.clone(),
                worked_off: worked_off.clone(),
                over: over.clone(),
                picked_up: picked_up.clone(),
            };
            tasks.spawn(consumer.work());
        }
        tasks.spawn(upkeep(queue.clone(), over.clone()));
        Self { tasks, over, worked_off }
    }

    fn worked_off(&self) -> u64 {
        self.worked_off.load(Ordering::Relaxed)
    }

    /// Lets every task come to the end of its statement: one that is cut off has to be cancelled.
    /// Fails when one has failed, which would make every figure a lie.
    async fn end(mut self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a task panicked")?.context("a task failed")?;
        }
        Ok(())
    }
}

struct Consumer {
    queue: Queue,
    request: ClaimRequest,
    ahead: Arc<Semaphore>,
    worked_off: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    picked_up: Arc<dyn Fn(uuid::Uuid) + Send + Sync>,
}

impl Consumer {
    async fn work(self) -> Result<()> {
        let mut work = self.queue.database().work().listen();
        while !self.over.load(Ordering::Relaxed) {
            let leased = self.queue.claim(&self.request).await.context("claim")?;
            if leased.is_empty() {
                let _looks_anyway = tokio::time::timeout(POLL, work.poked()).await;
                continue;
            }
            leased.iter().for_each(|leased| (self.picked_up)(leased.message.id));
            let outcomes: Vec<_> = leased.iter().map(|it| (it.lease, Outcome::Ack)).collect();
            let ended = self.queue.finish(&outcomes).await.context("end the leases")?;
            ensure!(ended.iter().all(|ended| !ended.is_stale()), "nobody else holds them");
            self.ahead.add_permits(leased.len());
            self.worked_off.fetch_add(leased.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }
}

async fn upkeep(queue: Queue, over: Arc<AtomicBool>) -> Result<()> {
    let mut beat = tokio::time::interval(Duration::from_millis(500));
    while !over.load(Ordering::Relaxed) {
        beat.tick().await;
        queue.promote(1000).await.context("promote")?;
        queue.expire(1000).await.context("expire")?;
        queue.rotate().await.context("rotate")?;
    }
    Ok(())
}

/// Messages published, claimed and ended a second, publishers and consumers together.
async fn throughput(
    ground: &Ground,
    queue: &Queue,
    registered: &Registered,
    length: Duration,
) -> Result<f64> {
    let publishers = Publishers::start(ground, "skip").await?;
    let nothing: Arc<dyn Fn(uuid::Uuid) + Send + Sync> = Arc::new(|_| {});
    let running = Running::start(queue, registered, &publishers.ahead, &nothing);
    tokio::time::sleep(WARM_UP).await;
    profile::reset(ground).await?;
    let (began, before) = (Instant::now(), running.worked_off());
    let mut course = vec![before];
    while began.elapsed() < length {
        tokio::time::sleep(STEP.min(length.saturating_sub(began.elapsed()))).await;
        course.push(running.worked_off());
    }
    let (took, worked_off) = (began.elapsed(), running.worked_off() - before);
    profile::tell(ground, "the queue alone", worked_off).await?;
    let published = publishers.stop().await?;
    crash::ground::eventually("all is worked off", Duration::from_secs(60), async || {
        running.worked_off() >= published
    })
    .await;
    running.end().await?;
    #[allow(clippy::cast_precision_loss)]
    let per_second = worked_off as f64 / took.as_secs_f64();
    let steps: Vec<_> = course.windows(2).map(|step| step[1] - step[0]).collect();
    eprintln!("    {per_second:.0} a second; in steps of {STEP:?}: {steps:?}");
    Ok(per_second)
}

/// From the moment a message is handed to the database until a consumer has it.
async fn latency(
    ground: &Ground,
    queue: &Queue,
    registered: &Registered,
    length: Duration,
) -> Result<()> {
    let (sent, samples) = (Arc::<Sent>::default(), Arc::<Mutex<Vec<f64>>>::default());
    let (from, to) = (sent.clone(), samples.clone());
    let picked_up: Arc<dyn Fn(uuid::Uuid) + Send + Sync> = Arc::new(move |id| {
        if let Some(took) = from.since(id) {
            let mut samples = to.lock().unwrap_or_else(PoisonError::into_inner);
            samples.push(took.as_secs_f64() * 1_000.0);
        }
    });
    let publishers = Publishers::steady(ground, PER_SECOND, sent).await?;
    let running = Running::start(queue, registered, &publishers.ahead, &picked_up);
    tokio::time::sleep(WARM_UP).await;
    samples.lock().unwrap_or_else(PoisonError::into_inner).clear();
    tokio::time::sleep(length).await;
    publishers.stop().await?;
    running.end().await?;
    let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
    for (metric, part) in [("plain_pickup_p50", 0.5), ("plain_pickup_p99", 0.99)] {
        tell(metric, "ms", percentile(&mut samples, part).context("no message came")?);
    }
    Ok(())
}
