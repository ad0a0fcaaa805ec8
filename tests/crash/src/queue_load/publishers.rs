//! Who fills the queue: services that publish one event per commit, as fast as they can or at a
//! steady pace, never further ahead of the consumers than a bound.

use anyhow::{Context as _, Result};
use crash::ground::Ground;
use crash::journal::{SERVICE, TOPIC};
use nexus_storage::Session;
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Connections that publish at once: enough for one sync of the log to cover several commits.
const PUBLISHERS: usize = 8;

/// Messages that may be on their way: a queue that is kept up with.
pub(crate) const AHEAD_MAX: usize = 2_000;

/// What a small event says.
const CHAPTER: &str = "the length of this sentence is that of a small event's payload";

/// The tenant that everything belongs to: the installation's own.
const TENANT: &str = "00000000-0000-0000-0000-000000000001";

/// When each message was handed to the database; taken out when it is picked up.
#[derive(Default)]
pub(crate) struct Sent(Mutex<HashMap<Uuid, Instant>>);

impl Sent {
    fn map(&self) -> MutexGuard<'_, HashMap<Uuid, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since a message was handed over.
    pub(crate) fn since(&self, id: Uuid) -> Option<Duration> {
        Some(self.map().remove(&id)?.elapsed())
    }
}

/// Running publishers.
pub(crate) struct Publishers {
    over: Arc<AtomicBool>,
    /// Places ahead of the consumers; whoever has worked a message off gives one back.
    pub(crate) ahead: Arc<Semaphore>,
    tasks: Vec<JoinHandle<Result<u64>>>,
}

/// Publishes one event of an entry that nobody has written, handled as `mood` says.
async fn publish(session: &Session, id: Uuid, mood: &str) -> Result<()> {
    let tenant: Uuid = TENANT.parse().context("read the tenant")?;
    let entry = Uuid::now_v7();
    let payload = json!({ "id": entry, "mood": mood, "chapter": CHAPTER });
    let sql = "select platform.publish($1, $2, $3, $4, $5, $6)";
    let none: Option<&str> = None;
    let subject = entry.to_string();
    let params: [nexus_storage::Param<'_>; 6] = [&TOPIC, &id, &subject, &tenant, &payload, &none];
    session.execute(sql, &params).await.context("publish")?;
    Ok(())
}

impl Publishers {
    /// As fast as they can.
    pub(crate) async fn start(ground: &Ground, mood: &'static str) -> Result<Self> {
        let (over, ahead) = (Arc::<AtomicBool>::default(), Arc::new(Semaphore::new(AHEAD_MAX)));
        let mut tasks = Vec::new();
        for _ in 0..PUBLISHERS {
            let session = ground.database().service(SERVICE).await.context("log in")?;
            let (over, ahead) = (over.clone(), ahead.clone());
            tasks.push(tokio::spawn(async move {
                let mut published = 0;
                while !over.load(Ordering::Relaxed) {
                    let place = ahead.acquire().await.context("wait for a place")?;
                    place.forget();
                    publish(&session, Uuid::now_v7(), mood).await?;
                    published += 1;
                }
                Ok(published)
            }));
        }
        Ok(Self { over, ahead, tasks })
    }

    /// So many a second, each handed over when its time has come, whatever became of the one
    /// before.
    pub(crate) async fn steady(ground: &Ground, per_second: u32, sent: Arc<Sent>) -> Result<Self> {
        let over = Arc::<AtomicBool>::default();
        let mut tasks = Vec::new();
        let publishers = u32::try_from(PUBLISHERS).context("a few publishers")?;
        for number in 0..publishers {
            let session = ground.database().service(SERVICE).await.context("log in")?;
            let (over, sent) = (over.clone(), sent.clone());
            let pace = Duration::from_secs(1) * publishers / per_second;
            let first = tokio::time::Instant::now() + pace * number / publishers;
            tasks.push(tokio::spawn(async move {
                let mut beat = tokio::time::interval_at(first, pace);
                let mut published = 0;
                while !over.load(Ordering::Relaxed) {
                    let due = beat.tick().await;
                    let id = Uuid::now_v7();
                    sent.map().insert(id, due.into_std());
                    publish(&session, id, "skip").await?;
                    published += 1;
                }
                Ok(published)
            }));
        }
        Ok(Self { over, ahead: Arc::new(Semaphore::new(0)), tasks })
    }

    /// Stops them; returns how many they have published.
    pub(crate) async fn stop(self) -> Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        // Nobody waits for a place any more.
        self.ahead.add_permits(PUBLISHERS);
        let mut published = 0;
        for task in self.tasks {
            published += task.await.context("wait for a publisher")??;
        }
        Ok(published)
    }
}

/// A transaction that was opened before and is still open: it keeps every dead row that it could
/// have seen.
pub(crate) async fn old_transaction(ground: &Ground) -> Result<Session> {
    let session = ground.database().host().await.context("connect")?;
    session.batch("begin isolation level repeatable read").await.context("begin")?;
    session.query("select count(*) from platform.event", &[]).await.context("take a snapshot")?;
    Ok(session)
}
