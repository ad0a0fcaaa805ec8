//! One private PostgreSQL for the whole test run, and a database for each test, copied from a
//! template that already has every migration.

use crate::staged::repository;
use nexus_storage::cluster::{Settings, SharedCluster};
use nexus_storage::{Database, Limits, Migrations, Server};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

/// Taken while the template is made, so that only one process makes it.
const TEMPLATE_LOCK: i64 = 0x6e78_7465_6d70;

/// Connections of one test's host; many tests run beside each other.
const CONNECTIONS_MAX: usize = 12;

/// A database of its own, already migrated. Left behind when dropped; the next process of the test
/// run removes what dead processes have left.
#[derive(Clone)]
pub struct TestDatabase {
    database: Database,
}

impl TestDatabase {
    /// Copies the template of the repository's migrations.
    ///
    /// # Panics
    ///
    /// When this machine has no PostgreSQL 15, or a migration is wrong.
    pub async fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let admin = open(cluster().await.server()).await;
        let template = template(&admin).await;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let database = admin.create_from_template(&name, &template).await;
        Self { database: database.expect("copy the template database") }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }
}

/// The migrations every test's database has.
pub(crate) fn migrations() -> PathBuf {
    repository().join("migrations")
}

async fn cluster() -> &'static SharedCluster {
    static CLUSTER: OnceCell<SharedCluster> = OnceCell::const_new();
    let join = || async {
        let home = repository().join(".nexus/tests");
        // Nothing here survives the run, so nothing has to survive a power cut.
        let settings = Settings { connections_max: 200, durable: false };
        SharedCluster::join(&home, settings).await.expect("start PostgreSQL for the tests")
    };
    CLUSTER.get_or_init(join).await
}

async fn open(server: Server) -> Database {
    let limits = Limits { connections_max: CONNECTIONS_MAX, ..Limits::default() };
    Database::open(server, limits).await.expect("connect to the tests' PostgreSQL")
}

/// The name of a database that holds the migrations as they are now; made by whoever comes first.
async fn template(admin: &Database) -> String {
    let name = format!("template_{}", fingerprint(&migrations()));
    let turn = admin.host().await.expect("connect to the tests' PostgreSQL");
    turn.query("select pg_advisory_lock($1)", &[&TEMPLATE_LOCK]).await.expect("wait our turn");
    let found = turn
        .query("select 1 from pg_database where datname = $1 and datistemplate", &[&name])
        .await
        .expect("look for the template");
    if found.is_empty() {
        remove_leftovers(admin).await;
        admin.drop_database(&name).await.expect("remove a half-made template");
        let fresh = admin.create_empty(&name).await.expect("make the template");
        let migrations = Migrations::read(&migrations()).expect("read the migrations");
        migrations.apply(&fresh).await.expect("apply the migrations");
        let mark = format!("alter database {name} is_template true");
        turn.batch(&mark).await.expect("mark the template as complete");
    }
    remove_orphans(admin).await;
    turn.query("select pg_advisory_unlock($1)", &[&TEMPLATE_LOCK]).await.expect("end our turn");
    name
}

/// Templates of migrations that have changed since.
async fn remove_leftovers(admin: &Database) {
    for name in named(admin, "template\\_%").await {
        let unmark = format!("alter database \"{name}\" is_template false");
        let session = admin.host().await.expect("connect to the tests' PostgreSQL");
        session.batch(&unmark).await.expect("unmark an old template");
        admin.drop_database(&name).await.expect("remove an old template");
    }
}

/// Databases of processes that are no more.
async fn remove_orphans(admin: &Database) {
    for name in named(admin, "test\\_%").await {
        let process = name.split('_').nth(1).unwrap_or_default();
        if !Path::new("/proc").join(process).exists() {
            // Another process may be faster.
            let _removed = admin.drop_database(&name).await;
        }
    }
}

async fn named(admin: &Database, pattern: &str) -> Vec<String> {
    let session = admin.host().await.expect("connect to the tests' PostgreSQL");
    let sql = "select datname::text from pg_database where datname like $1 \
               and datname not in ('template0', 'template1')";
    let rows = session.query(sql, &[&pattern]).await.expect("list the databases");
    rows.iter().map(|row| row.get(0)).collect()
}

/// Changes with every file below the folder.
fn fingerprint(folder: &Path) -> String {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("read the migrations' folder") {
            let path = entry.expect("read the migrations' folder").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file.as_os_str().as_encoded_bytes());
        digest.update(std::fs::read(&file).expect("read a migration"));
    }
    digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A way to the tests' PostgreSQL over TCP; gone when dropped, with every connection over it.
pub struct Forward(tokio::task::JoinHandle<()>);

impl Drop for Forward {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens on a loopback port and passes bytes to the server's unix socket: for hosts that are
/// given a `DATABASE_URL`, and for servers that shall appear later.
///
/// # Panics
///
/// When the port is taken.
pub async fn forward(port: u16, database: &TestDatabase) -> Forward {
    let socket = socket(database).await;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    Forward(tokio::spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let socket = socket.clone();
            open.spawn(async move {
                if let Ok(mut server) = UnixStream::connect(socket).await {
                    // Either side may end it at any time.
                    let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    }))
}

/// The server's unix socket, from the fifth line of its `postmaster.pid` (PostgreSQL
/// documentation, "Database File Layout"); the owner of the database may not ask for the setting.
async fn socket(database: &TestDatabase) -> PathBuf {
    let session = database.database().host().await.expect("connect to the tests' PostgreSQL");
    let rows = session.query("select pg_backend_pid()", &[]).await.expect("find its process");
    let backend: i32 = rows[0].get(0);
    // The backend's folder is the cluster's.
    let pidfile = format!("/proc/{backend}/cwd/postmaster.pid");
    let pidfile = std::fs::read_to_string(pidfile).expect("read the server's pid file");
    Path::new(pidfile.lines().nth(4).expect("it has a socket")).join(".s.PGSQL.5432")
}
