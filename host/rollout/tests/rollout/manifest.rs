//! What a host serves when it starts: what was deployed, or its manifest.

use crate::bed::{Bed, Wanted, artifact, fragment, probe, steps, until};
use nexus_rollout::Error;
use nexus_storage::rollouts::{State, Weights};
use std::path::PathBuf;

fn all(number: u32) -> Weights {
    Weights::from([(number, 10_000)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deployed_is_served_after_a_restart_unless_the_manifest_is_asked_for() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    assert_eq!(host.serves("lamp"), all(1), "numbered where the runtime has loaded it");
    let new = artifact("lamp", "hello", &fragment("lamp", "environment = { N = \"2\" }", ""), &[]);
    let id = host.deploy("lamp", &new, steps(&[10_000])).await;
    bed.reaches(id, State::Done).await;
    host.stop().await;
    // Nothing is left of it but the database.
    let host = bed.host(Wanted { name: "elsewhere", ..Wanted::default() }).await;
    assert_eq!(host.serves("lamp"), all(2), "before the first call is let in");
    assert_eq!(host.get("/api/lamp/x").await.unwrap(), 200);
    host.stop().await;
    let wanted = Wanted { from_manifest: true, ..Wanted::default() };
    let host = bed.host(wanted).await;
    assert_eq!(bed.weights("lamp").await, all(1));
    assert_eq!(bed.rollouts.revisions("lamp", None, 9).await.unwrap().len(), 2);
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_release_moves_a_fleet_forward_and_an_old_host_follows() {
    let bed = Bed::new().await;
    let old = bed.host(Wanted::default()).await;
    assert_eq!(bed.weights("lamp").await, all(1));
    let manifest = Some(bed.manifest_of(&["lamp", "desk"], "better"));
    let new = bed.host(Wanted { name: "two", manifest, ..Wanted::default() }).await;
    assert_eq!(bed.weights("lamp").await, all(2));
    until("the old host serves the new release", async || old.serves("lamp") == all(2)).await;
    until("and what it never had", async || old.get_of("desk", "/api/desk/x").await.is_ok()).await;
    // Another host of the old release does not pull the fleet back.
    let third = bed.host(Wanted { name: "three", ..Wanted::default() }).await;
    assert_eq!(bed.weights("lamp").await, all(2));
    assert_eq!(third.serves("lamp"), all(2));
    for host in [old, new, third] {
        host.stop().await;
    }
    // Alone, whoever starts an old release means it.
    let alone = bed.host(Wanted::default()).await;
    assert_eq!(bed.weights("lamp").await, all(1));
    alone.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_that_serves_outlives_a_restart_and_so_does_the_way_back_from_it() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let (number, row) = host.rollout.reconfigure("lamp", 7, "brighter", "ada").await.unwrap();
    bed.reaches(row.expect("it is another revision").id, State::Done).await;
    host.stop().await;
    let host = bed.host(Wanted::default()).await;
    assert_eq!(host.serves("lamp"), all(number));
    assert_eq!(host.configuration_of("lamp"), 7, "not what the manifest alone says");
    let row = host.rollout.roll_back("lamp", None, "too bright", "ada").await.unwrap();
    bed.reaches(row.id, State::Done).await;
    assert_eq!(host.configuration_of("lamp"), 0);
    host.stop().await;
    let host = bed.host(Wanted::default()).await;
    assert_eq!((host.serves("lamp"), host.configuration_of("lamp")), (all(1), 0));
    host.stop().await;
    bed.end().await;
}

/// A release whose file is the test's own, and other bytes to put there.
fn release(bed: &Bed) -> (String, PathBuf, Vec<u8>) {
    let file = bed.folder.path().join("lamp.wasm");
    let mut bytes = std::fs::read(probe("hello")).unwrap();
    std::fs::write(&file, &bytes).unwrap();
    // A custom section (core specification, 5.5.3).
    bytes.extend([0, 2, 1, b'n']);
    let shown = file.display().to_string();
    (bed.manifest().replace(&probe("hello").display().to_string(), &shown), file, bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_with_a_release_is_gone_back_to_after_its_file_has_changed_or_gone() {
    let bed = Bed::new().await;
    let (manifest, file, next) = release(&bed);
    let wanted = || Wanted { manifest: Some(manifest.clone()), ..Wanted::default() };
    let host = bed.host(wanted()).await;
    until("its bytes are kept", async || bed.kept("one").len() == 1).await;
    std::fs::write(&file, &next).unwrap();
    let new = artifact("lamp", "hello", &fragment("lamp", "environment = { N = \"2\" }", ""), &[]);
    let id = host.deploy("lamp", &new, steps(&[10_000])).await;
    bed.reaches(id, State::Done).await;
    let row = host.rollout.roll_back("lamp", None, "no", "ada").await.unwrap();
    bed.reaches(row.id, State::Done).await;
    until("it is back", async || host.serves("lamp") == all(1)).await;
    assert_eq!(host.get("/api/lamp/x").await.unwrap(), 200);
    host.stop().await;
    // The next release takes its place at a start, and is gone back from.
    let host = bed.host(wanted()).await;
    assert_eq!(bed.weights("lamp").await, all(3));
    std::fs::remove_file(&file).unwrap();
    let row = host.rollout.roll_back("lamp", Some(1), "no", "ada").await.unwrap();
    bed.reaches(row.id, State::Done).await;
    until("it is back", async || host.serves("lamp") == all(1)).await;
    // Another host, which never had the file, serves it, too.
    let manifest = Some(bed.manifest_of(&["desk"], ""));
    let other = bed.host(Wanted { name: "two", manifest, ..Wanted::default() }).await;
    assert_eq!(other.serves("lamp"), all(1));
    assert_eq!(other.get("/api/lamp/x").await.unwrap(), 200);
    host.stop().await;
    other.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_nowhere_any_more_is_not_gone_back_to() {
    let bed = Bed::new().await;
    let (manifest, file, next) = release(&bed);
    let wanted = || Wanted { manifest: Some(manifest.clone()), ..Wanted::default() };
    let host = bed.host(wanted()).await;
    until("its bytes are kept", async || bed.kept("one").len() == 1).await;
    host.stop().await;
    for kept in bed.kept("one") {
        std::fs::remove_file(kept).unwrap();
    }
    std::fs::write(&file, &next).unwrap();
    let host = bed.host(wanted()).await;
    let refused = host.rollout.roll_back("lamp", Some(1), "no", "ada").await.unwrap_err();
    assert!(matches!(refused, Error::NoBytes { .. }), "{refused}");
    assert_eq!(bed.weights("lamp").await, all(2), "nothing was moved");
    host.stop().await;
    bed.end().await;
}
