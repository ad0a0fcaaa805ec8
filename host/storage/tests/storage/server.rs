//! One server for all tests of this folder, one database for each.

use nexus_storage::cluster::{Settings, SharedCluster};
use nexus_storage::{Database, Error, Limits, Migrations, Session};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A database of a test's own, dropped with [`Fresh::end`].
pub struct Fresh {
    pub database: Database,
    pub first: Database,
    home: PathBuf,
    cluster: SharedCluster,
}

pub fn settings() -> Settings {
    Settings { durable: false, connections_max: 100 }
}

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Limits under which nothing takes long.
pub fn brisk() -> Limits {
    Limits { wait: Duration::from_secs(5), ..Limits::default() }
}

/// An empty database, under limits of its own.
pub async fn empty(limits: Limits) -> Fresh {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nexus-storage");
    let cluster = SharedCluster::join(&home, settings()).await.expect("join the cluster");
    let first = Database::open(cluster.server(), limits).await.expect("open");
    let name = format!("t_{}", uuid::Uuid::new_v4().simple());
    let database = first.create_empty(&name).await.expect("create");
    Fresh { database, first, home, cluster }
}

/// A database with the platform's schema and two services, each with a table of notes.
pub async fn two_services(limits: Limits) -> Fresh {
    let fresh = empty(limits).await;
    platform().apply(&fresh.database).await.expect("migrate");
    fresh.database.admit(&["alpha", "beta"]).await.expect("admit");
    let host = fresh.database.host().await.expect("connect");
    for schema in ["alpha", "beta"] {
        let sql = format!("create table {schema}.note (id int primary key, text text)");
        host.batch(&sql).await.expect("create a table");
    }
    fresh
}

/// The repository's own platform migrations, without any service's.
pub fn platform() -> Migrations {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let from = repository().join("migrations/platform");
    std::os::unix::fs::symlink(from, folder.path().join("platform")).expect("link");
    Migrations::read(folder.path()).expect("read")
}

impl Fresh {
    pub async fn as_alpha(&self) -> Session {
        self.database.service("alpha").await.expect("log in as alpha")
    }

    /// The same database, as another host has it.
    pub async fn elsewhere(&self) -> Database {
        let database = Database::open(self.cluster.server(), brisk()).await.expect("open");
        database.named(self.database.name())
    }

    /// The server's own socket.
    pub fn socket(&self) -> PathBuf {
        self.home.join("pg/run/.s.PGSQL.5432")
    }

    pub async fn end(self) {
        self.first.drop_database(self.database.name()).await.expect("drop");
    }
}

/// The one value of a query.
pub async fn value<T>(session: &Session, sql: &str) -> T
where
    T: for<'a> nexus_storage::tokio_postgres::types::FromSql<'a>,
{
    try_value(session, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
}

pub async fn try_value<T>(session: &Session, sql: &str) -> Result<T, Error>
where
    T: for<'a> nexus_storage::tokio_postgres::types::FromSql<'a>,
{
    Ok(session.query(sql, &[]).await?[0].try_get(0)?)
}

/// Asks until it is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
