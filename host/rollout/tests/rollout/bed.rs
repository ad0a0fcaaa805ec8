//! A database of a test's own, and hosts on it that follow.

use capability_postgres::Postgres;
use nexus_artifact::{Artifact, KeyRing, Migration, Parts, Policy, SigningKey};
use nexus_rollout::{Deploy, Deployed, Gates, Plan, Rollout, RolloutConfig, Strategy};
use nexus_runtime::{
    Call, CallError, ComponentId, DEFAULT_TENANT, EngineSettings, Manifest, Pools, Principal,
    Request, Runtime, Shutdown, ShutdownSender, full,
};
use nexus_storage::cluster::{Settings, SharedCluster};
use nexus_storage::rollouts::{RolloutRow, Rollouts, State, Weights};
use nexus_storage::{Database, Limits, Migrations};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub struct Bed {
    pub database: Database,
    pub rollouts: Rollouts,
    pub folder: TempDir,
    first: Database,
    _cluster: SharedCluster,
}

pub struct Host {
    pub rollout: Rollout,
    pub runtime: Runtime,
    down: ShutdownSender,
    task: JoinHandle<()>,
}

/// How a host differs from the others.
pub struct Wanted {
    pub name: &'static str,
    pub manifest: Option<String>,
    pub from_manifest: bool,
    pub keys: KeyRing,
    pub drain: Duration,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            name: "one",
            manifest: None,
            from_manifest: false,
            keys: KeyRing::new(Policy::Off, []),
            drain: Duration::from_secs(20),
        }
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn probe(name: &str) -> PathBuf {
    let file = repository().join(".nexus/probes").join(format!("{name}.wasm"));
    assert!(file.is_file(), "{} is missing: run cargo xtask build --probes", file.display());
    file
}

impl Bed {
    pub async fn new() -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nexus-rollout");
        let settings = Settings { durable: false, connections_max: 100 };
        let cluster = SharedCluster::join(&home, settings).await.expect("join the cluster");
        let limits = Limits { connections_max: 12, ..Limits::default() };
        let first = Database::open(cluster.server(), limits).await.expect("open");
        let name = format!("t_{}", Uuid::new_v4().simple());
        let database = first.create_empty(&name).await.expect("create");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let from = repository().join("migrations/platform");
        let link = folder.path().join("migrations");
        std::fs::create_dir(&link).unwrap();
        std::os::unix::fs::symlink(from, link.join("platform")).expect("link");
        Migrations::read(&link).unwrap().apply(&database).await.expect("migrate");
        let rollouts = Rollouts::new(database.clone());
        Self { database, rollouts, folder, first, _cluster: cluster }
    }

    /// `lamp` says hello to everything.
    pub fn manifest(&self) -> String {
        self.manifest_of(&["lamp"], "")
    }

    /// Components that all say hello; `mood` makes them other revisions.
    pub fn manifest_of(&self, names: &[&str], mood: &str) -> String {
        let mut text =
            "spin_manifest_version = 2\n[application]\nname = \"bed\"\nversion = \"1\"\n"
                .to_owned();
        for name in names {
            text += &fragment(name, &format!("environment = {{ MOOD = \"{mood}\" }}"), "");
        }
        text.replace("component.wasm", &probe("hello").display().to_string())
    }

    pub async fn host(&self, wanted: Wanted) -> Host {
        let text = wanted.manifest.unwrap_or_else(|| self.manifest());
        let manifest = Arc::new(Manifest::parse(&text, Path::new("/spin.toml")).unwrap());
        let home = self.folder.path().join(wanted.name);
        // Compiled once for all tests.
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nexus-rollout-compiled");
        let pools = Pools { instances: 60, ..Pools::default() };
        let handle = tokio::runtime::Handle::current();
        let resolve = Arc::new(|_: &ComponentId, text: &str| Ok(text.to_owned()));
        let runtime = Runtime::builder(EngineSettings { pools, cache, cpu_limits: true }, 1)
            .capability(Postgres::new(Some(self.database.clone()), resolve, handle))
            .start(&manifest)
            .await
            .expect("start the runtime");
        let rollout = Rollout::new(RolloutConfig {
            database: self.database.clone(),
            folder: home.join("artifacts"),
            host: wanted.name.into(),
            version: "1".into(),
            from_manifest: wanted.from_manifest,
            keys: wanted.keys,
            drain: wanted.drain,
            declare: Arc::new(|_| Ok(())),
        });
        rollout.start(runtime.clone(), manifest).await.expect("start to follow");
        let (down, shutdown) = Shutdown::channel();
        let running = rollout.clone();
        let task = tokio::spawn(async move { running.run(shutdown).await });
        Host { rollout, runtime, down, task }
    }

    pub async fn state(&self, id: Uuid) -> RolloutRow {
        self.rollouts.rollout(id).await.unwrap().expect("the rollout is there")
    }

    /// Waits for the end, or what is asked for.
    pub async fn reaches(&self, id: Uuid, wanted: State) -> RolloutRow {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let row = self.state(id).await;
            if row.state == wanted {
                return row;
            }
            let over = row.state.is_final() || Instant::now() > deadline;
            assert!(
                !over,
                "it is {:?}, not {wanted:?}: {} {:?}",
                row.state,
                row.reason,
                self.words(id).await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn words(&self, id: Uuid) -> Vec<String> {
        let events = self.rollouts.events(id).await.unwrap();
        events.into_iter().map(|event| event.words).collect()
    }

    pub async fn weights(&self, component: &str) -> Weights {
        self.rollouts.traffic(component).await.unwrap().expect("it is served").weights
    }

    /// Bytes that a host keeps.
    pub fn kept(&self, host: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join(host).join("artifacts")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "wasm")).collect()
    }

    pub async fn end(self) {
        self.first.drop_database(self.database.name()).await.expect("drop");
    }
}

/// A fragment whose `source` says nothing.
pub fn fragment(name: &str, lines: &str, own: &str) -> String {
    format!(
        "[[trigger.http]]\nroute = \"/api/{name}/...\"\ncomponent = \"{name}\"\n\
         [component.{name}]\nsource = \"component.wasm\"\n{lines}\n\
         [component.{name}.tool.nexus]\n{own}\n"
    )
}

/// An artifact of a probe.
pub fn artifact(name: &str, guest: &str, fragment: &str, migrations: &[(&str, &str)]) -> Artifact {
    let migration =
        |(name, sql): &(&str, &str)| Migration { name: (*name).to_owned(), sql: (*sql).to_owned() };
    Artifact::build(Parts {
        component: name,
        version: Some("2"),
        created: None,
        wasm: std::fs::read(probe(guest)).unwrap().into(),
        fragment: Some(fragment),
        migrations: migrations.iter().map(migration).collect(),
    })
    .unwrap()
}

pub fn signed(mut artifact: Artifact, key: &SigningKey) -> Artifact {
    let signature = key.sign(artifact.manifest());
    artifact.attach(signature);
    artifact
}

/// Steps of no time, with gates that a test's few calls open.
pub fn steps(steps: &[u16]) -> Strategy {
    gated(steps, true)
}

/// Steps that pass by the calls of a test alone: what is at its first stays there until then.
pub fn called_steps(steps: &[u16]) -> Strategy {
    gated(steps, false)
}

fn gated(steps: &[u16], probes: bool) -> Strategy {
    // Among ten calls the slowest says how busy the machine is, and nothing of the guest.
    let gates = Gates { samples_min: 10, probes, latency_ratio: 1e9, ..Gates::default() };
    Strategy::Steps(Plan { steps: steps.to_vec(), step_seconds: 0, gates: Some(gates) })
}

impl Host {
    /// Stores an artifact and begins to roll it out.
    pub async fn deploy(&self, name: &str, artifact: &Artifact, strategy: Strategy) -> Uuid {
        let stored = self.rollout.store(artifact.archive().into(), "ada").await.unwrap();
        let order = Deploy {
            artifact: Some(stored.artifact.digest),
            strategy,
            by: "ada".into(),
            ..Deploy::default()
        };
        match self.rollout.deploy(name, &order).await.unwrap() {
            Deployed::Begun(row) => row.id,
            Deployed::Planned { .. } => panic!("nothing but a plan"),
        }
    }

    /// The status of an answer of `lamp`.
    pub async fn get(&self, path: &str) -> Result<u16, CallError> {
        self.get_of("lamp", path).await
    }

    pub async fn get_of(&self, name: &str, path: &str) -> Result<u16, CallError> {
        let mut request: Request = http::Request::new(full(""));
        *request.uri_mut() = format!("http://bed{path}").parse().unwrap();
        let nobody = Arc::new(Principal::anonymous(DEFAULT_TENANT));
        let call = Call::new(Uuid::now_v7().to_string(), nobody);
        let component = ComponentId::new(name).unwrap();
        let answer = self.runtime.call(&component, request, call).await?;
        Ok(answer.status().as_u16())
    }

    /// What the runtime serves, by number.
    pub fn serves(&self, name: &str) -> Weights {
        let active = self.runtime.active();
        let component = ComponentId::new(name).unwrap();
        let Some(Ok(fleet)) = active.components.get(&component) else { return Weights::new() };
        let revisions = fleet.revisions().iter();
        revisions.map(|one| (one.revision.number(), one.weight)).collect()
    }

    /// The number of the configuration that is served.
    pub fn configuration_of(&self, name: &str) -> u64 {
        let active = self.runtime.active();
        let component = ComponentId::new(name).unwrap();
        let Some(Ok(fleet)) = active.components.get(&component) else { panic!("no {name}") };
        fleet.lead().manifest.configuration
    }

    /// As a host that is killed: nothing is said, nothing is given back.
    pub async fn kill(self) {
        self.task.abort();
        let _killed = self.task.await;
    }

    pub async fn stop(self) {
        self.down.shut_down();
        self.task.await.unwrap();
    }
}

/// Asks until it is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
