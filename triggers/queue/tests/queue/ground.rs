//! A database, a component that is a function, and hosts that deliver to it.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_runtime::{
    Call, CallError, ComponentId, Delivery, Outcome, Shutdown, ShutdownSender, Subscription, Tick,
    Trigger as _,
};
use nexus_storage::cluster::{Settings as ClusterSettings, SharedCluster};
use nexus_storage::queue::{Depth, EnqueueRequest, Kind, Queue, QueueId, Settings};
use nexus_storage::{Database, Limits, Migrations};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use trigger_queue::{Backend, Consumer, QueueConfig, QueueLimits, QueueStats, QueueTrigger};
use uuid::Uuid;

pub const TOPIC: &str = "test.thing.happened.v1";

pub struct Ground {
    pub database: Database,
    pub queue: Queue,
    first: Database,
    _cluster: SharedCluster,
}

impl Ground {
    pub async fn new() -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trigger-queue");
        let settings = ClusterSettings { durable: false, connections_max: 100 };
        let cluster = SharedCluster::join(&home, settings).await.expect("join the cluster");
        let limits = Limits { wait: Duration::from_secs(5), ..Limits::default() };
        let first = Database::open(cluster.server(), limits).await.expect("open");
        let name = format!("t_{}", Uuid::new_v4().simple());
        let database = first.create_empty(&name).await.expect("create");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/platform");
        std::os::unix::fs::symlink(from, folder.path().join("platform")).expect("link");
        let migrations = Migrations::read(folder.path()).expect("read");
        migrations.apply(&database).await.expect("migrate");
        database.admit(&["alpha", "beta"]).await.expect("admit");
        let queue = Queue::new(database.clone());
        Self { database, queue, first, _cluster: cluster }
    }

    pub async fn end(self) {
        self.first.drop_database(self.database.name()).await.expect("drop");
    }

    /// The queue `work` of the service beta.
    pub async fn work(&self, settings: &Settings) -> QueueId {
        self.queue
            .ensure("beta", "work", Kind::Service, "on_work", settings)
            .await
            .expect("the database answers")
    }

    pub async fn put(&self, queue: QueueId, count: u32) -> Vec<Uuid> {
        let mut put = Vec::new();
        for n in 0..count {
            let payload = serde_json::json!({ "n": n });
            let request = EnqueueRequest::new(queue, TOPIC, "beta", payload);
            put.push(self.queue.enqueue(&request).await.expect("the database answers"));
        }
        put
    }

    pub async fn publish(&self, topic: &str) {
        let session = self.database.service("alpha").await.expect("the database answers");
        let id = Uuid::now_v7();
        let sql = format!("select platform.publish('{topic}', '{id}', 's', null, '{{}}', null)");
        session.query(&sql, &[]).await.expect("the database answers");
    }

    pub async fn depth(&self, queue: QueueId) -> Depth {
        let all = self.queue.list(("", ""), 1000).await.expect("the database answers");
        all.into_iter().find(|depth| depth.queue == queue).expect("the queue is known")
    }

    /// Nothing is left to do in the queue.
    pub async fn until_quiet(&self, queue: QueueId) {
        until("the queue is quiet", async || {
            let depth = self.depth(queue).await;
            depth.ready + depth.deferred + depth.leased == 0
        })
        .await;
    }
}

/// Asks until it is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

type Answer = BoxFuture<'static, Result<Vec<Outcome>, CallError>>;
type Act = Arc<dyn Fn(Delivery) -> Answer + Send + Sync>;

/// The component beta as a native function, and a journal of what it was given.
#[derive(Clone)]
pub struct Native {
    act: Act,
    pub given: Arc<Mutex<Vec<Delivery>>>,
    pub ticks: Arc<Mutex<Vec<Tick>>>,
    subscribe: Arc<Mutex<Vec<Subscription>>>,
    generation: Arc<AtomicU64>,
}

impl Native {
    pub fn new<F>(act: impl Fn(Delivery) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<Outcome>, CallError>> + Send + 'static,
    {
        Self {
            act: Arc::new(move |delivery| act(delivery).boxed()),
            given: Arc::default(),
            ticks: Arc::default(),
            subscribe: Arc::default(),
            generation: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Acknowledges everything.
    pub fn content() -> Self {
        Self::new(|delivery| async move { Ok(vec![Outcome::Ack; delivery.messages.len()]) })
    }

    pub fn subscribes(&self, lines: Vec<Subscription>) {
        *self.subscribe.lock().expect("nothing panics while it is held") = lines;
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// How often each message was given, in order of its first time.
    pub fn times(&self) -> Vec<(Uuid, u32)> {
        let mut times: Vec<(Uuid, u32)> = Vec::new();
        for delivery in self.given.lock().expect("nothing panics while it is held").iter() {
            for message in &delivery.messages {
                match times.iter_mut().find(|(id, _)| *id == message.id) {
                    Some((_, times)) => *times += 1,
                    None => times.push((message.id, 1)),
                }
            }
        }
        times
    }

    pub fn count(&self) -> usize {
        self.given
            .lock()
            .expect("nothing panics while it is held")
            .iter()
            .map(|delivery| delivery.messages.len())
            .sum()
    }
}

pub fn beta() -> ComponentId {
    ComponentId::new("beta").expect("a name")
}

impl Backend for Native {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    fn consumers(&self) -> Vec<Consumer> {
        let subscribe = self.subscribe.lock().expect("nothing panics while it is held").clone();
        vec![Consumer { component: beta(), subscribe }]
    }

    async fn deliver(
        &self,
        component: &ComponentId,
        delivery: Delivery,
        call: Call,
    ) -> Result<Vec<Outcome>, CallError> {
        assert_eq!((component, &*call.principal.subject), (&beta(), "beta"));
        self.given.lock().expect("nothing panics while it is held").push(delivery.clone());
        (self.act)(delivery).await
    }

    async fn tick(&self, _: &ComponentId, tick: Tick, _: Call) -> Result<Outcome, CallError> {
        self.ticks.lock().expect("nothing panics while it is held").push(tick);
        Ok(Outcome::Ack)
    }
}

/// Everything a little faster than in earnest.
pub fn brisk() -> QueueLimits {
    QueueLimits {
        poll_min: Duration::from_millis(20),
        poll_max: Duration::from_millis(100),
        refresh: Duration::from_millis(100),
        promote: Duration::from_millis(20),
        expire: Duration::from_millis(50),
        rotate: Duration::from_millis(20),
        depths: Duration::from_millis(200),
        release_pause: Duration::from_millis(20),
        drain: Duration::from_secs(5),
        ..QueueLimits::default()
    }
}

/// A host that delivers until it is told to stop.
pub struct Host {
    pub stats: QueueStats,
    shutdown: ShutdownSender,
    task: JoinHandle<()>,
}

impl Host {
    pub fn start(ground: &Ground, native: &Native, limits: QueueLimits) -> Self {
        let config = QueueConfig { queue: ground.queue.clone(), host: "test".into(), limits };
        let trigger = QueueTrigger::new(config).expect("limits that fit");
        let (shutdown, told) = Shutdown::channel();
        let stats = trigger.stats();
        let task = tokio::spawn(trigger.serve(native.clone(), told));
        Self { stats, shutdown, task }
    }

    pub async fn stop(self) {
        self.shutdown.shut_down();
        self.task.await.expect("the trigger does not panic");
    }

    /// As if its process had been killed.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

pub fn quick() -> Settings {
    Settings { backoff_first: Duration::ZERO, ..Settings::default() }
}
