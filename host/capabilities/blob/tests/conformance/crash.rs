//! The folder after its host was killed in the middle of its work. A child process writes and says
//! what it has been promised; we kill it and look.

use crate::backend::*;
use capability_blob::*;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

const ROOT: &str = "NEXUS_BLOB_CRASH_ROOT";
const KEYS: u64 = 6;

fn open(root: &Path) -> Result<Folder, BlobError> {
    Folder::open(FolderSettings {
        root: root.into(),
        signer: Signer::new(b"secret", &"http://localhost".parse().unwrap()),
        object_bytes_max: OBJECT_BYTES_MAX,
    })
}

fn place(version: u64) -> Place {
    at(&format!("some/where {}/k", version % KEYS))
}

/// From a few bytes to a few chunks.
fn content(version: u64) -> bytes::Bytes {
    noise((version * 7919 % 700_000) as usize, version)
}

/// Not a case: the child. Returns at once when nobody asks for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_writes_until_it_is_killed() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let folder = open(Path::new(&root)).unwrap();
    let mut version = newest(&folder).await.values().max().copied().unwrap_or(0);
    loop {
        version += 1;
        let place = place(version);
        let with = attributes("text/plain", &[("version", &version.to_string())]);
        let body = chunked(&content(version), 100_000);
        match version % 4 {
            0 => {
                let id = folder.create_upload(&place, with).await.unwrap();
                let upload = Upload { place, id };
                let part = PartPut { number: 1, size: None, expected: Checksums::default() };
                let etag = folder.upload_part(&upload, part, body).await.unwrap().etag;
                let parts = vec![NamedPart { number: 1, etag }];
                folder.complete_upload(&upload, parts, None).await.unwrap();
            }
            1 => {
                folder.delete(&place).await.unwrap();
                let put = Put { attributes: with, ..Put::default() };
                folder.put(&place, put, body).await.unwrap();
            }
            _ => {
                let put = Put { attributes: with, ..Put::default() };
                folder.put(&place, put, body).await.unwrap();
            }
        }
        println!("\npromised {version}");
        std::io::stdout().flush().unwrap();
    }
}

/// Each key's version; panics at an object that is not whole.
async fn newest(folder: &Folder) -> BTreeMap<String, u64> {
    let page = folder.list(&bucket("media"), query("")).await.unwrap();
    let mut versions = BTreeMap::new();
    for entry in page.entries {
        let download = folder.get(&at(&entry.key), Get::default()).await.unwrap();
        let version: u64 = download.object.attributes.metadata["version"].parse().unwrap();
        assert_eq!(entry.key, place(version).key.as_str());
        assert_eq!(entry.size, download.object.size);
        assert!(collect(download.body).await.unwrap() == content(version), "version {version}");
        versions.insert(entry.key, version);
    }
    versions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_host_leaves_whole_objects_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().join("blobs");
    let mut promised = BTreeMap::<String, u64>::new();
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::a_child_that_writes_until_it_is_killed", "--exact", "--nocapture"])
            .env(ROOT, &root)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut kept = |line: &str| {
            let version = line.strip_prefix("promised ").and_then(|v| v.parse::<u64>().ok());
            version.map(|version| promised.insert(place(version).key.to_string(), version))
        };
        let mut seen = 0;
        while seen < 3 + round {
            seen += usize::from(kept(&lines.next().unwrap().unwrap()).is_some());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before the signal reached it counts too.
        lines.map_while(Result::ok).for_each(|line| _ = kept(&line));
        let folder = open(&root).unwrap();
        let temporary = std::fs::read_dir(root.join("temporary")).unwrap().count();
        assert_eq!(temporary, 0, "what was half written is cleared away at the start");
        let found = newest(&folder).await;
        let newest = found.values().max().copied().unwrap();
        for (key, version) in &promised {
            // The one write that was under way may have removed it, or be done without our hearing.
            let in_flight = place(promised.values().max().unwrap() + 1).key.as_str() == key;
            let found = found.get(key).copied().unwrap_or(if in_flight { *version } else { 0 });
            assert!(found >= *version, "{key}: {found} of {version}, newest {newest}");
        }
    }
}

#[tokio::test]
async fn a_folder_serves_one_host_at_a_time() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path()).unwrap();
    let second = open(root.path()).map(drop);
    assert!(matches!(second, Err(BlobError::Unavailable(_))), "{second:?}");
    drop(first);
    open(root.path()).unwrap();
}
