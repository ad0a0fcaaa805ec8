//! What a private cluster is made of: initdb, its configuration, who may log in, and what is taken
//! away from everybody. Refuses to know services; they are admitted later, like on any server.

use super::archiving;
use super::binaries::Binaries;
use super::place::{Place, give};
use super::process::as_user;
use crate::endpoint::Endpoint;
use crate::error::{Error, says};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tokio_postgres::error::SqlState;
use uuid::Uuid;

/// The role that owns the database: creates roles and databases, and is no superuser, so that a
/// hole in a function of ours is not one in the server.
pub(crate) const OWNER: &str = "nexus";

/// The role initdb makes. Only the set-up below uses it.
const SUPERUSER: &str = "postgres";

/// Memory shared by all server processes.
pub(crate) const SHARED_BYTES: u64 = 512 << 20;

const CONFIG: &str = "nexus.conf";

/// How folders begin in which a cluster is being made.
const HALF: &str = "data.new";

/// How the server is tuned.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Connections the server takes; above the host's bound, because a closed connection is not
    /// gone at once.
    pub connections_max: usize,
    /// Whether a commit survives a power cut. Off only for tests.
    pub durable: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { connections_max: 130, durable: true }
    }
}

/// Runs initdb into a folder beside and moves it into place when complete, so that a killed host
/// leaves no half-made cluster. The folder is this attempt's own: the initdb of a host that was
/// killed goes on for a second or two.
pub(crate) fn init(place: &Place, binaries: &Binaries, settings: &Settings) -> Result<(), Error> {
    let broken = |path: &Path, source| Error::File { path: path.to_owned(), source };
    clear_halves(&place.state).map_err(|e| broken(&place.state, e))?;
    let half = place.state.join(format!("{HALF}-{}", Uuid::now_v7()));
    fs::create_dir(&half).map_err(|e| broken(&half, e))?;
    give(&half, place.user)?;
    let mut command = Command::new(binaries.folder.join("initdb"));
    command.arg("-D").arg(&half).args(["-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8"]);
    command.args(["--data-checksums", "--auth-local=peer", "--auth-host=reject"]);
    command.arg("--no-instructions");
    if !settings.durable {
        command.arg("--no-sync");
    }
    command.stdin(Stdio::null());
    as_user(&mut command, place);
    let failed = |detail| Error::Cluster { doing: "initialise", detail };
    let output = command.output().map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let main = half.join("postgresql.conf");
    let mut text = fs::read_to_string(&main).map_err(|e| broken(&main, e))?;
    text.push_str(&format!("\ninclude = '{CONFIG}'\n"));
    fs::write(&main, text).map_err(|e| broken(&main, e))?;
    fs::rename(&half, &place.data).map_err(|e| broken(&place.data, e))
}

/// Removes what earlier attempts have left. One that is still written to stays until the next time.
fn clear_halves(state: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(state)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(HALF) {
            let _still_written = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Writes our part of the configuration; says whether anything changed.
pub(crate) fn configure(place: &Place, settings: &Settings) -> Result<bool, Error> {
    let own = rustix::process::geteuid().as_raw();
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut users: Vec<&str> =
        [own, place.user.uid].iter().filter_map(|uid| name_of(&accounts, *uid)).collect();
    users.dedup();
    if users.is_empty() {
        let detail = format!(
            "user {own} has no name in /etc/passwd, which login by \
             peer needs: set DATABASE_URL to a server instead"
        );
        return Err(Error::Cluster { doing: "configure", detail });
    }
    let mut map = String::from("# Who on this machine may log in as whom without a password.\n");
    for user in users {
        map += &format!("host {user} {SUPERUSER}\nhost {user} {OWNER}\n");
    }
    let doors = format!(
        "# Nothing listens on the network. Services log in with passwords only the host knows.\n\
         local all {SUPERUSER},{OWNER} peer map=host\n\
         local replication {SUPERUSER} peer map=host\n\
         local all all scram-sha-256\n"
    );
    let mut changed = false;
    for (name, text) in
        [(CONFIG, config(place, settings)), ("pg_ident.conf", map), ("pg_hba.conf", doors)]
    {
        let path = place.data.join(name);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        fs::write(&path, text).map_err(|source| Error::File { path: path.clone(), source })?;
        give(&path, place.user)?;
        changed = true;
    }
    Ok(changed)
}

fn name_of(accounts: &str, uid: u32) -> Option<&str> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, found) = (fields.next()?, fields.nth(1)?);
        (found.parse() == Ok(uid)).then_some(name)
    })
}

fn config(place: &Place, settings: &Settings) -> String {
    let durable = if settings.durable { "on" } else { "off" };
    format!(
        "# Written at every start of the host. Put your own settings into postgresql.conf, below\n\
         # the line that includes this file.\n\
         listen_addresses = ''\n\
         port = 5432\n\
         unix_socket_directories = '{}'\n\
         unix_socket_permissions = 0700\n\
         max_connections = {}\n\
         fsync = {durable}\n\
         synchronous_commit = {durable}\n\
         full_page_writes = {durable}\n\
         # One small machine, one host.\n\
         shared_buffers = 128MB\n\
         work_mem = 4MB\n\
         maintenance_work_mem = 64MB\n\
         effective_cache_size = 512MB\n\
         # Of a disk without a head to move, and small tables that stay in memory: an index is\n\
         # worth its while from the first few rows on.\n\
         random_page_cost = 1.1\n\
         max_wal_size = 1GB\n\
         wal_compression = on\n\
         {}\
         # Short statements: compiling or splitting them costs more than it gains, and a guest\n\
         # must not multiply itself.\n\
         jit = off\n\
         max_worker_processes = 4\n\
         max_parallel_workers = 0\n\
         max_parallel_workers_per_gather = 0\n\
         max_prepared_transactions = 0\n\
         # What one statement may spill to disk.\n\
         temp_file_limit = 1GB\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         log_line_prefix = '%m [%p] %q%u@%d '\n\
         # Errors reach their caller; written here as well, they could fill the disk.\n\
         log_min_messages = log\n\
         log_min_error_statement = panic\n\
         log_checkpoints = off\n",
        place.sockets.display().to_string().replace('\'', "''"),
        settings.connections_max,
        archiving::config(archiving::seconds(place)),
    )
}

/// Makes the owner and its database, unless they are there, and takes from everybody what a
/// service has no use for. The rights on functions stand in each database's own catalog, so they
/// are taken in `template1`, which all others are copied from.
pub(crate) async fn furnish(place: &Place) -> Result<(), Error> {
    let owner = format!(
        "do $$ begin if not exists (select from pg_roles where rolname = '{OWNER}') then \
         create role {OWNER} login createdb createrole; end if; end $$"
    );
    run(place, "postgres", &owner).await?;
    run(place, "template1", HARDEN).await?;
    let made = run(place, "postgres", &format!("create database {OWNER} owner {OWNER}")).await;
    match made {
        Err(Error::Query(e)) if e.code() == Some(&SqlState::DUPLICATE_DATABASE) => {}
        made => made?,
    }
    run(place, "postgres", SHUT).await?;
    let complete = place.complete();
    fs::write(&complete, FURNISHING).map_err(|source| Error::File { path: complete, source })
}

/// Whether what a first start does was done, by this version of it.
pub(crate) fn is_furnished(place: &Place) -> bool {
    fs::read_to_string(place.complete()).is_ok_and(|done| done == FURNISHING)
}

/// To be counted up whenever what follows changes: existing clusters are then furnished again.
const FURNISHING: &str = "1";

/// Large objects belong to no schema; session locks and settings outlive a query in which no
/// keyword shows them; notifications reach across services; procedural code outside migrations
/// could do any of it.
const HARDEN: &str = "
do $$
declare
  reach text;
begin
  for reach in
    select p.oid::regprocedure::text from pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace
      and (p.proname ~ '^lo_' or p.proname in ('loread', 'lowrite', 'set_config', 'pg_notify',
        'pg_advisory_lock', 'pg_advisory_lock_shared', 'pg_try_advisory_lock',
        'pg_try_advisory_lock_shared'))
  loop
    execute 'revoke execute on function ' || reach || ' from public';
    execute 'grant execute on function ' || reach || ' to nexus';
  end loop;
end
$$;
revoke usage on language plpgsql from public;
grant usage on language plpgsql to nexus;
revoke create on schema public from public;
";

/// Only the owner comes in. It ends sessions of others where it drops a database, and sees what
/// they wait for.
const SHUT: &str = "
revoke all on database postgres, template1, nexus from public;
grant connect on database template1 to nexus;
grant pg_signal_backend, pg_read_all_stats to nexus;
";

async fn run(place: &Place, database: &str, sql: &str) -> Result<(), Error> {
    let opened = superuser(place, database).connect().await?;
    let driver = tokio::spawn(opened.driver);
    let ran = opened.client.batch_execute(sql).await;
    drop(opened.client);
    // Until it has ended, the server counts a session in this database, and copies none with one.
    driver.await.map_err(|e| Error::Cluster { doing: "set up", detail: e.to_string() })?;
    ran.map_err(Error::Query)
}

/// Has the server keep its time from now on. What finishes parts of the log (the checkpointer) runs
/// before the server is ready (since PostgreSQL 15), believes that it still recovers, and sleeps
/// for five minutes unless something wakes it. To read the configuration again does, and costs
/// nothing.
pub(crate) async fn wake(place: &Place) -> Result<(), Error> {
    run(place, "postgres", "select pg_reload_conf()").await
}

/// Whether the server answers; why not, otherwise.
pub(crate) async fn answers(place: &Place) -> Result<(), Error> {
    let opened = superuser(place, "postgres").connect().await?;
    let driver = tokio::spawn(opened.driver);
    let answer = opened.client.simple_query("select 1").await;
    drop(opened.client);
    driver.abort();
    answer.map(drop).map_err(|e| Error::Unreachable {
        address: place.sockets.display().to_string(),
        reason: says(&e),
    })
}

/// When the last transaction was committed that a recovery has repeated, as RFC 3339.
pub(crate) async fn last_replayed(place: &Place) -> Result<Option<String>, Error> {
    let opened = superuser(place, "postgres").connect().await?;
    let driver = tokio::spawn(opened.driver);
    let sql = "select to_char(pg_last_xact_replay_timestamp() at time zone 'UTC', \
               'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
    let row = opened.client.query_one(sql, &[]).await;
    let said = row.and_then(|row| row.try_get(0));
    drop(opened.client);
    driver.abort();
    said.map_err(Error::Query)
}

pub(crate) fn superuser(place: &Place, database: &str) -> Endpoint {
    Endpoint::unix(&place.sockets, SUPERUSER, database)
}
