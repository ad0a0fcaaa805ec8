//! What operators order: back at once, nothing while it is frozen, another configuration, an end.

use crate::bed::{Bed, Wanted, artifact, called_steps, fragment, steps, until};
use nexus_rollout::{Deploy, Error};
use nexus_storage::rollouts::{RolloutError, State, Verb, Weights};
use std::time::{Duration, Instant};

fn all(number: u32) -> Weights {
    Weights::from([(number, 10_000)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_is_served_within_seconds_even_while_changes_are_frozen() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let none = host.rollout.roll_back("lamp", None, "", "ada").await.unwrap_err();
    assert!(matches!(none, Error::Unfit(_)), "{none}");
    let new = artifact("lamp", "hello", &fragment("lamp", "environment = { N = \"2\" }", ""), &[]);
    let id = host.deploy("lamp", &new, steps(&[10_000])).await;
    bed.reaches(id, State::Done).await;
    bed.rollouts.freeze(Some("lamp"), "a premiere", "ada").await.unwrap();
    let order = Deploy { revision: Some(2), by: "ada".into(), ..Deploy::default() };
    let frozen = host.rollout.deploy("lamp", &order).await.unwrap_err();
    assert!(matches!(frozen, Error::Rollout(RolloutError::Frozen { .. })), "{frozen}");
    let begun = Instant::now();
    let row = host.rollout.roll_back("lamp", None, "it flickers", "ada").await.unwrap();
    until("it is back", async || host.serves("lamp") == all(1)).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let row = bed.reaches(row.id, State::Done).await;
    assert_eq!((row.revision, row.kind.as_str()), (1, "rollback"));
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_holds_a_rollout_at_its_step() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let new = artifact("lamp", "hello", &fragment("lamp", "environment = { N = \"2\" }", ""), &[]);
    let id = host.deploy("lamp", &new, called_steps(&[2_000, 10_000])).await;
    bed.reaches(id, State::Stepping).await;
    let freeze = bed.rollouts.freeze(None, "a premiere", "ada").await.unwrap();
    until("it says why it waits", async || {
        host.get("/api/lamp/hello").await.unwrap();
        bed.words(id).await.last().is_some_and(|words| words.contains("a premiere"))
    })
    .await;
    assert_eq!(bed.state(id).await.weight, 2_000);
    bed.rollouts.thaw(freeze.id, "ada").await.unwrap();
    until("callers take it to its end", async || {
        host.get("/api/lamp/hello").await.unwrap();
        bed.state(id).await.state == State::Done
    })
    .await;
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_puts_the_calls_back_and_ends_it() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let new = artifact("lamp", "hello", &fragment("lamp", "environment = { N = \"2\" }", ""), &[]);
    let id = host.deploy("lamp", &new, called_steps(&[2_000, 10_000])).await;
    bed.reaches(id, State::Stepping).await;
    bed.rollouts.order(id, Verb::Abort, "ada", "changed my mind", false).await.unwrap();
    bed.reaches(id, State::Aborted).await;
    until("the old one serves", async || host.serves("lamp") == all(1)).await;
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_configuration_is_another_revision_of_the_same_bytes() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let (number, row) = host.rollout.reconfigure("lamp", 7, "brighter", "ada").await.unwrap();
    let row = row.expect("it is another revision");
    bed.reaches(row.id, State::Done).await;
    until("it serves", async || host.serves("lamp") == all(number)).await;
    let (old, new) = (
        bed.rollouts.revision("lamp", 1).await.unwrap().unwrap(),
        bed.rollouts.revision("lamp", number).await.unwrap().unwrap(),
    );
    assert_eq!((old.wasm, old.fragment, 7), (new.wasm, new.fragment, new.configuration));
    // Back to what it was, configuration included.
    let row = host.rollout.roll_back("lamp", None, "too bright", "ada").await.unwrap();
    bed.reaches(row.id, State::Done).await;
    until("it is back", async || host.serves("lamp") == all(1)).await;
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_finish_its_calls_is_cut_off() {
    let bed = Bed::new().await;
    let drain = Duration::from_secs(2);
    let host = bed.host(Wanted { drain, ..Wanted::default() }).await;
    let hang = artifact("lamp", "hostile", &fragment("lamp", "", ""), &[]);
    let id = host.deploy("lamp", &hang, steps(&[10_000])).await;
    bed.reaches(id, State::Done).await;
    until("it serves", async || host.serves("lamp") == all(2)).await;
    let well = host.get("/api/lamp/health").await.ok();
    assert!(well.is_some());
    let calling = async {
        let answer = host.get("/api/lamp/never-answers").await;
        assert!(answer.is_err(), "{answer:?}");
    };
    let replacing = async {
        until("the call is there", async || {
            host.runtime.revisions().iter().any(|one| one.number == 2 && one.inflight > 0)
        })
        .await;
        let row = host.rollout.roll_back("lamp", None, "it hangs", "ada").await.unwrap();
        bed.reaches(row.id, State::Done).await;
    };
    tokio::join!(calling, replacing);
    until("nothing of it is left", async || {
        !host.runtime.revisions().iter().any(|one| one.number == 2)
    })
    .await;
    // What was cut off is not what is served when the calls come back to it.
    let row = host.rollout.roll_back("lamp", Some(2), "it was right", "ada").await.unwrap();
    bed.reaches(row.id, State::Done).await;
    until("it serves again", async || host.serves("lamp") == all(2)).await;
    assert_eq!(host.get("/api/lamp/health").await.ok(), well);
    host.stop().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_does_not_wait_for_calls_of_what_was_replaced() {
    let bed = Bed::new().await;
    let host = bed.host(Wanted::default()).await;
    let hang = artifact("lamp", "hostile", &fragment("lamp", "", ""), &[]);
    let id = host.deploy("lamp", &hang, steps(&[10_000])).await;
    bed.reaches(id, State::Done).await;
    let calling = async { host.get("/api/lamp/never-answers").await };
    let replacing = async {
        until("the call is there", async || {
            host.runtime.revisions().iter().any(|one| one.number == 2 && one.inflight > 0)
        })
        .await;
        let text = fragment("lamp", "environment = { N = \"3\" }", "");
        let id =
            host.deploy("lamp", &artifact("lamp", "hello", &text, &[]), steps(&[10_000])).await;
        bed.reaches(id, State::Draining).await;
        let row = host.rollout.roll_back("lamp", Some(1), "it flickers", "ada").await.unwrap();
        bed.reaches(id, State::Done).await;
        until("it is back", async || host.serves("lamp") == all(1)).await;
        row
    };
    let (_cut_off, row) = tokio::join!(calling, replacing);
    bed.reaches(row.id, State::Done).await;
    host.stop().await;
    bed.end().await;
}
