//! A private PostgreSQL for one test, with the `platform` schema of the real migrations.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

thread_local! {
    /// Where the sessions of this test's thread connect; `None` while the database is away.
    static URL: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Where a session connects.
pub(crate) fn url() -> Option<String> {
    URL.with_borrow(Clone::clone)
}

/// A running server; stopped and removed when dropped.
pub(super) struct Cluster {
    server: Child,
    folder: TempDir,
}

/// The service's own schema.
const CATALOG: &str = "
    create table catalog.product (
      tenant_id uuid, id uuid, primary key (tenant_id, id),
      title text not null check (length(title) between 1 and 120),
      version bigint not null default 1,
      created_at timestamptz not null,
      archived_at timestamptz,
      constraint product_title_key unique (tenant_id, title)
    );
";

impl Cluster {
    pub(super) async fn start() -> Cluster {
        let folder = tempfile::Builder::new().prefix("nx-sdk").tempdir().unwrap();
        let owner = owner();
        if let Some((uid, gid)) = owner {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let files = folder.path().join("files");
        let made = program("initdb", owner)
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale", "C"])
            .arg("-D")
            .arg(&files)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "initdb failed");
        let server = program("postgres", owner)
            .arg("-D")
            .arg(&files)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "log_min_messages=panic"])
            .stderr(Stdio::null())
            .spawn();
        let cluster = Cluster { server: server.unwrap(), folder };
        let admin = cluster.connect("postgres").await;
        // As the host's migration runner does before the first file.
        admin.batch_execute("create schema platform").await.unwrap();
        for file in platform_migrations() {
            admin.batch_execute(&fs::read_to_string(file).unwrap()).await.unwrap();
        }
        let role = "create role catalog login; select platform.admit('catalog', 'catalog')";
        admin.batch_execute(role).await.unwrap();
        admin.batch_execute(CATALOG).await.unwrap();
        cluster.open();
        cluster
    }

    /// A connection of its own, to look at what a commit left.
    pub(super) async fn connect(&self, role: &str) -> Client {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match tokio_postgres::connect(&self.url(role), NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(why) if Instant::now() > deadline => panic!("no server: {why}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// How many rows `from` has, seen by the administrator.
    pub(super) async fn count(&self, from: &str) -> i64 {
        let count = format!("select count(*) from {from}");
        self.connect("postgres").await.query_one(&count, &[]).await.unwrap().get(0)
    }

    /// Lets the service reach its database.
    pub(super) fn open(&self) {
        URL.set(Some(self.url("catalog")));
    }

    /// Takes the database away from the service.
    pub(super) fn close(&self) {
        URL.set(None);
    }

    fn url(&self, role: &str) -> String {
        format!("host={} user={role} dbname=postgres", self.folder.path().display())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        URL.set(None);
        // Immediate shutdown: nobody needs what is in there.
        let pid = libc::pid_t::try_from(self.server.id()).unwrap();
        // SAFETY: the child is ours and not yet waited for, so its pid is not reused.
        unsafe { libc::kill(pid, libc::SIGQUIT) };
        self.server.wait().unwrap();
    }
}

fn program(name: &str, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(format!("/usr/lib/postgresql/15/bin/{name}"));
    command.current_dir("/");
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    command
}

/// PostgreSQL refuses to run as root: then the user `postgres` runs it.
fn owner() -> Option<(u32, u32)> {
    // SAFETY: reads a number.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find(|line| line.starts_with("postgres:")).expect("user postgres");
    let mut fields = user.split(':').skip(2).map(|field| field.parse().unwrap());
    Some((fields.next().unwrap(), fields.next().unwrap()))
}

fn platform_migrations() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../migrations/platform");
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    // `schema.sql`, the generated sum, says the same again.
    let numbered = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.ends_with(".sql") && name.starts_with(|first: char| first.is_ascii_digit())
    };
    let mut files: Vec<PathBuf> = entries.filter(numbered).collect();
    files.sort();
    files
}
