//! Migrations run once, in order, by whoever comes first; what is wrong is said with its file.

use crate::server::{brisk, empty, platform, repository, value};
use nexus_storage::{Database, Error, Migrations};
use std::fs;
use std::path::Path;

/// A folder with the real platform and the given files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let platform = repository().join("migrations/platform");
    std::os::unix::fs::symlink(platform, folder.path().join("platform")).unwrap();
    files.iter().for_each(|(name, sql)| write(folder.path(), name, sql));
    folder
}

fn write(folder: &Path, name: &str, sql: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, sql).unwrap();
}

const TABLE: &str = "create table core_os.module (id int primary key);";
const COLUMN: &str = "alter table module add column name text;";

async fn failure(files: &[(&str, &str)], database: &Database) -> String {
    let folder = folder(files);
    match Migrations::read(folder.path()) {
        Ok(migrations) => migrations.apply(database).await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn files_are_applied_once_and_in_order() {
    let fresh = empty(brisk()).await;
    let folder = folder(&[("core-os/0001_module.sql", TABLE), ("core-os/0002_name.sql", COLUMN)]);
    let migrations = Migrations::read(folder.path()).unwrap();
    assert_eq!(migrations.services(), ["core-os"]);
    let first = migrations.apply(&fresh.database).await.unwrap();
    let own: Vec<_> = first.files.iter().filter(|f| !f.starts_with("platform/")).collect();
    assert_eq!(own, ["core-os/0001_module.sql", "core-os/0002_name.sql"]);
    assert!(first.files[0].starts_with("platform/0001_"));
    assert!(migrations.apply(&fresh.database).await.unwrap().files.is_empty());
    let session = fresh.database.service("core-os").await.unwrap();
    session.execute("insert into core_os.module values (1, 'x')", &[]).await.unwrap();
    drop(session);
    fresh.end().await;
}

#[tokio::test]
async fn hosts_that_start_together_apply_each_file_once() {
    let fresh = empty(brisk()).await;
    let folder = folder(&[
        ("core-os/0001_module.sql", TABLE),
        ("core-os/0002_name.sql", COLUMN),
        ("alpha/0001_note.sql", "create table alpha.note (id int)"),
    ]);
    let migrations = Migrations::read(folder.path()).unwrap();
    let hosts = (0..4).map(|_| {
        let (database, migrations) = (fresh.database.clone(), migrations.clone());
        tokio::spawn(async move { migrations.apply(&database).await })
    });
    let mut files = Vec::new();
    for host in hosts {
        files.extend(host.await.unwrap().unwrap().files);
    }
    let total = files.len();
    files.sort();
    files.dedup();
    assert_eq!(files.len(), total, "applied twice");
    let host = fresh.database.host().await.unwrap();
    let listed: i64 = value(&host, "select count(*) from platform.migration").await;
    assert_eq!(usize::try_from(listed).unwrap(), total);
    drop(host);
    fresh.end().await;
}

#[tokio::test]
async fn a_file_changed_after_it_was_applied_is_named() {
    let fresh = empty(brisk()).await;
    let folder = folder(&[("core-os/0001_module.sql", TABLE)]);
    Migrations::read(folder.path()).unwrap().apply(&fresh.database).await.unwrap();
    write(folder.path(), "core-os/0001_module.sql", "create table core_os.other (id int)");
    let changed = Migrations::read(folder.path()).unwrap().apply(&fresh.database).await;
    let said = changed.unwrap_err().to_string();
    assert!(said.starts_with("core-os/0001_module.sql: it was changed"), "{said}");
    fresh.end().await;
}

#[tokio::test]
async fn a_failing_file_is_named_with_its_line_and_leaves_nothing() {
    let fresh = empty(brisk()).await;
    let sql = "create table alpha.a (id int);\n\nselect nonsense;\n";
    let said = failure(&[("alpha/0001_a.sql", sql)], &fresh.database).await;
    assert!(said.starts_with("alpha/0001_a.sql: ") && said.contains("line 3"), "{said}");
    let host = fresh.database.host().await.unwrap();
    let left = "select to_regclass('alpha.a') is null and not exists \
                (select from platform.migration where service = 'alpha')";
    assert!(value::<bool>(&host, left).await);
    drop(host);
    fresh.end().await;
}

#[tokio::test]
async fn what_a_migration_may_not_do_is_said() {
    let fresh = empty(brisk()).await;
    let said = failure(
        &[("alpha/0001_a.sql", "create table beta.a ()"), ("beta/0001_b.sql", "select 1")],
        &fresh.database,
    )
    .await;
    assert!(said.contains("it changes beta.a: a file stays in its own schema"), "{said}");
    for (files, expected) in [
        (&[("alpha/0001_a.sql", "commit; select 1")][..], "ends its own transaction"),
        (&[("alpha/0001_a.sql", "commit; begin; select 1")][..], "ends its own transaction"),
        (&[("alpha/0001_a.sql", "rollback")][..], "ends its own transaction"),
        (
            &[(
                "alpha/0001_a.sql",
                "create table a (role name references platform.service (role))",
            )][..],
            "no foreign key may cross a schema",
        ),
        (
            &[("alpha/0001_a.sql", "create view v as select * from platform.event")][..],
            "no view may cross a schema",
        ),
        (
            &[(
                "alpha/0001_a.sql",
                "create function f() returns int language sql security definer return 1",
            )][..],
            "alpha.f() is security definer",
        ),
        (&[("alpha/0002_a.sql", "select 1")][..], "numbers have no gaps"),
        (&[("alpha/1_a.sql", "select 1")][..], "NNNN_name.sql"),
        (&[("alpha/0001_A.sql", "select 1")][..], "NNNN_name.sql"),
        (&[("Alpha/0001_a.sql", "select 1")][..], "cannot be a service's name"),
        (&[("postgres/0001_a.sql", "select 1")][..], "cannot be a service's name"),
    ] {
        let said = failure(files, &fresh.database).await;
        assert!(said.contains(expected), "{files:?}: {said}");
    }
    fresh.end().await;
}

#[tokio::test]
async fn files_of_a_newer_release_are_left_alone() {
    let fresh = empty(brisk()).await;
    let newer = folder(&[("core-os/0001_module.sql", TABLE), ("core-os/0002_name.sql", COLUMN)]);
    Migrations::read(newer.path()).unwrap().apply(&fresh.database).await.unwrap();
    let older = folder(&[("core-os/0001_module.sql", TABLE)]);
    let applied = Migrations::read(older.path()).unwrap().apply(&fresh.database).await.unwrap();
    assert!(applied.files.is_empty());
    fresh.end().await;
}

#[tokio::test]
async fn a_copy_of_a_template_has_its_services_and_no_strangers() {
    let fresh = empty(brisk()).await;
    let folder = folder(&[("alpha/0001_note.sql", "create table alpha.note (id int)")]);
    let migrations = Migrations::read(folder.path()).unwrap();
    migrations.apply(&fresh.database).await.unwrap();
    let name = format!("c_{}", uuid::Uuid::new_v4().simple());
    let template = fresh.database.name();
    let copy = fresh.first.create_from_template(&name, template).await.unwrap();
    assert!(migrations.apply(&copy).await.unwrap().files.is_empty());
    let session = copy.service("alpha").await.unwrap();
    session.execute("insert into alpha.note values (1)", &[]).await.unwrap();
    drop(session);
    let stranger = copy.service("beta").await.map(drop);
    assert!(matches!(stranger, Err(Error::Credentials { .. } | Error::Role { .. })));
    fresh.first.drop_database(&name).await.unwrap();
    fresh.end().await;
}

#[tokio::test]
async fn the_platforms_own_files_apply_to_an_empty_database() {
    let fresh = empty(brisk()).await;
    let applied = platform().apply(&fresh.database).await.unwrap();
    assert!(applied.files.iter().all(|file| file.starts_with("platform/")));
    assert!(applied.files.len() >= 3);
    fresh.end().await;
}
