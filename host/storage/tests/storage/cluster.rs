//! The life of a private cluster: made, stopped, killed, found again.

use crate::server::{brisk, settings, until, value};
use nexus_storage::backup::mark;
use nexus_storage::cluster::{self, Cluster, Settings};
use nexus_storage::{Database, Error};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// A home that an unprivileged server user may enter.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    home
}

async fn start(home: &Path) -> Result<Cluster, Error> {
    Cluster::start(home, settings()).await
}

fn kill(pid: i32) {
    let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
}

fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[tokio::test]
async fn a_cluster_is_made_kept_and_never_shared_by_two_hosts() {
    let home = home();
    let cluster = start(home.path()).await.unwrap();
    let database = Database::open(cluster.server(), brisk()).await.unwrap();
    let host = database.host().await.unwrap();
    host.batch("create table kept (id int); insert into kept values (7)").await.unwrap();
    assert_eq!(value::<String>(&host, "show listen_addresses").await, "");
    assert_eq!(value::<String>(&host, "show data_checksums").await, "on");
    let locale = "select pg_encoding_to_char(encoding) || ' ' || datcollate from pg_database \
                  where datname = current_database()";
    assert_eq!(value::<String>(&host, locale).await, "UTF8 C.UTF-8");
    let superuser = "select rolsuper from pg_roles where rolname = current_user";
    assert!(!value::<bool>(&host, superuser).await);

    let refused = start(home.path()).await.map(drop).unwrap_err();
    assert!(
        matches!(&refused, Error::HomeInUse { pid: Some(pid), .. }
        if *pid == std::process::id()),
        "{refused:?}"
    );

    let sockets = home.path().join("pg/run");
    let mode = std::fs::metadata(&sockets).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let secret = std::fs::metadata(home.path().join("pg/secret")).unwrap().permissions().mode();
    assert_eq!(secret & 0o777, 0o600);

    let pid = cluster.process_id();
    drop((host, database));
    cluster.stop().await;
    assert!(!is_alive(pid));

    let cluster = start(home.path()).await.unwrap();
    let database = Database::open(cluster.server(), brisk()).await.unwrap();
    assert_eq!(value::<i32>(&database.host().await.unwrap(), "select id from kept").await, 7);
    cluster.stop().await;
}

#[tokio::test]
async fn a_server_that_is_started_again_goes_on_archiving_in_time() {
    let home = home();
    cluster::archive(home.path(), Some(1)).unwrap();
    let spool = cluster::spool(home.path());
    assert!(spool.unwrap().is_none(), "there is no server yet");
    start(home.path()).await.unwrap().stop().await;
    let spool = cluster::spool(home.path()).unwrap().expect("it archives");
    for killed in [false, true] {
        let cluster = start(home.path()).await.unwrap();
        let database = Database::open(cluster.server(), brisk()).await.unwrap();
        if killed {
            let before = cluster.process_id();
            kill(before);
            until("another server is there", async || cluster.process_id() != before).await;
        }
        let write = "create table if not exists kept (id int); insert into kept values (7)";
        let wrote = async || match database.host().await {
            Ok(host) => host.batch(write).await.is_ok(),
            Err(_) => false,
        };
        until("it takes writes", &wrote).await;
        let wal = mark(&database).await.unwrap().wal;
        // Far less is written than what fills a part; one to which nobody writes is never finished.
        until("the part with the writes is finished", async || {
            wrote().await && spool.join(&wal).exists()
        })
        .await;
        drop(database);
        cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_initdb_of_a_killed_host_that_still_writes_is_in_nobodys_way() {
    let home = home();
    let half = home.path().join("pg/data.new");
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for number in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                // Each fails when its folder has just been removed, as initdb's own do.
                let _made = std::fs::create_dir_all(&half);
                let _written = std::fs::write(half.join(number.to_string()), "");
            }
        });
        let runtime = tokio::runtime::Handle::current();
        let started = tokio::task::block_in_place(|| runtime.block_on(start(home.path())));
        over.store(true, Ordering::Relaxed);
        let cluster = started.unwrap();
        tokio::task::block_in_place(|| runtime.block_on(cluster.stop()));
    });
}

#[tokio::test]
async fn a_killed_server_comes_back_by_itself() {
    let home = home();
    // What was committed must survive: this server writes as in earnest.
    let cluster = Cluster::start(home.path(), Settings::default()).await.unwrap();
    let database = Database::open(cluster.server(), brisk()).await.unwrap();
    let host = database.host().await.unwrap();
    host.batch("create table kept (id int); insert into kept values (7)").await.unwrap();
    // One session is busy and would not notice its server's death for hours.
    let busy = database.host().await.unwrap();
    let endless = tokio::spawn(async move {
        busy.query("select count(*) from generate_series(1, 1000000000000)", &[]).await.map(drop)
    });
    let running = "select count(*) from pg_stat_activity where query like '%generate_series(1%' \
                   and state = 'active' and pid <> pg_backend_pid()";
    until("the session is busy", async || value::<i64>(&host, running).await == 1).await;

    let pid = cluster.process_id();
    kill(pid);
    let lost = host.query("select 1", &[]).await.map(drop);
    until("its sessions are gone", async || endless.is_finished()).await;
    let busy = endless.await.unwrap().unwrap_err();
    assert!(busy.is_unavailable(), "{busy:?}");
    if let Err(error) = lost {
        assert!(error.is_unavailable(), "{error:?}");
    }
    drop(host);
    until("the server is back", async || match database.host().await {
        Ok(session) => matches!(session.query("select id from kept", &[]).await, Ok(rows)
            if rows[0].get::<_, i32>(0) == 7),
        Err(error) => {
            assert!(error.is_unavailable(), "{error:?}");
            false
        }
    })
    .await;
    until("its number is known", async || cluster.process_id() != pid).await;
    let now = cluster.process_id();
    drop(database);
    cluster.stop().await;
    assert!(!is_alive(now));
}

/// Not a test by itself: the host that the next one kills.
#[tokio::test]
async fn a_host_that_runs_until_it_is_killed() {
    let Some(home) = std::env::var_os("NEXUS_TEST_HOME") else { return };
    let cluster = start(Path::new(&home)).await.unwrap();
    std::fs::write(Path::new(&home).join("up"), cluster.process_id().to_string()).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_server_left_by_a_killed_host_is_taken_over() {
    let home = home();
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cluster::a_host_that_runs_until_it_is_killed"])
        .env("NEXUS_TEST_HOME", home.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let up = home.path().join("up");
    until("the other host is up", async || {
        std::fs::read_to_string(&up).is_ok_and(|pid| !pid.is_empty())
    })
    .await;
    host.kill().unwrap();
    host.wait().unwrap();
    let left: i32 = std::fs::read_to_string(&up).unwrap().parse().unwrap();
    assert!(is_alive(left));

    let cluster = start(home.path()).await.unwrap();
    assert_eq!(cluster.process_id(), left);
    let database = Database::open(cluster.server(), brisk()).await.unwrap();
    assert_eq!(value::<i32>(&database.host().await.unwrap(), "select 1").await, 1);
    drop(database);
    cluster.stop().await;
    assert!(!is_alive(left));

    // After a restart of the machine the number in the pidfile may be anybody's.
    let pidfile = home.path().join("pg/data/postmaster.pid");
    let stale = format!("{}\n{}\n", std::process::id(), home.path().join("pg/data").display());
    std::fs::write(&pidfile, stale).unwrap();
    let cluster = start(home.path()).await.unwrap();
    assert_ne!(cluster.process_id(), i32::try_from(std::process::id()).unwrap());
    cluster.stop().await;
}

#[tokio::test]
async fn words_for_a_server_that_cannot_be_used() {
    use nexus_storage::Server;
    // A port nobody listens on: bound, and never listening.
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let server = Server::from_url(&format!("postgres://u:p@127.0.0.1:{port}/d")).unwrap();
    let error = Database::open(server, brisk()).await.map(drop).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && error.is_unavailable(), "{error:?}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(!error.to_string().contains("p@"), "{error}");
    assert!(matches!(Server::from_url("mysql://x").map(drop), Err(Error::Address(_))));
}
