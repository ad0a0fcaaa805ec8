//! A PostgreSQL of this process's own, with fsync on, as the host's private cluster has it, and
//! what is laid into it so that crashes show: short leases, and a history of every lease.

use anyhow::{Context as _, Result};
use nexus_storage::cluster::{Cluster, Settings};
use nexus_storage::tokio_postgres::types::FromSqlOwned;
use nexus_storage::{Database, Error, Limits, Migrations, Server};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Connections of this process to the server, beside those of the hosts.
const CONNECTIONS_MAX: usize = 24;

/// A server that was killed repeats its log, on a busy machine.
const BACK_MAX: Duration = Duration::from_secs(60);

/// Between two looks at something that is awaited.
const LOOK: Duration = Duration::from_millis(20);

/// The server, a database with the platform's migrations, and a folder for everybody's files.
/// Ended with [`Ground::end`]; when only dropped, the server is told to stop.
pub struct Ground {
    database: Database,
    url: String,
    cluster: Cluster,
    folder: TempDir,
}

/// How a queue is set up so that the loss of a holder is noticed within a test.
#[derive(Debug, Clone, Copy)]
pub struct Haste {
    /// How long a holder may be silent.
    pub lease: Duration,
    /// The first step of the backoff, and the longest.
    pub backoff: (Duration, Duration),
    /// So many that no crash uses them up: what dies, dies by its own fault.
    pub attempts_max: u32,
}

impl Default for Haste {
    fn default() -> Self {
        Self {
            lease: Duration::from_millis(1_500),
            backoff: (Duration::from_millis(50), Duration::from_millis(400)),
            attempts_max: 500,
        }
    }
}

/// The repository's root.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate stands in tests/crash")
}

impl Ground {
    /// Makes and starts the server, and applies the platform's migrations.
    ///
    /// # Errors
    ///
    /// When this machine has no PostgreSQL 15, or a migration is wrong.
    pub async fn prepare() -> Result<Self> {
        let folder = TempDir::with_prefix("nx-").context("make a temporary folder")?;
        // The server's user passes through.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))
            .context("let the server's user pass")?;
        let home = folder.path().join("server");
        let settings = Settings { durable: true, ..Settings::default() };
        let cluster = Cluster::start(&home, settings).await.context("start PostgreSQL")?;
        // The address that the hosts are given, too: the services' passwords come from it.
        let url = format!("host={} user=nexus dbname=nexus", home.join("pg/run").display());
        let server = Server::from_url(&url).context("read the server's address")?;
        let limits = Limits { connections_max: CONNECTIONS_MAX, ..Limits::default() };
        let database = Database::open(server, limits).await.context("connect")?;
        copy_migrations(&folder.path().join("migrations/platform"))?;
        let ground = Self { database, url, cluster, folder };
        let migrations = Migrations::read(&ground.migrations()).context("read the migrations")?;
        migrations.apply(&ground.database).await.context("apply the migrations")?;
        Ok(ground)
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    /// As `DATABASE_URL` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where files of this test may go.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn migrations(&self) -> PathBuf {
        self.folder.path().join("migrations")
    }

    /// The server's first process; another one after each kill.
    pub fn postmaster(&self) -> i32 {
        self.cluster.process_id()
    }

    /// Runs SQL as the owner of the database.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn run(&self, sql: &str) -> Result<(), Error> {
        self.database.host().await?.batch(sql).await
    }

    /// The one value of a query.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn value<T: FromSqlOwned>(&self, sql: &str) -> Result<T, Error> {
        Ok(self.database.host().await?.query(sql, &[]).await?[0].try_get(0)?)
    }

    /// As [`Ground::value`], asked again while the server is away.
    ///
    /// # Errors
    ///
    /// What the server says, or that it stayed away.
    pub async fn steady<T: FromSqlOwned>(&self, sql: &str) -> Result<T, Error> {
        let end = Instant::now() + BACK_MAX;
        loop {
            match self.value(sql).await {
                Err(error) if may_ask_again(&error) && Instant::now() < end => {
                    tokio::time::sleep(LOOK).await;
                }
                other => return other,
            }
        }
    }

    /// Gives every queue short leases and quick retries, whatever its owner declares.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn hasten(&self, haste: &Haste) -> Result<(), Error> {
        self.run(&format!(
            "create schema if not exists crash;
             create or replace function crash.hasten() returns trigger language plpgsql as $$
             begin
               new.lease_ms := {};
               new.backoff_first_ms := {};
               new.backoff_max_ms := {};
               new.attempts_max := {};
               return new;
             end $$;
             create or replace trigger hasten before insert or update on platform.queue
               for each row execute function crash.hasten();",
            haste.lease.as_millis(),
            haste.backoff.0.as_millis(),
            haste.backoff.1.as_millis(),
            haste.attempts_max,
        ))
        .await
    }

    /// Begins to write down when each lease is taken and left, in the transactions that do so.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn keep_history(&self) -> Result<(), Error> {
        self.run(HISTORY).await
    }

    /// Stops the server, in order.
    pub async fn end(self) {
        drop(self.database);
        self.cluster.stop().await;
    }
}

/// The platform's migrations as they are now: every start of a host compares them with what was
/// applied, and somebody may be writing on them.
fn copy_migrations(to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).context("make the folder of migrations")?;
    let from = repository().join("migrations/platform");
    for entry in std::fs::read_dir(&from).context("list the migrations")? {
        let entry = entry.context("list the migrations")?;
        std::fs::copy(entry.path(), to.join(entry.file_name())).context("copy a migration")?;
    }
    Ok(())
}

/// A lease that moves from one slot to another is left and taken with the same number, in one
/// transaction.
const HISTORY: &str = "
    create schema if not exists crash;
    create table crash.history (
      turn bigint generated always as identity primary key,
      what text not null, queue_id int not null, position bigint not null, number int not null,
      worker text not null, at timestamptz not null default clock_timestamp(),
      xid xid8 not null default pg_current_xact_id());
    create index on crash.history (queue_id, position, turn);
    create function crash.note() returns trigger language plpgsql as $$
    begin
      if tg_op = 'INSERT' then
        insert into crash.history (what, queue_id, position, number, worker)
        values ('taken', new.queue_id, new.position, new.number, new.worker);
      else
        insert into crash.history (what, queue_id, position, number, worker)
        values ('left', old.queue_id, old.position, old.number, old.worker);
      end if;
      return null;
    end $$;
    create trigger history after insert or delete on platform.queue_lease
      for each row execute function crash.note();";

/// Whether the server, or the session with it, was only killed.
pub fn may_ask_again(error: &Error) -> bool {
    // What a storm of pg_terminate_backend leaves: 57P01.
    error.is_unavailable() || error.code().is_some_and(|code| code.code() == "57P01")
}

/// Looks until `condition` holds.
///
/// # Panics
///
/// When it does not within `limit`; the message names `what`.
pub async fn eventually(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + limit;
    while !condition().await {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
