//! Backup and restore as operators do them: with the binary, on a real PostgreSQL with every
//! migration, on a folder of objects, under kill -9.

mod broken;
mod instant;
mod killed;

use super::{Up, folder, manifest, nexus, repository};
use capability_blob::{
    Attributes, BucketName, Folder, FolderReader, FolderSettings, Key, Place, Put, Signer, Store,
};
use futures::StreamExt as _;
use nexus_storage::cluster::{self, Cluster};
use nexus_storage::queue::{EnqueueRequest, Kind, Queue, Settings};
use nexus_storage::{Database, Limits, Migrations, Server};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MESSAGES: usize = 300;
const OBJECTS: usize = 40;

/// An installation, a manifest and a key.
struct Bed {
    top: tempfile::TempDir,
    home: PathBuf,
    manifest: PathBuf,
    key: PathBuf,
}

impl Bed {
    fn new() -> Self {
        let top = folder();
        let (home, key) = (top.path().join("home"), top.path().join("backup.key"));
        let manifest = manifest(top.path());
        std::fs::write(&key, format!("{}=\n", "A".repeat(43))).unwrap();
        Self { top, home, manifest, key }
    }

    /// With a database and objects, and no host.
    async fn filled() -> Self {
        let bed = Self::new();
        let settings = cluster::Settings { durable: false, ..cluster::Settings::default() };
        let cluster = Cluster::start(&bed.home, settings).await.unwrap();
        let database = open(cluster.server()).await;
        Migrations::read(&repository().join("migrations")).unwrap().apply(&database).await.unwrap();
        database.admit(&["hello"]).await.unwrap();
        fill_database(&database).await;
        drop(database);
        cluster.stop().await;
        fill_objects(&bed.home).await;
        bed
    }

    /// Stops the PostgreSQL that a killed command has left running.
    async fn end(self) {
        Cluster::start(&self.home, cluster::Settings::default()).await.unwrap().stop().await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    fn command(&self, home: &Path, arguments: &[&str]) -> Command {
        let mut command = nexus(home);
        command.args(arguments).env("NEXUS_MANIFEST", &self.manifest);
        command.env("NEXUS_BACKUP_KEY_FILE", &self.key);
        command
    }

    /// Runs a command and returns exit code, answer and words.
    fn run(&self, arguments: &[&str]) -> Told {
        Told::from(self.command(&self.home, arguments).output().unwrap())
    }

    fn backup(&self, to: &Path) -> Told {
        self.run(&["backup", "--json", "--to", to.to_str().unwrap()])
    }

    fn verify(&self, from: &Path) -> Told {
        self.run(&["backup", "verify", "--json", "--from", from.to_str().unwrap()])
    }

    fn restore(&self, from: &Path, into: &Path) -> Told {
        let (from, into) = (from.to_str().unwrap(), into.to_str().unwrap());
        self.run(&["restore", "--verify", "--json", "--from", from, "--into", into])
    }
}

struct Told {
    code: Option<i32>,
    answer: Value,
    words: String,
}

impl From<Output> for Told {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            answer: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            words: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Told {
    #[track_caller]
    fn done(self) -> Value {
        assert_eq!(self.code, Some(0), "{} {}", self.words, self.answer);
        self.answer
    }

    #[track_caller]
    fn refused(self, code: i32, word: &str) {
        assert_eq!(self.code, Some(code), "{} {}", self.words, self.answer);
        assert!(self.words.contains(word), "not {word:?}: {}", self.words);
    }
}

async fn open(server: Server) -> Database {
    let limits = Limits { connections_max: 8, ..Limits::default() };
    Database::open(server, limits).await.unwrap()
}

async fn fill_database(database: &Database) {
    let queue = Queue::new(database.clone());
    let (name, handler) = ("late fees", "on_fee");
    let id =
        queue.ensure("billing", name, Kind::Service, handler, &Settings::default()).await.unwrap();
    for number in 0..MESSAGES {
        let payload = serde_json::json!({ "number": number, "word": "ключ 鍵 \"quoted\" \\" });
        let request = EnqueueRequest::new(id, "billing.fee.charged.v1", "billing", payload);
        queue.enqueue(&request).await.unwrap();
    }
}

fn place(number: usize) -> Place {
    let bucket = BucketName::new(if number % 2 == 0 { "films" } else { "pictures" }).unwrap();
    Place { bucket, key: Key::new(&format!("Année {number}/segment.m4s")).unwrap() }
}

/// Around the sizes where pieces end; the first is of some megabytes, the second empty.
fn bytes(number: usize) -> Vec<u8> {
    let length = match number {
        0 => 12_345_678,
        1 => 0,
        number => (number * 8_192).saturating_sub(number % 3),
    };
    (0..length).map(|at| ((at * 31 + number * 7) % 251) as u8).collect()
}

async fn fill_objects(home: &Path) {
    let nowhere = "http://localhost".parse().unwrap();
    let signer = Signer::new(&[7; 32], &nowhere);
    let root = home.join("blobs");
    let store = Folder::open(FolderSettings { root, signer, object_bytes_max: 1 << 30 }).unwrap();
    for number in 0..OBJECTS {
        let body = futures::stream::iter([Ok(bytes(number).into())]).boxed();
        let metadata = [("number".to_owned(), number.to_string())].into();
        let attributes = Attributes { content_type: Some("video/mp4".into()), metadata };
        store.put(&place(number), Put { attributes, ..Put::default() }, body).await.unwrap();
    }
}

async fn objects_are_those_of_the_test(home: &Path) {
    let reader = FolderReader::new(home.join("blobs"));
    for number in 0..OBJECTS {
        let download = reader.get(&place(number)).await.unwrap();
        let attributes = &download.object.attributes;
        assert_eq!(attributes.content_type.as_deref(), Some("video/mp4"));
        assert_eq!(attributes.metadata["number"], number.to_string());
        let mut found = Vec::new();
        let mut body = download.body;
        while let Some(chunk) = body.next().await {
            found.extend_from_slice(&chunk.unwrap());
        }
        assert!(found == bytes(number), "object {number}");
    }
}

async fn messages(database: &Database) -> i64 {
    let session = database.host().await.unwrap();
    let sql = "select count(*) from platform.queue_ready";
    session.query(sql, &[]).await.unwrap()[0].try_get(0).unwrap()
}

/// What a restore has compared, and that all of it was the same.
fn compared(restored: &Value) -> (usize, usize) {
    assert_eq!(restored["same"], true, "{restored:#}");
    let lines = restored["lines"].as_array().unwrap();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert!(lines.iter().all(|line| line["verdict"] == "same"));
    (of("table"), of("object"))
}

#[tokio::test]
async fn a_wiped_installation_comes_back_with_the_same_rows_and_objects() {
    let bed = Bed::new();
    std::fs::create_dir(&bed.home).unwrap();
    fill_objects(&bed.home).await;
    let mut up = Up::start(&bed.home, &bed.manifest);
    up.line("ready");
    let running = cluster::running(&bed.home).await.unwrap().expect("a host runs");
    let database = open(running).await;
    fill_database(&database).await;
    let before = messages(&database).await;
    drop(database);

    let (folder, file) = (bed.path("running"), bed.path("stopped.nxb"));
    let taken = bed.backup(&folder).done();
    println!("backup of a running host: {taken:#}");
    assert_eq!(taken["objects"], OBJECTS);
    assert_eq!(up.terminate(), Some(0));
    println!("backup of a stopped host: {:#}", bed.backup(&file).done());

    std::fs::remove_dir_all(&bed.home).unwrap();
    for from in [&folder, &file] {
        let checked = bed.verify(from).done();
        assert_eq!(checked["objects"], OBJECTS);
        let into = bed.path("again").join(from.file_name().unwrap());
        let restored = bed.restore(from, &into).done();
        let (tables, objects) = compared(&restored);
        println!("{tables} tables, {objects} objects in {} s", restored["seconds"]);
        assert!(tables > 50 && objects == OBJECTS, "{tables} tables, {objects} objects");
        objects_are_those_of_the_test(&into).await;
    }

    let again = bed.path("again/running");
    let mut up = Up::start(&again, &bed.manifest);
    let ready = up.line("ready");
    let url = ready["urls"].as_str().unwrap().split(' ').next().unwrap().to_owned();
    assert!(super::get(&url, "/", "").starts_with("HTTP/1.0 200"));
    let database = open(cluster::running(&again).await.unwrap().expect("a host runs")).await;
    assert_eq!(messages(&database).await, before);
    // Its role logs in with a password of the new cluster's, and reaches nothing but its own.
    let service = database.service("hello").await.unwrap();
    assert!(service.query("select count(*) from platform.queue_ready", &[]).await.is_err());
    drop((service, database));
    assert_eq!(up.terminate(), Some(0));
}

#[tokio::test]
async fn the_root_key_is_in_a_backup_only_when_asked_for_and_named_otherwise() {
    let bed = Bed::filled().await;
    std::fs::write(bed.home.join("dev-root-key"), [9; 32]).unwrap();
    let (without, with) = (bed.path("without"), bed.path("with"));
    let name = bed.backup(&without).done()["root_key"].as_str().unwrap().to_owned();
    let to = ["backup", "--json", "--with-root-key", "--to", with.to_str().unwrap()];
    assert_eq!(bed.run(&to).done()["root_key"], name);

    let (bare, whole) = (bed.path("bare"), bed.path("whole"));
    let told = bed.restore(&without, &bare).done()["root_key"].as_str().unwrap().to_owned();
    assert!(told.contains(&name) && told.contains("not in the backup"), "{told}");
    assert!(!bare.join("dev-root-key").exists());
    let told = bed.restore(&with, &whole).done()["root_key"].as_str().unwrap().to_owned();
    assert!(told.contains(&name) && told.contains("was restored"), "{told}");
    assert_eq!(std::fs::read(whole.join("dev-root-key")).unwrap(), [9; 32]);
}
