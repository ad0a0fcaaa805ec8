//! What an embedded store keeps across restarts, kills, full disks and damaged files.

use crate::child::Writer;
use capability_key_value::{Backend as _, Durability, Embedded, EmbeddedSettings, KeyValueError};
use futures::TryStreamExt as _;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LABEL: &str = "default";

fn open(folder: &Path) -> Result<Embedded, KeyValueError> {
    Embedded::open(folder, &EmbeddedSettings::default())
}

async fn keys(store: &Embedded) -> BTreeSet<String> {
    let batches: Vec<Vec<String>> = store.keys(LABEL).try_collect().await.unwrap();
    batches.concat().into_iter().collect()
}

async fn set(store: &Embedded, key: &str, value: &str) {
    store.set(LABEL, key, value.to_string().into()).await.unwrap();
}

async fn get(store: &Embedded, key: &str) -> Option<String> {
    let value = store.get(LABEL, key).await.unwrap();
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn first_log(folder: &Path) -> PathBuf {
    folder.join("0000000001.log")
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    for durability in [Durability::EachSecond, Durability::EachWrite] {
        let settings = EmbeddedSettings { durability, ..Default::default() };
        let store = Embedded::open(folder.path(), &settings).unwrap();
        set(&store, "kept", "old").await;
        set(&store, "kept", "new").await;
        set(&store, "removed", "x").await;
        store.delete(LABEL, "removed").await.unwrap();
        drop(store);
        let store = open(folder.path()).unwrap();
        assert_eq!(get(&store, "kept").await.as_deref(), Some("new"));
        assert_eq!(keys(&store).await, BTreeSet::from(["kept".to_string()]));
    }
}

#[tokio::test]
async fn two_hosts_cannot_use_one_folder() {
    let folder = TempDir::new().unwrap();
    let first = open(folder.path()).unwrap();
    let second = open(folder.path()).err().unwrap();
    assert_eq!(second, KeyValueError::InUse(folder.path().into()));
    drop(first);
    open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_full_store_refuses_growth_and_takes_it_again_when_there_is_room() {
    let folder = TempDir::new().unwrap();
    let settings = EmbeddedSettings { bytes_max: 10_000, ..Default::default() };
    let store = Embedded::open(folder.path(), &settings).unwrap();
    let mut written = 0;
    let full = loop {
        match store.set(LABEL, &format!("key-{written}"), vec![0; 1000].into()).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full, KeyValueError::Full { limit: 10_000 });
    assert_eq!(written, 9);
    store.set(LABEL, "key-0", vec![0; 900].into()).await.unwrap();
    store.set(LABEL, "key-0", vec![0; 1000].into()).await.unwrap();
    assert!(store.set(LABEL, "key-0", vec![0; 9000].into()).await.is_err());
    store.delete(LABEL, "key-1").await.unwrap();
    store.set(LABEL, "again", vec![0; 900].into()).await.unwrap();
}

#[tokio::test]
async fn a_log_cut_anywhere_gives_back_every_record_before_the_cut() {
    let source = TempDir::new().unwrap();
    let store = open(source.path()).unwrap();
    let mut ends = vec![fs::metadata(first_log(source.path())).unwrap().len()];
    for n in 0..12 {
        set(&store, &format!("key-{n}"), &"v".repeat(n * 3)).await;
        ends.push(fs::metadata(first_log(source.path())).unwrap().len());
    }
    drop(store);
    let whole = fs::read(first_log(source.path())).unwrap();
    for cut in 0..=whole.len() {
        let folder = TempDir::new().unwrap();
        fs::write(first_log(folder.path()), &whole[..cut]).unwrap();
        let store = open(folder.path()).unwrap();
        let records = ends.iter().filter(|end| **end <= cut as u64).count().saturating_sub(1);
        let expected: BTreeSet<_> = (0..records).map(|n| format!("key-{n}")).collect();
        assert_eq!(keys(&store).await, expected, "cut at {cut}");
        // It must be possible to go on, and to read that back.
        set(&store, "after", "x").await;
        drop(store);
        let store = open(folder.path()).unwrap();
        assert_eq!(get(&store, "after").await.as_deref(), Some("x"), "cut at {cut}");
        assert_eq!(keys(&store).await.len(), records + 1, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_changed_byte_is_noticed_and_never_read_as_a_value() {
    let source = TempDir::new().unwrap();
    let store = open(source.path()).unwrap();
    for n in 0..6 {
        set(&store, &format!("key-{n}"), &format!("value-{n}")).await;
    }
    drop(store);
    let whole = fs::read(first_log(source.path())).unwrap();
    let mut damaged = 0;
    for at in 0..whole.len() {
        let folder = TempDir::new().unwrap();
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        fs::write(first_log(folder.path()), &bytes).unwrap();
        match open(folder.path()) {
            Err(KeyValueError::Damaged { .. }) => damaged += 1,
            Err(other) => panic!("byte {at}: {other}"),
            Ok(store) => {
                for key in keys(&store).await {
                    let expected = key.replace("key", "value");
                    assert_eq!(get(&store, &key).await, Some(expected), "byte {at}");
                }
            }
        }
    }
    // All but what may be the unfinished end: the last record, and lengths that reach beyond it.
    assert!(damaged > whole.len() / 2, "{damaged} of {}", whole.len());
}

#[tokio::test]
async fn zeros_at_the_end_of_the_log_are_an_unfinished_write() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).unwrap();
    set(&store, "key", "value").await;
    drop(store);
    let mut bytes = fs::read(first_log(folder.path())).unwrap();
    bytes.extend_from_slice(&[0; 5000]);
    fs::write(first_log(folder.path()), &bytes).unwrap();
    let store = open(folder.path()).unwrap();
    assert_eq!(get(&store, "key").await.as_deref(), Some("value"));
}

#[tokio::test]
async fn the_log_is_shortened_and_the_state_stays() {
    let folder = TempDir::new().unwrap();
    let settings = EmbeddedSettings { compact_bytes_min: 100_000, ..Default::default() };
    let store = Embedded::open(folder.path(), &settings).unwrap();
    set(&store, "constant", "first").await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut n = 0;
    while files(folder.path()).contains("0000000001.log") {
        assert!(Instant::now() < deadline, "{:?}", files(folder.path()));
        set(&store, "counter", &format!("{n:0500}")).await;
        n += 1;
    }
    set(&store, "after", "x").await;
    drop(store);
    let total: u64 = files(folder.path())
        .iter()
        .map(|f| fs::metadata(folder.path().join(f)).unwrap().len())
        .sum();
    assert!(total < 400_000, "{total} bytes in {:?}", files(folder.path()));
    let store = open(folder.path()).unwrap();
    assert_eq!(get(&store, "constant").await.as_deref(), Some("first"));
    assert_eq!(get(&store, "counter").await, Some(format!("{:0500}", n - 1)));
    assert_eq!(get(&store, "after").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn a_compaction_that_was_cut_short_costs_nothing() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).unwrap();
    set(&store, "key", "value").await;
    drop(store);
    // As after a kill between the new log and the snapshot beside it.
    fs::write(folder.path().join("0000000002.log"), b"").unwrap();
    fs::write(folder.path().join("0000000002.part"), b"half a snapshot").unwrap();
    let store = open(folder.path()).unwrap();
    assert_eq!(get(&store, "key").await.as_deref(), Some("value"));
    assert!(!files(folder.path()).contains("0000000002.part"));
    set(&store, "key", "newer").await;
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(get(&store, "key").await.as_deref(), Some("newer"));
}

#[tokio::test]
async fn a_missing_or_unfinished_file_in_the_middle_is_damage() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).unwrap();
    set(&store, "key", "value").await;
    drop(store);
    let log = fs::read(first_log(folder.path())).unwrap();
    fs::write(folder.path().join("0000000003.log"), &log).unwrap();
    let gap = open(folder.path()).err().unwrap();
    assert!(matches!(gap, KeyValueError::Damaged { .. }), "{gap}");
    fs::write(folder.path().join("0000000003.snapshot"), &log).unwrap();
    let unfinished = open(folder.path()).err().unwrap();
    assert!(unfinished.to_string().contains("0000000003.snapshot is damaged"), "{unfinished}");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = TempDir::new().unwrap();
    let mut acknowledged = -1;
    // Each round starts in what the last kill left; the child compacts as it goes.
    for _ in 0..3 {
        let mut writer = Writer::start(folder.path(), "");
        let mut lines = 0;
        let mut last = -1;
        while let Some(line) = writer.next() {
            last = line.strip_prefix("written ").unwrap().parse::<i64>().unwrap();
            lines += 1;
            if lines == 1500 {
                writer.kill();
            }
        }
        acknowledged = acknowledged.max(last);
        let store = open(folder.path()).unwrap();
        let keys = keys(&store).await;
        let lost = (0..=acknowledged).find(|n| !keys.contains(&format!("key-{n}")));
        assert_eq!(lost, None, "of {acknowledged}, in {:?}", files(folder.path()));
        assert_eq!(get(&store, "key-0").await.unwrap().len(), 100);
    }
    assert!(acknowledged >= 1499);
}

#[tokio::test]
async fn a_full_disk_stops_changes_and_only_until_there_is_room() {
    let folder = TempDir::new().unwrap();
    // A file may not grow beyond 64 blocks; the write fails instead of killing the process.
    let mut writer = Writer::start(folder.path(), "trap '' XFSZ; ulimit -S -f 64;");
    let refusal = loop {
        let line = writer.next().expect("it goes on");
        if line.starts_with("refused") {
            break line;
        }
    };
    assert!(refusal.contains("its log cannot be written"), "{refusal}");
    let limit = format!("--pid={}", writer.id());
    let lifted = Command::new("prlimit").args([&limit, "--fsize=unlimited:"]).status().unwrap();
    assert!(lifted.success());
    let mut last = loop {
        let line = writer.next().expect("it goes on");
        if let Some(n) = line.strip_prefix("written ") {
            break n.parse::<u64>().unwrap();
        }
    };
    while last < 5_000 {
        let line = writer.next().expect("it goes on");
        last = line.strip_prefix("written ").expect("the disk has room").parse().unwrap();
    }
    writer.kill();
    let store = open(folder.path()).unwrap();
    assert!(keys(&store).await.contains(&format!("key-{last}")));
}
