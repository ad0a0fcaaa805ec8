//! Back to an instant: a host that archives its log is wiped, and comes back as it was then.

use super::{Bed, Told, Up, fill_objects, open};
use nexus_storage::Database;
use nexus_storage::backup::{Counted, Snapshot, mark};
use nexus_storage::cluster::{self, Cluster};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const ARCHIVED_MAX: Duration = Duration::from_secs(60);

fn archive(bed: &Bed) -> PathBuf {
    bed.path("log")
}

fn with_archive(bed: &Bed, command: &mut Command) {
    command.env("NEXUS_WAL_ARCHIVE", archive(bed)).env("NEXUS_WAL_ARCHIVE_SECONDS", "1");
}

fn run(bed: &Bed, arguments: &[&str]) -> Told {
    let mut command = bed.command(&bed.home, arguments);
    with_archive(bed, &mut command);
    Told::from(command.output().unwrap())
}

fn restore(bed: &Bed, from: &Path, into: &Path, to: &str) -> Told {
    let (from, into) = (from.to_str().unwrap(), into.to_str().unwrap());
    run(bed, &["restore", "--verify", "--json", "--from", from, "--into", into, "--to", to])
}

fn up(bed: &Bed) -> Up {
    let mut command = bed.command(&bed.home, &["up", "--listen", "127.0.0.1:0"]);
    command.args(["--admin-listen", "127.0.0.1:0", "--migrations"]);
    command.arg(super::repository().join("migrations"));
    with_archive(bed, &mut command);
    let mut up = Up::run(command);
    up.line("ready");
    up
}

async fn write(database: &Database, from: i32, to: i32) {
    let session = database.host().await.unwrap();
    let sql =
        "insert into proof.entry select n, 'слово ' || n from generate_series($1::int, $2::int) n";
    session.execute(sql, &[&from, &to]).await.unwrap();
}

async fn census(database: &Database) -> Vec<Counted> {
    Snapshot::take(database).await.unwrap().census().await.unwrap()
}

/// Waits until the archive has the part of the log that is written to now. A part to which nobody
/// writes is never finished, so something is written.
async fn archived(bed: &Bed, database: &Database) {
    let wal = mark(database).await.unwrap().wal;
    let file = archive(bed).join(format!("{wal}.nxb"));
    let end = Instant::now() + ARCHIVED_MAX;
    while !file.exists() {
        assert!(Instant::now() < end, "{} is not archived", file.display());
        let session = database.host().await.unwrap();
        session.execute("insert into proof.beat values (1)", &[]).await.unwrap();
        drop(session);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A home that archived its log, and is gone; the backup, the instant, and what was there then.
struct Lost {
    bed: Bed,
    backup: PathBuf,
    at: String,
    then: Vec<Counted>,
}

impl Lost {
    async fn new() -> Self {
        let bed = Bed::new();
        std::fs::create_dir(&bed.home).unwrap();
        fill_objects(&bed.home).await;
        let mut up = up(&bed);
        let running = cluster::running(&bed.home).await.unwrap().expect("a host runs");
        let database = open(running).await;
        let session = database.host().await.unwrap();
        session
            .batch(
                "create schema proof; create table proof.beat (id int); \
             create table proof.entry (id int, word text)",
            )
            .await
            .unwrap();
        drop(session);
        write(&database, 1, 1_000).await;
        let backup = bed.path("base.nxb");
        let taken = run(&bed, &["backup", "--json", "--to", backup.to_str().unwrap()]).done();
        println!("backup with the server's files: {taken:#}");
        assert_eq!(taken["server_archives"], true);

        write(&database, 1_001, 3_000).await;
        let before = census(&database).await;
        let at = mark(&database).await.unwrap().at;
        let then = stable(before, &census(&database).await);
        assert!(then.len() > 50, "{} tables", then.len());
        write(&database, 3_001, 7_000).await;
        archived(&bed, &database).await;
        drop(database);
        up.child.kill().unwrap();
        up.child.wait().unwrap();
        // Not even the server outlives it: all that is left is the archive and the backup.
        Cluster::start(&bed.home, cluster::Settings::default()).await.unwrap().stop().await;
        std::fs::remove_dir_all(&bed.home).unwrap();
        Self { bed, backup, at, then }
    }
}

/// What nobody wrote to between two looks: the host's own tables move all the time.
fn stable(before: Vec<Counted>, after: &[Counted]) -> Vec<Counted> {
    before.into_iter().filter(|table| after.contains(table)).collect()
}

fn tables(restored: &Value) -> BTreeSet<(String, i64, String)> {
    let tables = restored["reached"]["tables"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |one: &Value| (text(&one["table"]), one["rows"].as_i64().unwrap(), text(&one["hash"]));
    tables.iter().map(of).collect()
}

fn rows(restored: &Value) -> i64 {
    let all = tables(restored);
    all.iter().find(|(table, ..)| table == "proof.entry").expect("the table is there").1
}

#[tokio::test]
async fn a_lost_home_comes_back_as_it_was_at_an_instant_and_not_later() {
    let Lost { bed, backup, at, then } = Lost::new().await;
    let into = bed.path("then");
    let began = Instant::now();
    let restored = restore(&bed, &backup, &into, &at).done();
    println!("{} in {:?}: {}", at, began.elapsed(), restored["reached"]["pages"]);
    assert_eq!(rows(&restored), 3_000);
    let found = tables(&restored);
    for Counted { table, rows, hash } in &then {
        let same = found.contains(&(table.clone(), *rows, hash.clone()));
        assert!(same, "{table} had {rows} rows, {hash}");
    }
    assert!(restored["reached"]["last_commit"].as_str().unwrap() <= at.as_str());
    assert_eq!(restored["same"], true, "objects are those of the backup");

    let all = restore(&bed, &backup, &bed.path("latest"), "latest").done();
    assert_eq!(rows(&all), 7_000);

    // The host starts on it, archives on another timeline, and can be brought back again.
    let bed = Bed { home: into, ..bed };
    let mut running = up(&bed);
    let database = open(cluster::running(&bed.home).await.unwrap().unwrap()).await;
    write(&database, 10_001, 10_010).await;
    archived(&bed, &database).await;
    drop(database);
    assert_eq!(running.terminate(), Some(0));
    let again = restore(&bed, &backup, &bed.path("again"), "latest").done();
    assert_eq!(rows(&again), 3_010, "the line that was left at the instant is not followed");
}

#[tokio::test]
async fn an_instant_that_cannot_be_had_is_refused_in_words() {
    let Lost { bed, backup, .. } = Lost::new().await;
    let (bed, backup) = (&bed, &backup);
    restore(bed, backup, &bed.path("a"), "2020-01-01T00:00:00Z").refused(4, "an earlier one");
    restore(bed, backup, &bed.path("a"), "yesterday").refused(2, "latest");
    assert!(!bed.path("a").exists(), "nothing was written");
    restore(bed, backup, &bed.path("b"), "2099-01-01T00:00:00Z").refused(1, "--to latest");

    let parts = std::fs::read_dir(archive(bed)).unwrap();
    let mut parts: Vec<_> = parts.map(|entry| entry.unwrap().path()).collect();
    // The host was killed: one may have been under way.
    parts.retain(|part| part.extension().is_some_and(|extension| extension == "nxb"));
    parts.sort();
    let last = parts.last().unwrap();
    std::fs::write(last, &std::fs::read(last).unwrap()[..50]).unwrap();
    let told = restore(bed, backup, &bed.path("c"), "latest");
    assert_ne!(told.code, Some(0), "{}", told.answer);
}

#[tokio::test]
async fn a_backup_without_the_servers_files_leads_to_no_other_instant() {
    let bed = Bed::filled().await;
    let backup = bed.path("dump.nxb");
    let taken = bed.backup(&backup).done();
    assert_eq!(taken["server_archives"], false);
    restore(&bed, &backup, &bed.path("a"), "latest").refused(4, "NEXUS_WAL_ARCHIVE");
    let asked = run(&bed, &["backup", "--to", bed.path("b.nxb").to_str().unwrap()]);
    asked.refused(1, "does not archive");
    bed.end().await;
}

#[tokio::test]
async fn backups_are_named_by_their_instant_and_older_ones_are_removed() {
    let bed = Bed::filled().await;
    let all = bed.path("all");
    std::fs::create_dir(&all).unwrap();
    for old in ["nexus-2019-01-01.nxb", "nexus-2020-02-02T020202Z.nxb", "kept-by-hand.nxb"] {
        std::fs::write(all.join(old), "").unwrap();
    }
    let folder = all.to_str().unwrap();
    let asked = ["backup", "--json", "--in", folder, "--keep-daily", "1", "--keep-weekly", "2"];
    let taken = bed.run(&asked).done();
    let made = PathBuf::from(taken["to"].as_str().unwrap());
    bed.verify(&made).done();
    assert!(all.join("kept-by-hand.nxb").exists());
    assert_eq!(taken["pruned"]["backups"], serde_json::json!(["nexus-2019-01-01.nxb"]));
    let record = std::fs::read_to_string(bed.home.join("last-backup.json")).unwrap();
    assert!(record.contains(made.to_str().unwrap()), "{record}");
    bed.run(&["backup", "--keep-daily", "3", "--to", "x"]).refused(2, "--to");
    bed.end().await;
}
