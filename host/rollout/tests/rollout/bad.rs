//! Each kind of bad revision gets no further than where it is found out, and what served before has
//! its calls back within seconds.

use crate::bed::{Bed, Host, Wanted, artifact, called_steps, fragment, signed, steps, until};
use nexus_artifact::{Artifact, KeyRing, Parts, Policy, SigningKey};
use nexus_storage::rollouts::{RolloutRow, State, Verb, Weights};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// From the first bad call until every host has gone back.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// Calls a path until the rollout goes back; returns how long that took from the first bad answer.
async fn trouble(bed: &Bed, hosts: &[&Host], path: &str) -> Duration {
    let mut first = None;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        for host in hosts {
            let is_bad = host.get(path).await.map_or(true, |status| status >= 500);
            if is_bad && first.is_none() {
                first = Some(Instant::now());
            }
        }
        let all = Weights::from([(1, 10_000)]);
        if first.is_some() && hosts.iter().all(|host| host.serves("lamp") == all) {
            break;
        }
        assert!(Instant::now() < deadline, "it never goes back: {:?}", bed.weights("lamp").await);
    }
    first.unwrap().elapsed()
}

/// Rolls out what is bad at a path, until every host has gone back in time: a busy machine may keep
/// them from that once, and not each time. What `held` orders is in force meanwhile.
async fn goes_back(
    bed: &Bed,
    hosts: &[&Host],
    bad: &Artifact,
    path: &str,
    held: impl AsyncFn(Uuid),
) -> RolloutRow {
    let mut all = Vec::new();
    for _ in 0..3 {
        let id = hosts[0].deploy("lamp", bad, called_steps(&[3_000, 10_000])).await;
        bed.reaches(id, State::Stepping).await;
        held(id).await;
        let took = trouble(bed, hosts, path).await;
        println!("back after {took:?}");
        let row = bed.reaches(id, State::RolledBack).await;
        let events = bed.rollouts.events(id).await.unwrap();
        assert!(events.iter().all(|event| event.weight <= 3_000), "{events:?}");
        if took < BACK_WITHIN {
            return row;
        }
        all.push(took);
    }
    panic!("never within {BACK_WITHIN:?}: {all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_traps_goes_back_from_its_first_step() {
    let bed = Bed::new().await;
    let one = bed.host(Wanted::default()).await;
    let two = bed.host(Wanted { name: "two", ..Wanted::default() }).await;
    let bad = artifact("lamp", "hostile", &fragment("lamp", "", ""), &[]);
    let row = goes_back(&bed, &[&one, &two], &bad, "/api/lamp/trap", async |_| {}).await;
    assert!(row.reason.contains("traps") || row.reason.contains("failed"), "{}", row.reason);
    assert_eq!(one.get("/api/lamp/trap").await.unwrap(), 200, "the old one answers");
    one.stop().await;
    two.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_does_not_answer_goes_back_from_its_first_step() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    // Long enough for it to say that it is well.
    let slow = fragment("lamp", "", "first_byte_ms = 500");
    let bad = artifact("lamp", "hostile", &slow, &[]);
    let row = goes_back(&bed, &[&host], &bad, "/api/lamp/never-answers", async |_| {}).await;
    assert!(row.reason.contains("failed"), "{}", row.reason);
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_is_not_well_gets_no_share() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let wasm = wat::parse_str(TRAPS_AT_ONCE).unwrap();
    let fragment = fragment("lamp", "", "");
    let bad = Artifact::build(Parts {
        component: "lamp",
        version: None,
        created: None,
        wasm: wasm.into(),
        fragment: Some(&fragment),
        migrations: Vec::new(),
    });
    let id = host.deploy("lamp", &bad.unwrap(), steps(&[3_000, 10_000])).await;
    let row = bed.reaches(id, State::Failed).await;
    assert!(row.reason.contains("one: /api/lamp/health"), "{}", row.reason);
    assert_eq!(bed.rollouts.changes("lamp", 10).await.unwrap().len(), 1, "traffic never changed");
    assert_eq!(host.get("/api/lamp/x").await.unwrap(), 200);
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_without_its_grants_is_refused_with_the_line_that_it_lacks() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let bad = artifact("lamp", "spin", &fragment("lamp", "", ""), &[]);
    let id = host.deploy("lamp", &bad, steps(&[3_000])).await;
    let row = bed.reaches(id, State::Failed).await;
    assert!(row.reason.contains("key_value_stores = [\"default\"]"), "{}", row.reason);
    assert_eq!(bed.words(id).await.len(), 2, "nobody compiled it");
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_nobody_trusted_has_signed_is_refused() {
    let bed = Bed::new().await;
    let (key, other) = (SigningKey::generate(), SigningKey::generate());
    let keys = KeyRing::new(Policy::Required, [key.public()]);
    let host = bed.host(Wanted { keys, ..Wanted::default() }).await;
    let plain =
        artifact("lamp", "hello", &fragment("lamp", "environment = { N = \"2\" }", ""), &[]);
    let strange = signed(plain.clone(), &other);
    for (artifact, word) in [(&plain, "unsigned"), (&strange, "untrusted")] {
        let id = host.deploy("lamp", artifact, steps(&[3_000])).await;
        let row = bed.reaches(id, State::Failed).await;
        assert!(row.reason.contains("signatures are required"), "{word}: {}", row.reason);
    }
    let id = host.deploy("lamp", &signed(plain, &key), steps(&[10_000])).await;
    bed.reaches(id, State::Done).await;
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_rollout_still_goes_back_when_it_is_bad() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let bad = artifact("lamp", "hostile", &fragment("lamp", "", ""), &[]);
    let held = async |id: Uuid| {
        bed.rollouts.order(id, Verb::Pause, "ada", "lunch", false).await.unwrap();
        until("it has a share", async || host.serves("lamp").contains_key(&2)).await;
    };
    goes_back(&bed, &[&host], &bad, "/api/lamp/trap", held).await;
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_frozen_still_goes_back_when_it_is_bad() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let bad = artifact("lamp", "hostile", &fragment("lamp", "", ""), &[]);
    let id = host.deploy("lamp", &bad, called_steps(&[3_000, 10_000])).await;
    bed.reaches(id, State::Stepping).await;
    bed.rollouts.freeze(None, "lunch", "ada").await.unwrap();
    trouble(&bed, &[&host], "/api/lamp/trap").await;
    bed.reaches(id, State::RolledBack).await;
    host.stop().await;
    bed.end().await;
}

/// It compiles, links, and traps at each call.
const TRAPS_AT_ONCE: &str = r#"
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $outparam))
  (core module $code (func (export "handle") (param i32 i32) unreachable))
  (core instance $running (instantiate $code))
  (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
    (canon lift (core func $running "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
"#;
