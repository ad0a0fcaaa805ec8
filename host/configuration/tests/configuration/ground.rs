//! A database with the platform's schema, a manifest of two components, and whoever makes
//! revisions.

use nexus_configuration::{Configuration, Keyring, Order, Parts, Revise, Revised, Sources};
use nexus_runtime::Manifest;
use nexus_storage::cluster::{Settings, SharedCluster};
use nexus_storage::{Database, Limits, Migrations};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "suite"
[variables]
greeting = { default = "hello", description = "said to all" }
api_key = { required = true, secret = true }
limit = { required = true }
[component.catalog]
source = "catalog.wasm"
variables = { title = "{{ greeting }}!", key = "{{ api_key }}" }
[component.orders]
source = "orders.wasm"
variables = { limit = "{{ limit }}" }
"#;

pub const ADA: Order<'static> = Order { by: "ada", reason: "the fair" };

pub struct Ground {
    pub database: Database,
    first: Database,
    _cluster: SharedCluster,
}

impl Ground {
    pub async fn begin() -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nexus-configuration");
        let settings = Settings { durable: false, connections_max: 100 };
        let cluster = SharedCluster::join(&home, settings).await.unwrap();
        let first = Database::open(cluster.server(), Limits::default()).await.unwrap();
        let name = format!("t_{}_{}", std::process::id(), rand::random::<u32>());
        let database = first.create_empty(&name).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let from = repository.join("migrations/platform");
        std::os::unix::fs::symlink(from, folder.path().join("platform")).unwrap();
        Migrations::read(folder.path()).unwrap().apply(&database).await.unwrap();
        Self { database, first, _cluster: cluster }
    }

    /// A host's configuration; `root` is the byte that its root key consists of.
    pub fn host(&self, root: Option<u8>, former: Option<u8>, sources: Sources) -> Configuration {
        let key = |byte: u8| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode([byte; 32])
        };
        let former = former.map(key);
        let keys = root.map(|root| Keyring::new(&key(root), former.as_deref()).unwrap());
        let database = Some(self.database.clone());
        let parts = Parts { database, keys, sources, environment: HashMap::new() };
        let configuration = Configuration::new(parts).unwrap();
        configuration.declare_all(&Manifest::parse(MANIFEST, Path::new("spin.toml")).unwrap());
        configuration
    }

    pub fn plain(&self) -> Configuration {
        self.host(Some(1), None, Sources::default())
    }

    pub async fn end(self) {
        self.first.drop_database(self.database.name()).await.unwrap();
    }
}

/// Whoever makes revisions, as far as configuration is concerned: it counts them.
#[derive(Default)]
pub struct Counted(pub Mutex<Vec<(String, u64, String)>>);

#[async_trait::async_trait]
impl Revise for Counted {
    async fn revise(
        &self,
        component: &str,
        configuration: u64,
        by: &str,
        _reason: &str,
    ) -> Result<Revised, String> {
        let mut made = self.0.lock().unwrap();
        made.push((component.to_owned(), configuration, by.to_owned()));
        let revision = u32::try_from(made.len()).unwrap();
        Ok(Revised { revision, rollout: Some(format!("rollout of {component}")) })
    }
}

pub fn counted(configuration: &Configuration) -> Arc<Counted> {
    let counted = Arc::new(Counted::default());
    configuration.revised_by(counted.clone());
    counted
}

/// Asks until it is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
