//! A database of a test's own, components that only have cron entries, and hosts that fire.

use nexus_runtime::{ClockOffset, ComponentId, Cron, Shutdown, ShutdownSender, Trigger as _};
use nexus_storage::cluster::{Settings, SharedCluster};
use nexus_storage::schedules::{RunRow, Schedules};
use nexus_storage::{Database, Limits, Migrations};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinHandle;
use trigger_cron::{Backend, CronConfig, CronLimits, CronStats, CronTrigger, Entries};

type Active = Arc<Mutex<(u64, Vec<Entries>)>>;

pub struct Stand {
    pub schedules: Schedules,
    pub clock: Arc<ClockOffset>,
    active: Active,
    database: Database,
    first: Database,
    _cluster: SharedCluster,
}

pub struct Host {
    pub stats: CronStats,
    down: ShutdownSender,
    task: JoinHandle<()>,
}

/// Components as cron sees them.
struct Components {
    active: Active,
    clock: Arc<ClockOffset>,
}

impl Backend for Components {
    fn generation(&self) -> u64 {
        self.active.lock().unwrap().0
    }

    fn entries(&self) -> Vec<Entries> {
        self.active.lock().unwrap().1.clone()
    }

    fn now(&self) -> SystemTime {
        self.clock.now()
    }
}

pub fn entry(name: &str, schedule: &str) -> Cron {
    Cron {
        name: name.into(),
        schedule: schedule.into(),
        zone: "UTC".into(),
        overlap: "skip".into(),
        catchup: "latest".into(),
        jitter_ms: 0,
    }
}

fn entries(all: &[(&str, Vec<Cron>)]) -> Vec<Entries> {
    let entry = |(name, cron): &(&str, Vec<Cron>)| Entries {
        component: ComponentId::new(name).unwrap(),
        cron: cron.clone(),
    };
    all.iter().map(entry).collect()
}

impl Stand {
    pub async fn new(all: &[(&str, Vec<Cron>)]) -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trigger-cron");
        let settings = Settings { durable: false, connections_max: 100 };
        let cluster = SharedCluster::join(&home, settings).await.expect("join the cluster");
        let limits = Limits::default();
        let first = Database::open(cluster.server(), limits).await.expect("open");
        let name = format!("t_{}", uuid::Uuid::new_v4().simple());
        let database = first.create_empty(&name).await.expect("create");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/platform");
        std::os::unix::fs::symlink(from, folder.path().join("platform")).expect("link");
        Migrations::read(folder.path()).unwrap().apply(&database).await.expect("migrate");
        Self {
            schedules: Schedules::new(database.clone()),
            clock: Arc::default(),
            active: Arc::new(Mutex::new((1, entries(all)))),
            database,
            first,
            _cluster: cluster,
        }
    }

    /// Another set of components from now on.
    pub fn activate(&self, all: &[(&str, Vec<Cron>)]) {
        let mut active = self.active.lock().unwrap();
        *active = (active.0 + 1, entries(all));
    }

    /// A host of its own on the same database.
    pub fn start(&self) -> Host {
        let schedules = Schedules::new(self.database.clone());
        let limits = CronLimits { look: Duration::from_millis(100), ..CronLimits::default() };
        let trigger = CronTrigger::new(CronConfig { schedules, limits }).unwrap();
        let stats = trigger.stats();
        let (down, shutdown) = Shutdown::channel();
        let backend = Components { active: self.active.clone(), clock: self.clock.clone() };
        let task = tokio::spawn(trigger.serve(backend, shutdown));
        Host { stats, down, task }
    }

    pub async fn next_of(&self, name: &str) -> Option<SystemTime> {
        self.schedules.named("alpha", name).await.unwrap()?.next_fire_at
    }

    /// The latest instant first.
    pub async fn runs(&self, name: &str) -> Vec<RunRow> {
        match self.schedules.named("alpha", name).await.unwrap() {
            Some(row) => self.schedules.runs(row.id, None, 1_000).await.unwrap(),
            None => Vec::new(),
        }
    }

    /// How many runs there are; none while connections are lost.
    pub async fn try_runs(&self, name: &str) -> usize {
        let Ok(Some(row)) = self.schedules.named("alpha", name).await else { return 0 };
        self.schedules.runs(row.id, None, 1_000).await.map_or(0, |runs| runs.len())
    }

    pub async fn value(&self, sql: &str) -> i64 {
        let session = self.database.host().await.unwrap();
        session.query(sql, &[]).await.unwrap()[0].try_get(0).unwrap()
    }

    pub async fn end(self) {
        self.first.drop_database(self.database.name()).await.expect("drop");
    }
}

impl Host {
    pub async fn stop(self) {
        self.down.shut_down();
        self.task.await.unwrap();
    }
}

/// Asks until it is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
