//! What a host serves when it starts: what was deployed, or its manifest.

use crate::bed::{Bed, Wanted, artifact, fragment, steps, until};
use nexus_storage::rollouts::{State, Weights};

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
